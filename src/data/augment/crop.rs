//! Which part of an image is looked at: random resized crop, and the center for evaluation.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// How often a crop that does not fit is drawn again before the central one is taken.
const ATTEMPTS: usize = 10;

/// Width / height of a crop in all three papers.
const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

/// The sizes a random crop may have ("inception" crop; torchvision's `RandomResizedCrop`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropRange {
    /// Smallest and largest share of the image's area, in (0, 1].
    pub scale: [f64; 2],
    /// Smallest and largest width / height; 3/4 and 4/3 unless told.
    #[serde(default = "default_ratio")]
    pub ratio: [f64; 2],
}

impl CropRange {
    /// Crops of `scale` (smallest, largest share of the area), from 3:4 to 4:3.
    pub const fn new(scale: [f64; 2]) -> Self {
        Self { scale, ratio: RATIO }
    }

    /// Checks the rules of both ranges.
    ///
    /// # Errors
    ///
    /// When a range is empty, reversed, not positive, or a crop may be larger than the image.
    pub fn validate(&self) -> Result<()> {
        let ordered = |[low, high]: [f64; 2]| 0.0 < low && low <= high && high.is_finite();
        if !ordered(self.scale) || self.scale[1] > 1.0 {
            return Err(Error::config(format!(
                "crop.scale must hold 0 < smallest <= largest <= 1, got {:?}",
                self.scale
            )));
        }
        if !ordered(self.ratio) {
            return Err(Error::config(format!(
                "crop.ratio must hold 0 < smallest <= largest, got {:?}",
                self.ratio
            )));
        }
        Ok(())
    }

    /// Draws a crop of an image: area uniform in `scale`, ratio log-uniform in `ratio`, place
    /// uniform. After ten draws that do not fit, the largest central crop of a legal ratio.
    pub fn sample(&self, image: ImageShape, rng: &mut dyn Rng) -> CropBox {
        for _ in 0..ATTEMPTS {
            let (height, width) = self.draw_size(image, rng);
            if (1..=image.height).contains(&height) && (1..=image.width).contains(&width) {
                let top = rng.random_range(0..=image.height - height);
                let left = rng.random_range(0..=image.width - width);
                return CropBox { top, left, height, width };
            }
        }
        self.central(image)
    }

    /// Whole pixels: a last-bit difference of `exp` between machines is rounded away.
    fn draw_size(&self, image: ImageShape, rng: &mut dyn Rng) -> (usize, usize) {
        let area = (image.height * image.width) as f64;
        let area = area * rng.random_range(self.scale[0]..=self.scale[1]);
        let [low, high] = self.ratio.map(f64::ln);
        let ratio = rng.random_range(low..=high).exp();
        (to_pixels((area / ratio).sqrt()), to_pixels((area * ratio).sqrt()))
    }

    fn central(&self, image: ImageShape) -> CropBox {
        let [low, high] = self.ratio;
        let (mut height, mut width) = (image.height, image.width);
        let ratio = width as f64 / height as f64;
        if ratio < low {
            height = to_pixels(width as f64 / low).clamp(1, height);
        } else if ratio > high {
            width = to_pixels(height as f64 * high).clamp(1, width);
        }
        let (top, left) = ((image.height - height) / 2, (image.width - width) / 2);
        CropBox { top, left, height, width }
    }
}

/// A rectangle of whole pixels, cut out of an image before it is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropBox {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl CropBox {
    /// All of an image: rendering it is a plain resize, which may change the aspect.
    pub const fn whole(image: ImageShape) -> Self {
        Self { top: 0, left: 0, height: image.height, width: image.width }
    }

    /// Whether the box holds pixels, and only pixels of `image`.
    pub(super) fn fits(&self, image: ImageShape) -> bool {
        let end = |start: usize, length: usize| start.checked_add(length).filter(|_| length > 0);
        end(self.top, self.height).is_some_and(|end| end <= image.height)
            && end(self.left, self.width).is_some_and(|end| end <= image.width)
    }
}

/// A rectangle of an image, in fractional pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Region {
    pub(super) top: f64,
    pub(super) left: f64,
    pub(super) height: f64,
    pub(super) width: f64,
}

impl Region {
    /// All of a crop, seen from within it.
    pub(super) fn whole(crop: CropBox) -> Self {
        Self { top: 0.0, left: 0.0, height: crop.height as f64, width: crop.width as f64 }
    }
}

/// The part of `image` that torchvision's `Resize(round(size * 256 / 224))` and `CenterCrop(size)`
/// show: the image is resized, keeping its aspect, until it covers 256/224 of `view`'s sides; then
/// the middle is kept. An image that already has the view's size is shown whole.
pub(super) fn evaluation_region(image: ImageShape, view: ImageShape) -> Region {
    if (image.height, image.width) == (view.height, view.width) {
        return Region::whole(CropBox::whole(image));
    }
    let (cover_rows, cover_cols) = (covering(view.height), covering(view.width));
    let (rows, cols) = if cover_rows * image.width >= cover_cols * image.height {
        (cover_rows, cover_rows * image.width / image.height)
    } else {
        (cover_cols * image.height / image.width, cover_cols)
    };
    middle_of(image, [rows, cols], view)
}

/// The part of `image` that torchvision's `Resize(edge)` and `CenterCrop` of the size of `view` show:
/// its shorter side becomes `edge` pixels, at least as many as the view has.
pub(super) fn edge_region(image: ImageShape, view: ImageShape, edge: usize) -> Region {
    let ImageShape { height, width, .. } = image;
    let sides = match height <= width {
        true => [edge, edge * width / height],
        false => [edge * height / width, edge],
    };
    middle_of(image, sides, view)
}

/// The middle of the size of `view`, of an image that is resized to these rows and columns.
fn middle_of(image: ImageShape, [rows, cols]: [usize; 2], view: ImageShape) -> Region {
    let (top, height) = middle(image.height, rows, view.height);
    let (left, width) = middle(image.width, cols, view.width);
    Region { top, left, height, width }
}

/// `length * 256 / 224`, rounded (there are no halves).
fn covering(length: usize) -> usize {
    (length * 256 + 112) / 224
}

/// Start and length, in source pixels, of the middle `kept` of `resized` pixels.
fn middle(source: usize, resized: usize, kept: usize) -> (f64, f64) {
    let scale = source as f64 / resized as f64;
    let start = to_pixels((resized - kept) as f64 / 2.0) as f64 * scale;
    (start, (kept as f64 * scale).min(source as f64 - start))
}

/// Python's `round`, which the papers' code calls: halves go to the even neighbor.
fn to_pixels(length: f64) -> usize {
    length.round_ties_even() as usize
}

fn default_ratio() -> [f64; 2] {
    RATIO
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};
    use proptest::prelude::*;

    fn shape(height: usize, width: usize) -> ImageShape {
        ImageShape::new(3, height, width)
    }

    #[test]
    fn an_image_too_wide_for_any_ratio_is_cropped_in_its_middle() {
        let crop = CropRange { scale: [1.0, 1.0], ratio: RATIO };
        let drawn = crop.sample(shape(30, 100), &mut stream(1, Purpose::Augmentation, 0, 0));
        assert_eq!(drawn, CropBox { top: 0, left: 30, height: 30, width: 40 });
        let drawn = crop.sample(shape(100, 30), &mut stream(1, Purpose::Augmentation, 0, 0));
        assert_eq!(drawn, CropBox { top: 30, left: 0, height: 40, width: 30 });
    }

    #[test]
    fn the_middle_of_an_image_resized_to_a_shorter_side_is_that_of_torchvision() {
        // Resize(64) of 128 × 256 is 64 × 128, of whose columns CenterCrop(56) takes 36 to 91.
        let region = edge_region(shape(128, 256), shape(56, 56), 64);
        assert_eq!((region.top, region.left), (8.0, 72.0));
        assert_eq!((region.height, region.width), (112.0, 112.0));
    }

    #[test]
    fn a_full_scale_square_crop_of_a_square_is_all_of_it() {
        let crop = CropRange { scale: [1.0, 1.0], ratio: [1.0, 1.0] };
        let drawn = crop.sample(shape(32, 32), &mut stream(1, Purpose::Augmentation, 0, 0));
        assert_eq!(drawn, CropBox::whole(shape(32, 32)));
    }

    #[test]
    fn areas_and_ratios_fill_their_ranges() {
        let mut rng = stream(7, Purpose::Augmentation, 0, 0);
        // Up to 0.6 of a square every crop fits, so nothing is drawn twice.
        let crop = CropRange::new([0.2, 0.6]);
        let drawn: Vec<_> = (0..2000).map(|_| crop.sample(shape(400, 400), &mut rng)).collect();
        let area = |b: &CropBox| (b.height * b.width) as f64 / 160_000.0;
        let ratio = |b: &CropBox| b.width as f64 / b.height as f64;
        let share = |keep: &dyn Fn(&CropBox) -> bool| {
            drawn.iter().filter(|b| keep(b)).count() as f64 / drawn.len() as f64
        };
        assert!(drawn.iter().all(|b| (0.198..0.602).contains(&area(b))));
        assert!(drawn.iter().all(|b| (0.74..1.35).contains(&ratio(b))));
        assert!((0.46..0.54).contains(&share(&|b| area(b) < 0.4)));
        assert!((0.46..0.54).contains(&share(&|b| ratio(b) < 1.0)));
    }

    #[test]
    fn evaluation_shows_the_middle_seven_eighths_of_the_shorter_side() {
        let region = evaluation_region(shape(512, 768), shape(224, 224));
        assert_eq!(region, Region { top: 32.0, left: 160.0, height: 448.0, width: 448.0 });
        let region = evaluation_region(shape(32, 32), shape(32, 32));
        assert_eq!(region, Region { top: 0.0, left: 0.0, height: 32.0, width: 32.0 });
    }

    #[test]
    fn evaluation_shows_the_same_part_at_both_of_two_sizes() {
        let large = evaluation_region(shape(512, 768), shape(224, 224));
        let small = evaluation_region(shape(512, 768), shape(112, 112));
        assert_eq!(large, small);
    }

    #[test]
    fn evaluation_of_a_wide_view_is_bound_by_the_axis_that_fills_it_last() {
        let region = evaluation_region(shape(64, 64), shape(14, 28));
        assert_eq!(region, Region { top: 18.0, left: 4.0, height: 28.0, width: 56.0 });
    }

    #[test]
    fn a_broken_range_names_itself_and_its_values() {
        let message = |crop: CropRange| crop.validate().unwrap_err().to_string();
        assert!(message(CropRange::new([0.5, 1.5])).contains("crop.scale"));
        assert!(message(CropRange::new([f64::NAN, 1.0])).contains("NaN"));
        assert!(message(CropRange { scale: [0.2, 1.0], ratio: [2.0, 1.0] }).contains("[2.0, 1.0]"));
        assert!(CropRange::new([0.2, 1.0]).validate().is_ok());
    }

    proptest! {
        #[test]
        fn every_crop_lies_in_its_image(
            height in 1usize..600, width in 1usize..600, low in 0.01f64..1.0, seed in any::<u64>(),
        ) {
            let mut rng = stream(seed, Purpose::Augmentation, 0, 0);
            let drawn = CropRange::new([low, 1.0]).sample(shape(height, width), &mut rng);
            prop_assert!(drawn.fits(shape(height, width)));
        }

        #[test]
        fn every_evaluation_region_lies_in_its_image(
            height in 1usize..600, width in 1usize..600, rows in 1usize..300, cols in 1usize..300,
        ) {
            let region = evaluation_region(shape(height, width), shape(rows, cols));
            prop_assert!(region.top >= 0.0 && region.top + region.height <= height as f64);
            prop_assert!(region.left >= 0.0 && region.left + region.width <= width as f64);
        }
    }
}

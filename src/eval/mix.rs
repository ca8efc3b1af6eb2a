//! Mixup and CutMix, which mix two images and their labels.

use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// How the images of a batch are mixed: the first with the last, the second with the last but one
/// and so on, all by one draw (timm's `Mixup` in its mode `batch`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixing {
    /// Mixup's α (arXiv 1710.09412 §2): the share of an image is Beta(α, α); 0 for none.
    pub mixup: f64,
    /// CutMix's α (arXiv 1905.04899 §3.1): the share of its area, likewise; 0 for none. With both,
    /// a coin decides for each batch.
    pub cutmix: f64,
}

/// What was drawn for one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mix {
    /// Every image stays as it is.
    None,
    /// Every pixel is this share of the image itself plus the rest of the other image.
    Blend(f32),
    /// These rows and columns, from the first to before the last, show the other image.
    Paste {
        /// The first row, and the row after the last.
        rows: [usize; 2],
        /// The first column, and the column after the last.
        cols: [usize; 2],
    },
}

impl Mixing {
    /// No mixing.
    pub const fn none() -> Self {
        Self { mixup: 0.0, cutmix: 0.0 }
    }

    /// Mixup 0.8 and CutMix 1.0 (MAE, arXiv 2111.06377 Table 9; SimMIM and BEiT use the same
    /// values).
    pub const fn papers() -> Self {
        Self { mixup: 0.8, cutmix: 1.0 }
    }

    /// Checks that both numbers can be α.
    ///
    /// # Errors
    ///
    /// Names the one that is negative or not finite.
    pub fn validate(&self) -> Result<()> {
        for (name, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            if !(alpha >= 0.0 && alpha.is_finite()) {
                return Err(Error::config(format!("{name} must be at least 0, got {alpha}")));
            }
        }
        Ok(())
    }

    /// Draws how a batch of images of `shape` is mixed; all frames of clips alike.
    pub fn sample(&self, shape: ImageShape, rng: &mut dyn Rng) -> Mix {
        let cut = match (self.mixup > 0.0, self.cutmix > 0.0) {
            (false, false) => return Mix::None,
            (true, true) => rng.random(),
            (_, cutmix) => cutmix,
        };
        let alpha = if cut { self.cutmix } else { self.mixup };
        let share = Beta::new(alpha, alpha).expect("α is above 0").sample(rng);
        if cut { paste(share, shape, rng) } else { Mix::Blend(share as f32) }
    }
}

/// A rectangle of the image's own proportions and 1 − `share` of its area around a place anywhere
/// in it; what would lie outside is cut off.
fn paste(share: f64, shape: ImageShape, rng: &mut dyn Rng) -> Mix {
    let side = (1.0 - share).sqrt();
    let mut range = |size: usize| {
        let half = (size as f64 * side) as usize / 2;
        let center = rng.random_range(0..size);
        [center.saturating_sub(half), (center + half).min(size)]
    };
    let frame = shape.frame();
    Mix::Paste { rows: range(frame.height), cols: range(frame.width) }
}

impl Mix {
    /// The share of its own pixels in each image, which is the weight of its own label.
    pub fn share(&self, shape: ImageShape) -> f32 {
        match *self {
            Self::None => 1.0,
            Self::Blend(share) => share,
            Self::Paste { rows, cols } => {
                let area = (rows[1] - rows[0]) * (cols[1] - cols[0]);
                1.0 - area as f32 / (shape.frame().height * shape.width) as f32
            }
        }
    }

    /// Mixes planar `images` of `shape`, one after the other, and their `targets` of `classes`
    /// values each.
    pub(super) fn apply(
        &self,
        shape: ImageShape,
        images: &mut [f32],
        classes: usize,
        targets: &mut [f32],
    ) {
        if *self == Self::None {
            return;
        }
        let share = self.share(shape);
        in_pairs(targets, classes, |own, other| blend(own, other, share));
        in_pairs(images, shape.values(), |own, other| match *self {
            Self::None => {}
            Self::Blend(share) => blend(own, other, share),
            Self::Paste { rows, cols } => {
                let height = shape.frame().height;
                for row in (0..shape.channels * shape.frames)
                    .flat_map(|plane| (rows[0]..rows[1]).map(move |row| plane * height + row))
                {
                    let part = row * shape.width + cols[0]..row * shape.width + cols[1];
                    own[part.clone()].swap_with_slice(&mut other[part]);
                }
            }
        });
    }
}

/// Each of the two becomes `share` of itself plus the rest of the other.
fn blend(own: &mut [f32], other: &mut [f32], share: f32) {
    for (a, b) in own.iter_mut().zip(other) {
        (*a, *b) = (share * *a + (1.0 - share) * *b, share * *b + (1.0 - share) * *a);
    }
}

/// Calls `mix` on the first and the last of the items of `size` values, on the second and the last
/// but one, and so on; the middle one of an odd number is its own other, and stays.
fn in_pairs(values: &mut [f32], size: usize, mut mix: impl FnMut(&mut [f32], &mut [f32])) {
    let (first, last) = values.split_at_mut(values.len() / size / 2 * size);
    for (own, other) in first.chunks_exact_mut(size).zip(last.rchunks_exact_mut(size)) {
        mix(own, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    const SHAPE: ImageShape = ImageShape::new(2, 3, 4);

    /// Three images, all pixels 0, 1 and 2, of classes 0, 1 and 0.
    fn batch() -> (Vec<f32>, Vec<f32>) {
        let images = (0..3).flat_map(|i| [i as f32; 24]).collect();
        (images, vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0])
    }

    #[test]
    fn blending_weighs_pixels_and_labels_alike() {
        let (mut images, mut targets) = batch();
        Mix::Blend(0.75).apply(SHAPE, &mut images, 2, &mut targets);
        assert_eq!(images[..24], [0.5; 24]);
        assert_eq!(images[24..48], [1.0; 24]);
        assert_eq!(images[48..], [1.5; 24]);
        assert_eq!(targets, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
        let mut targets = vec![1.0, 0.0, 0.0, 1.0];
        Mix::Blend(0.75).apply(SHAPE, &mut [0.0; 48], 2, &mut targets);
        assert_eq!(targets, [0.75, 0.25, 0.25, 0.75]);
    }

    #[test]
    fn a_pasted_part_shows_the_other_image_and_is_worth_its_area() {
        let (mut images, _) = batch();
        let mut targets = vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        let mix = Mix::Paste { rows: [1, 3], cols: [0, 3] };
        mix.apply(SHAPE, &mut images, 2, &mut targets);
        let plane = [0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 0.0, 2.0, 2.0, 2.0, 0.0];
        assert_eq!(images[..12], plane);
        assert_eq!(images[12..24], plane);
        assert_eq!(images[24..48], [1.0; 24]);
        // Six of twelve pixels.
        assert_eq!(targets, [0.5, 0.5, 0.0, 1.0, 0.5, 0.5]);
    }

    #[test]
    fn every_draw_keeps_the_sum_of_the_labels_and_of_the_pixels() {
        for index in 0..200 {
            let mix = Mixing::papers().sample(SHAPE, &mut stream(3, Purpose::Mix, 0, index));
            let (mut images, mut targets) = batch();
            mix.apply(SHAPE, &mut images, 2, &mut targets);
            assert!((0.0..=1.0).contains(&mix.share(SHAPE)), "{mix:?}");
            assert!((images.iter().sum::<f32>() - 72.0).abs() < 1e-3, "{mix:?}");
            for row in targets.chunks(2) {
                assert!((row[0] + row[1] - 1.0).abs() < 1e-6, "{mix:?}");
            }
        }
    }

    #[test]
    fn cutmix_cuts_the_area_it_drew_where_it_fits() {
        let shape = ImageShape::square(1, 100);
        let mut areas = Vec::new();
        for index in 0..2000 {
            let mix = Mixing { mixup: 0.0, cutmix: 1.0 };
            let mix = mix.sample(shape, &mut stream(3, Purpose::Mix, 0, index));
            assert!(matches!(mix, Mix::Paste { .. }));
            areas.push(1.0 - mix.share(shape));
        }
        // A side is √u, u uniform; of a range of that length around a uniform place, 1 − √u / 4 is
        // inside on average: the mean area is the integral of u (1 − √u / 4)² = 0.5 − 0.2 + 1/48.
        let mean = areas.iter().sum::<f32>() / areas.len() as f32;
        assert!((mean - 0.3208).abs() < 0.02, "{mean}");
    }

    #[test]
    fn without_mixing_nothing_is_drawn() {
        let mut rng = stream(0, Purpose::Mix, 0, 0);
        assert_eq!(Mixing::none().sample(SHAPE, &mut rng), Mix::None);
        assert_eq!(rng.next_u64(), stream(0, Purpose::Mix, 0, 0).next_u64());
        let broken = Mixing { mixup: -1.0, cutmix: 0.0 }.validate().unwrap_err().to_string();
        assert!(broken.ends_with("mixup must be at least 0, got -1"), "{broken}");
    }
}

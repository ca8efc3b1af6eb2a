//! Crops of a few sizes at a few places.

use rand::Rng;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};

use super::CropBox;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;

/// Crops whose sides are one of a few shares of the image's shorter side, at one of 13 places: the
/// "multi-scale cropping" of video (Wang et al. 2016, arXiv 1608.00859 §4.2), with the places of
/// VideoMAE's official code (`GroupMultiScaleCrop`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiScaleCrop {
    /// The shares, from the largest; height and width are the same or neighbors.
    pub sides: [f64; 4],
}

/// The places of crops, in quarters of the room that they have: down, and to the right.
const PLACES: [[usize; 2]; 13] = [
    [0, 0],
    [0, 4],
    [4, 0],
    [4, 4],
    [2, 2],
    [2, 0],
    [2, 4],
    [4, 2],
    [0, 2],
    [1, 1],
    [1, 3],
    [3, 1],
    [3, 3],
];

impl MultiScaleCrop {
    /// 1, 0.875, 0.75 and 0.66 (official code).
    pub const fn videomae() -> Self {
        Self { sides: [1.0, 0.875, 0.75, 0.66] }
    }

    /// Checks that the shares are above 0 and at most 1.
    ///
    /// # Errors
    ///
    /// When one is not; says all.
    pub fn validate(&self) -> Result<()> {
        let is_share = |side: &f64| *side > 0.0 && *side <= 1.0;
        ensure!(
            self.sides.iter().all(is_share),
            "augmentation.multi_scale.sides must be above 0 and at most 1, got {:?}",
            self.sides
        );
        Ok(())
    }

    /// Draws a crop of an image. The official code takes sides that differ from the view's by less than
    /// 3 pixels for these; a crop knows no view.
    pub(super) fn sample(&self, image: ImageShape, rng: &mut dyn Rng) -> CropBox {
        let shorter = image.height.min(image.width) as f64;
        let sides = self.sides.map(|side| ((shorter * side) as usize).max(1));
        let pairs: Vec<_> = (0..sides.len())
            .flat_map(|row| (0..sides.len()).map(move |col| (row, col)))
            .filter(|(row, col)| row.abs_diff(*col) <= 1)
            .collect();
        let &(row, col) = pairs.choose(rng).expect("there are pairs");
        let &[down, right] = PLACES.choose(rng).expect("there are places");
        let (height, width) = (sides[row], sides[col]);
        let top = down * ((image.height - height) / 4);
        let left = right * ((image.width - width) / 4);
        CropBox { top, left, height, width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};
    use std::collections::BTreeSet;

    #[test]
    fn crops_are_those_of_the_official_code() {
        // All that `GroupMultiScaleCrop(224)` may draw of 340 × 256 pixels, but for its sides near 224:
        // 10 pairs of sides of 256, 224, 192 and 168 at 13 places each, of which some are the same.
        let image = ImageShape::new(3, 256, 340);
        let mut rng = stream(3, Purpose::Augmentation, 0, 0);
        let drawn: Vec<_> =
            (0..4000).map(|_| MultiScaleCrop::videomae().sample(image, &mut rng)).collect();
        assert!(drawn.iter().all(|crop| crop.fits(image)));
        let sizes: BTreeSet<_> = drawn.iter().map(|crop| (crop.height, crop.width)).collect();
        let expected = [
            (256, 256),
            (256, 224),
            (224, 256),
            (224, 224),
            (224, 192),
            (192, 224),
            (192, 192),
            (192, 168),
            (168, 192),
            (168, 168),
        ];
        assert_eq!(sizes, BTreeSet::from(expected));
        let places: BTreeSet<_> = drawn
            .iter()
            .filter(|crop| (crop.height, crop.width) == (192, 224))
            .map(|crop| (crop.top, crop.left))
            .collect();
        // Steps of (256 − 192) / 4 = 16 rows and (340 − 224) / 4 = 29 columns.
        let expected = PLACES.map(|[down, right]| (16 * down, 29 * right));
        assert_eq!(places, BTreeSet::from(expected));
    }

    #[test]
    fn shares_beyond_the_image_are_refused() {
        for side in [0.0, 1.5, f64::NAN] {
            let crop = MultiScaleCrop { sides: [1.0, side, 0.5, 0.5] };
            assert!(crop.validate().unwrap_err().to_string().contains("multi_scale.sides"));
        }
    }
}

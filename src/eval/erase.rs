//! Random erasing.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// How many rectangles that do not fit are drawn before an image is left as it is.
const ATTEMPTS: usize = 10;
/// Smallest and largest share of an image's area (timm's).
const AREA: [f64; 2] = [0.02, 1.0 / 3.0];
/// Smallest height / width; the largest is its inverse.
const RATIO: f64 = 0.3;

/// Fills a rectangle of some images with unit normal noise (Zhong et al. 2017, arXiv 1708.04896;
/// areas and noise as timm's `RandomErasing` in its mode `pixel`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RandomErasing {
    /// The share of images with an erased part.
    pub probability: f64,
}

impl RandomErasing {
    /// Erases nothing.
    pub const fn none() -> Self {
        Self { probability: 0.0 }
    }

    /// Checks that the probability is in [0, 1].
    ///
    /// # Errors
    ///
    /// When it is outside [0, 1].
    pub fn validate(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(Error::config(format!(
                "the probability of random erasing must be in [0, 1], got {}",
                self.probability
            )));
        }
        Ok(())
    }

    /// Erases a part of a planar, normalized `image`, or none; of a clip the same of all frames.
    pub(super) fn apply(&self, image: &mut [f32], shape: ImageShape, rng: &mut dyn Rng) {
        if self.probability == 0.0 || !rng.random_bool(self.probability) {
            return;
        }
        let planes = shape.channels * shape.frames;
        let ImageShape { height, width, .. } = shape.frame();
        for _ in 0..ATTEMPTS {
            let area = rng.random_range(AREA[0]..AREA[1]) * (height * width) as f64;
            let ratio = rng.random_range(RATIO.ln()..-RATIO.ln()).exp();
            let rows = (area * ratio).sqrt().round() as usize;
            let cols = (area / ratio).sqrt().round() as usize;
            if rows >= height || cols >= width {
                continue;
            }
            let top = rng.random_range(0..=height - rows);
            let left = rng.random_range(0..=width - cols);
            for row in (0..planes).flat_map(|p| (top..top + rows).map(move |y| p * height + y)) {
                for value in &mut image[row * width + left..][..cols] {
                    *value = StandardNormal.sample(rng);
                }
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    const SHAPE: ImageShape = ImageShape::new(2, 30, 20);

    fn erased(probability: f64, index: u64) -> Vec<f32> {
        let mut image = vec![9.0; SHAPE.values()];
        let mut rng = stream(0, Purpose::Augmentation, 0, index);
        RandomErasing { probability }.apply(&mut image, SHAPE, &mut rng);
        image
    }

    #[test]
    fn a_rectangle_of_all_channels_is_erased_and_nothing_else() {
        for index in 0..100 {
            let image = erased(1.0, index);
            let (red, green) = image.split_at(SHAPE.values() / 2);
            let places = |plane: &[f32]| -> Vec<usize> {
                (0..plane.len()).filter(|&place| plane[place] != 9.0).collect()
            };
            let places = (places(red), places(green));
            assert_eq!(places.0, places.1);
            let rows = places.0.iter().map(|place| place / 20);
            let cols = places.0.iter().map(|place| place % 20);
            let extent = |values: &mut dyn Iterator<Item = usize>| {
                let values: Vec<_> = values.collect();
                values.iter().max().unwrap() - values.iter().min().unwrap() + 1
            };
            let area = extent(&mut rows.clone()) * extent(&mut cols.clone());
            assert_eq!(area, places.0.len());
            let share = area as f64 / 600.0;
            assert!((0.015..0.36).contains(&share), "{share}");
        }
    }

    #[test]
    fn as_many_images_are_erased_as_were_asked_for() {
        let count = (0..1000).filter(|&i| erased(0.25, i).iter().any(|v| *v != 9.0)).count();
        assert!((210..290).contains(&count), "{count}");
        assert!(erased(0.0, 1).iter().all(|v| *v == 9.0));
        assert!(RandomErasing { probability: 1.1 }.validate().is_err());
    }
}

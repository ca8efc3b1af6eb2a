//! Gaussian noise.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Corruption;
use crate::data::Image;
use crate::error::Result;

/// Adds normal noise to every value, rounds, and cuts off what 8 bits cannot hold.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    /// Standard deviation, of 255 levels.
    pub sigma: f32,
}

impl Corruption for Noise {
    fn corrupt(&self, image: &Image, rng: &mut dyn Rng) -> Result<Image> {
        let noisy = image.bytes()?.iter().map(|&value| {
            let noise: f32 = StandardNormal.sample(rng);
            (f32::from(value) + self.sigma * noise).round() as u8
        });
        Image::new(image.shape(), noisy.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::rng::{Purpose, stream};

    #[test]
    fn noise_has_its_deviation_and_is_cut_off_at_the_ends() {
        let noisy = |level: u8| {
            let image = Image::new(ImageShape::square(1, 100), vec![level; 10_000]).unwrap();
            let mut rng = stream(1, Purpose::Augmentation, 0, 0);
            Noise { sigma: 30.0 }.corrupt(&image, &mut rng).unwrap()
        };
        let gray = noisy(128);
        let offset = |&value: &u8| f64::from(value) - 128.0;
        let variance = gray.bytes().unwrap().iter().map(|v| offset(v).powi(2)).sum::<f64>() / 1e4;
        assert!((variance.sqrt() - 30.0).abs() < 1.0, "{variance}");
        // Half of the noise on black would be below black.
        let black = noisy(0).bytes().unwrap().iter().filter(|&&value| value == 0).count();
        assert!((4800..5300).contains(&black), "{black}");
    }
}

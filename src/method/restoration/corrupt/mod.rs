//! Corruptions of images, which restoration pre-training learns to undo.

mod downsample;
mod noise;
mod rain;

use std::fmt::Debug;
use std::sync::Arc;

use rand::Rng;

pub use downsample::Downsample;
pub use noise::Noise;
pub use rain::Rain;

use crate::data::Image;
use crate::error::Result;
use crate::method::CorruptionConfig;

/// Spoils an image, in 8 bits as files have it.
pub trait Corruption: Debug + Send + Sync {
    /// The spoilt image, of the same shape.
    ///
    /// # Errors
    ///
    /// When the image cannot be spoilt in this way.
    fn corrupt(&self, image: &Image, rng: &mut dyn Rng) -> Result<Image>;
}

impl CorruptionConfig {
    /// The corruption that the configuration describes.
    pub fn build(&self) -> Arc<dyn Corruption> {
        match *self {
            Self::Noise { sigma } => Arc::new(Noise { sigma: f32::from(sigma) }),
            Self::Downsample { factor } => Arc::new(Downsample { factor }),
            Self::Rain => Arc::new(Rain::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::rng::{Purpose, stream};

    #[test]
    fn every_corruption_keeps_the_shape_and_follows_its_stream() {
        let shape = ImageShape::new(2, 21, 30);
        let image = Image::new(shape, (0..shape.values()).map(|i| (i * 7 % 200) as u8).collect());
        let image = image.unwrap();
        for config in CorruptionConfig::paper() {
            let corruption = config.build();
            let spoilt = |index| {
                let mut rng = stream(1, Purpose::Augmentation, 0, index);
                corruption.corrupt(&image, &mut rng).unwrap()
            };
            assert_eq!(spoilt(0).shape(), shape);
            assert_eq!(spoilt(0), spoilt(0), "{config}");
            assert_ne!(spoilt(0), image, "{config}");
            if !matches!(config, CorruptionConfig::Downsample { .. }) {
                assert_ne!(spoilt(0), spoilt(1), "{config}");
            }
        }
    }
}

//! Loss of resolution.

use rand::Rng;

use super::Corruption;
use crate::data::Image;
use crate::data::augment::{CropBox, Frame, Scratch, Transform, View};
use crate::error::Result;
use crate::grid::ImageShape;

/// Makes an image `factor` times smaller, rounded up, and large again, both bicubically as Pillow
/// does: what comes out is what super-resolution is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Downsample {
    /// How many times smaller.
    pub factor: usize,
}

impl Corruption for Downsample {
    fn corrupt(&self, image: &Image, _: &mut dyn Rng) -> Result<Image> {
        let shape = image.shape();
        let small = ImageShape {
            height: shape.height.div_ceil(self.factor),
            width: shape.width.div_ceil(self.factor),
            ..shape
        };
        resized(&resized(image, small)?, shape)
    }
}

fn resized(image: &Image, shape: ImageShape) -> Result<Image> {
    let transform = Transform::of(Frame::Crop(CropBox::whole(image.shape())));
    View::new(shape)?.image(image, &transform, &mut Scratch::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn details_are_lost_and_flat_parts_kept() {
        let shape = ImageShape::new(1, 9, 24);
        // Stripes of one pixel on the left, white on the right.
        let value = |at: usize| if at % 24 >= 12 || at.is_multiple_of(2) { 255_u8 } else { 0 };
        let image = Image::new(shape, (0..shape.values()).map(value).collect()).unwrap();
        let mut rng = stream(1, Purpose::Augmentation, 0, 0);
        let spoilt = Downsample { factor: 4 }.corrupt(&image, &mut rng).unwrap();
        let row = &spoilt.bytes().unwrap()[4 * 24..5 * 24];
        assert!(row[2..7].iter().all(|value| (90..170).contains(value)), "{row:?}");
        assert!(row[20..].iter().all(|value| *value >= 250), "{row:?}");
    }
}

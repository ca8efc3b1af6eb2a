//! Batches of images as pictures.

use burn::tensor::Tensor;

use super::picture::Picture;
use crate::error::Result;
use crate::grid::ImageShape;

/// The pictures of `[batch, channels, height, width]` in [0, 1].
///
/// # Errors
///
/// When the images have no channel or no pixel.
pub fn pictures(images: Tensor<4>) -> Result<Vec<Picture>> {
    let [_, channels, height, width] = images.dims();
    let shape = ImageShape::new(channels, height, width);
    let values: Vec<f32> = images.into_data().iter().collect();
    values.chunks(shape.values()).map(|values| Picture::from_planar(shape, values)).collect()
}

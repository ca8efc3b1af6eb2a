//! Images on their way to a device, in 8 bits where they have no more.

use burn::tensor::{Device, Tensor, TensorData};

use super::augment::Normalization;
use crate::grid::ImageShape;
use crate::kernel::byte_images;

/// Images of one shape that are yet to go to a device.
#[derive(Debug)]
pub(crate) struct PackedImages {
    pub(super) pixels: PackedPixels,
    pub(super) shape: ImageShape,
}

/// The values of images, one after the other, planar.
#[derive(Debug)]
pub(super) enum PackedPixels {
    /// As they were rendered, not normalized yet.
    Bytes(Vec<u8>, Normalization),
    /// Normalized.
    Values(Vec<f32>),
}

impl PackedImages {
    /// The normalized images, `[batch, channels, height, width]`.
    pub(crate) fn on(self, device: &Device) -> Tensor<4> {
        let ImageShape { channels, height, width, .. } = self.shape;
        match self.pixels {
            PackedPixels::Values(values) => images(values, self.shape, device),
            PackedPixels::Bytes(bytes, normalization) => {
                let batch = bytes.len() / self.shape.values();
                let shape = [batch, channels, height, width];
                byte_images(bytes, normalization.tables(), shape, device)
            }
        }
    }
}

/// As many images of `shape` as `values` are of: `[batch, channels, height, width]`.
pub(crate) fn images(values: Vec<f32>, shape: ImageShape, device: &Device) -> Tensor<4> {
    let ImageShape { channels, height, width, .. } = shape;
    let batch = values.len() / shape.values();
    Tensor::from_data(TensorData::new(values, [batch, channels, height, width]), device)
}

//! Edges of the hidden patches.

use burn::module::Module;
use burn::tensor::{Tensor, assert_shape};

use super::{Depict, Target, check_prediction, mask_of_patches, mean_of_cells};
use crate::batch::MimBatch;
use crate::image::{PatchLayout, patchify, sobel, unpatchify};

/// What [`sobel`] gives beside a step of 1: strengths are shown over it.
const STEP: f64 = 4.0;

/// The strength of Sobel's gradient at every pixel and channel of a hidden patch, ordered (channel,
/// row, column); squared error.
///
/// Strengths are in the units of the batch's images, so a channel that is normalized by a small
/// deviation has stronger edges.
#[derive(Module, Debug)]
pub struct SobelTarget {
    /// Channels of the images.
    pub channels: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
}

impl SobelTarget {
    /// The edges of patches of `patch` × `patch` pixels.
    pub fn new(channels: usize, patch: usize) -> Self {
        Self { channels, patch }
    }
}

impl Target for SobelTarget {
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        self.channels * self.patch * self.patch
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        assert_shape!(&batch.images, [_, self.channels, _, _]);
        let edges = sobel(batch.images.clone());
        let patches = patchify(edges, self.patch, PatchLayout::ChannelsFirst);
        mask_of_patches(batch, self.patch).asked.select(patches).detach()
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        let [batch, hidden, _] = value.dims();
        check_prediction(&prediction, [batch, hidden], self.width());
        (prediction - value).square().mean()
    }

    fn trivial_prediction(&self, value: &Tensor<3>) -> Option<Tensor<3>> {
        Some(mean_of_cells(value))
    }
}

impl Depict for SobelTarget {
    /// White is the edge of a step by 1 in the units of the images: a standard deviation.
    fn depict(&self, value: Tensor<3>, batch: &MimBatch) -> Tensor<4> {
        let mask = mask_of_patches(batch, self.patch);
        let nothing = Tensor::zeros([1, self.width()], (&value.device(), value.dtype()));
        let patches = mask.asked.fill(value, nothing);
        let edges = unpatchify(patches, mask.grid(), self.patch, PatchLayout::ChannelsFirst);
        (edges / STEP).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::mask::{Mask, UnitMask};
    use crate::test_device;

    /// A step of 1 between the second and the third column of 2×4 pixels; the right half is hidden.
    fn batch() -> MimBatch {
        let images = Tensor::from_floats([[[[0.0, 0.0, 1.0, 1.0]; 2]]], &test_device());
        let mask = UnitMask::from_indices(Grid::new(1, 2), [1]).unwrap();
        MimBatch::new(images, Mask::new([mask], &test_device()).unwrap())
    }

    #[test]
    fn the_value_is_the_edge_of_the_whole_image_in_hidden_patches() {
        let value: Vec<f32> = SobelTarget::new(1, 2).of(&batch()).into_data().try_to_vec().unwrap();
        assert_eq!(value, [4.0, 0.0, 4.0, 0.0]);
    }

    #[test]
    fn a_depiction_has_the_edges_at_hidden_pixels_and_black_elsewhere() {
        let target = SobelTarget::new(1, 2);
        let picture = target.depict(target.of(&batch()), &batch());
        let picture: Vec<f32> = picture.into_data().try_to_vec().unwrap();
        assert_eq!(picture, [0.0, 0.0, 1.0, 0.0].repeat(2));
    }

    #[test]
    fn half_a_step_is_half_as_bright_and_the_loss_is_the_mean_squared_error() {
        let target = SobelTarget::new(1, 2);
        let value = target.of(&batch());
        let picture = target.depict(value.clone() * 0.5, &batch());
        let picture: Vec<f32> = picture.into_data().try_to_vec().unwrap();
        assert_eq!(picture, [0.0, 0.0, 0.5, 0.0].repeat(2));
        let loss = target.loss(value.clone() + 3.0, value);
        assert_eq!(loss.into_scalar::<f32>(), 9.0);
    }
}

//! A network that reads every patch of an image on its own.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Backbone, GridTokens};
use crate::grid::Grid;
use crate::image::{PatchLayout, grid_of, patchify};

/// A network of small images that reads each patch of a large one alone: one vector per patch, the
/// mean over the network's own cells (Selfie's patch processing network, arXiv 1906.02940).
#[derive(Module, Debug)]
pub struct Patchwise<E: Module> {
    /// Reads images of a patch's size. One that reads any size can be used on whole images too.
    pub network: E,
    /// Side of a patch in pixels.
    pub patch: usize,
}

impl<E: Backbone> Patchwise<E> {
    /// The vectors of patches that were cut already.
    ///
    /// # Shapes
    ///
    /// - patches: `[batch, patches, channels · patch²]`, in the order (channel, row, column)
    /// - output: `[batch, patches, width]`
    ///
    /// # Panics
    ///
    /// When a patch does not have whole channels.
    pub fn encode_patches(&self, patches: Tensor<3>) -> Tensor<3> {
        let [batch, count, _] = patches.dims();
        let vectors = self.network.represent(self.as_images(patches)).mean_pool();
        vectors.reshape([batch, count, self.network.width()])
    }

    /// Patches one after the other, `[batch · patches, channels, patch, patch]`.
    fn as_images(&self, patches: Tensor<3>) -> Tensor<4> {
        let [batch, count, values] = patches.dims();
        let area = self.patch * self.patch;
        assert!(
            values.is_multiple_of(area),
            "a patch of {values} values has no whole channels of {area}"
        );
        patches.reshape([batch * count, values / area, self.patch, self.patch])
    }

    /// The images' grid and their patches, as [`Self::encode_patches`] reads them.
    ///
    /// # Panics
    ///
    /// When the patch does not divide the images.
    pub fn patches(&self, images: Tensor<4>) -> (Grid, Tensor<3>) {
        let grid = grid_of(&images, self.patch);
        (grid, patchify(images, self.patch, PatchLayout::ChannelsFirst))
    }
}

impl<E: Backbone> Backbone for Patchwise<E> {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        let (grid, patches) = self.patches(images);
        GridTokens { tokens: self.encode_patches(patches), class_token: None, grid }
    }

    fn represented_layers(&self) -> usize {
        self.network.represented_layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let (grid, patches) = self.patches(images);
        let [batch, count, _] = patches.dims();
        let layers = self.network.represent_layers(self.as_images(patches), layers).into_iter();
        let vectors =
            layers.map(|features| features.mean_pool().reshape([batch as i32, count as i32, -1]));
        vectors.map(|tokens| GridTokens { tokens, class_token: None, grid }).collect()
    }

    fn width(&self) -> usize {
        self.network.width()
    }

    fn describe(&self) -> String {
        format!("{} on patches of {}", self.network.describe(), self.patch)
    }

    fn layers(&self) -> usize {
        self.network.layers()
    }

    fn layer_of(&self, parameter: &str) -> usize {
        self.network.layer_of(parameter.strip_prefix("network.").unwrap_or(parameter))
    }

    fn with_drop_path(self, probability: f64) -> Self {
        Self { network: self.network.with_drop_path(probability), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{ResidualConfig, VitConfig};
    use crate::grid::ImageShape;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;
    use burn::tensor::{Tolerance, s};

    fn images() -> Tensor<4> {
        InitialWeights::new(1, &test_device())
            .param([2, 3, 16, 24], Init::Normal { std: 1.0 })
            .val()
    }

    fn reads_each_patch_alone(network: impl Backbone) {
        let encoder = Patchwise { network, patch: 8 };
        let features = encoder.represent(images());
        assert_eq!(features.grid, Grid::new(2, 3));
        let alone = encoder.network.represent(images().slice(s![1..2, .., 8..16, 16..24]));
        let alone = alone.mean_pool().into_data();
        let last = features.tokens.slice(s![1..2, 5..6, ..]).squeeze_dim::<2>(1).into_data();
        last.assert_approx_eq::<f32>(&alone, Tolerance::absolute(1e-5));
    }

    #[test]
    fn a_patch_has_the_features_it_would_have_alone() {
        let weights = &mut InitialWeights::new(0, &test_device());
        reads_each_patch_alone(ResidualConfig::new(3).init(weights));
        let vit = VitConfig::new(ImageShape::square(3, 8), 4, 8, 1, 2);
        reads_each_patch_alone(vit.init_visible(weights));
    }

    #[test]
    fn layers_are_those_of_the_network() {
        let network = ResidualConfig::new(3).init(&mut InitialWeights::new(0, &test_device()));
        let encoder = Patchwise { network, patch: 8 };
        assert_eq!((encoder.layers(), encoder.width()), (3, 128));
        assert_eq!(encoder.layer_of("network.blocks.2.first.weight"), 3);
    }
}

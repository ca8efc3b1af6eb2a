//! A ConvNeXt V2 with a mask token.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::block::INIT;
use super::{ConvNextV2, ConvNextV2Config};
use crate::encoder::{Backbone, Encoder, EncoderConfig, GridTokens, Stack};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::mask::{Mask, Shown};
use crate::nn::InitialWeights;

/// A [`ConvNextV2`] that sees every cell, hidden patches replaced by one learned mask token after the
/// stem: what SimMIM needs.
#[derive(Module, Debug)]
pub struct TokenConvNextV2 {
    /// The network.
    pub network: ConvNextV2,
    /// The mask token, which replaces the features of a hidden patch, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
}

impl Backbone for TokenConvNextV2 {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        self.network.represent(images)
    }

    fn represented_layers(&self) -> usize {
        self.network.represented_layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        self.network.represent_layers(images, layers)
    }

    fn stages(&self, images: Tensor<4>) -> Vec<GridTokens> {
        self.network.stages(images)
    }

    fn width(&self) -> usize {
        self.network.width()
    }

    fn describe(&self) -> String {
        self.network.describe()
    }

    fn layers(&self) -> usize {
        self.network.layers()
    }

    fn layer_of(&self, parameter: &str) -> usize {
        parameter.strip_prefix("network.").map_or(0, |within| self.network.layer_of(within))
    }

    fn with_drop_path(self, probability: f64) -> Self {
        Self { network: self.network.with_drop_path(probability), ..self }
    }
}

impl Encoder for TokenConvNextV2 {
    type Images = Tensor<4>;
    type Features = GridTokens;

    fn encode(&self, images: Tensor<4>, mask: &Mask) -> GridTokens {
        let (stem, last) = (&self.network.stem, self.layers());
        let (grid, patches) = stem.patches(images);
        let mask = mask.at(grid);
        let visible = stem.embed(mask.visible.select(patches));
        let tokens = mask.visible.fill(visible, self.mask_token.val());
        self.network.layers_of(tokens, grid, Shown::all, &[last]).remove(0)
    }
}

impl EncoderConfig for ConvNextV2Config {
    const KIND: &'static str = "convnext-v2";
    type Encoder = TokenConvNextV2;

    fn image(&self) -> ImageShape {
        self.image
    }

    fn stride(&self) -> usize {
        self.stride()
    }

    fn width(&self) -> usize {
        self.output_width()
    }

    fn stacks(&self) -> Vec<Stack> {
        self.stacks()
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn init(&self, weights: &mut InitialWeights) -> TokenConvNextV2 {
        let network = self.init(weights);
        TokenConvNextV2 { network, mask_token: weights.param([1, self.widths[0]], INIT) }
    }
}

//! data2vec 2.0's decoder: convolutions over visible features and zeros.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Tensor};

use super::PredictionHead;
use crate::config::config;
use crate::encoder::{VisibleTokens, VitConfig};
use crate::error::{Result, ensure};
use crate::grid::Grid;
use crate::kernel;
use crate::limits;
use crate::mask::Mask;
use crate::nn::{Init, InitialWeights, per_token};

config! {
    /// Sizes of a [`ConvDecoder`].
    #[derive(Debug, PartialEq)]
    pub struct ConvDecoderConfig {
        /// Channels of every convolution. Default: 768, that of ViT-B (arXiv 2212.07525, official
        /// configuration)
        pub width: usize = 768,
        /// Convolutions one after the other. Default: 6
        pub depth: usize = 6,
        /// Side of their kernels in cells, an odd number. Default: 3
        pub kernel: usize = 3,
        /// Groups of channels that a convolution does not mix; must divide `width` and the encoder's
        /// width. Default: 16
        pub groups: usize = 16,
    }
}

impl ConvDecoderConfig {
    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, encoder: &VitConfig) -> Result<()> {
        let Self { width, depth, kernel, groups } = *self;
        ensure!(depth > 0, "a decoder needs at least one convolution, got a depth of 0");
        limits::at_most("the decoder's depth", depth, limits::DEPTH)?;
        limits::at_most("the decoder's width", width, limits::WIDTH)?;
        ensure!(!kernel.is_multiple_of(2), "the decoder's kernel must be odd, got {kernel}");
        limits::at_most("the decoder's kernel", kernel, limits::SIDE)?;
        for (whose, width) in [("decoder", width), ("encoder", encoder.width)] {
            ensure!(
                width > 0 && groups > 0 && width.is_multiple_of(groups),
                "{groups} groups do not divide the {whose}'s width of {width}"
            );
        }
        let widest = width.max(encoder.width);
        limits::parameters(limits::product(&[depth, width, widest / groups, kernel, kernel]))
    }

    /// A decoder for `encoder` that predicts `target_width` values per asked cell. Weights and biases
    /// start with the variance of PyTorch's own convolutions.
    ///
    /// # Panics
    ///
    /// With the message of [`ConvDecoderConfig::validate`] when that fails.
    pub fn init(
        &self,
        encoder: &VitConfig,
        target_width: usize,
        weights: &mut InitialWeights,
    ) -> ConvDecoder {
        self.validate(encoder).unwrap_or_else(|error| panic!("{error}"));
        let conv = |inputs: usize, weights: &mut InitialWeights| {
            let inputs = inputs / self.groups;
            let start = start(inputs * self.kernel * self.kernel);
            let conv = weights.conv2d_without_bias([inputs, self.width], self.kernel, start);
            Conv2d { groups: self.groups, bias: Some(weights.param([self.width], start)), ..conv }
        };
        let first = conv(encoder.width, weights);
        let others = (1..self.depth).map(|_| conv(self.width, weights));
        let convs = std::iter::once(first).chain(others.collect::<Vec<_>>()).collect();
        let projection = Linear {
            bias: Some(weights.param([target_width], start(self.width))),
            ..weights.linear_without_bias(self.width, target_width, start(self.width))
        };
        ConvDecoder { convs, projection }
    }
}

/// Normal with the variance of a uniform distribution in ±1/√inputs.
fn start(inputs: usize) -> Init {
    Init::of_fan_in(inputs, 1.0 / 3.0)
}

/// Puts zeros at every hidden cell, and fills them in by convolutions (arXiv 2212.07525 §3.1): each
/// is followed by a layer norm without weights and a GELU, and added to what goes into it where that
/// is of the same width. Only asked cells leave it.
///
/// It has no positions and does not read the class token. A convolution keeps the size of the grid,
/// zeros being around it.
#[derive(Module, Debug)]
pub struct ConvDecoder {
    /// Grouped convolutions over the grid.
    pub convs: Vec<Conv2d>,
    /// Decoder width → target width.
    pub projection: Linear,
}

/// Of the norms: PyTorch's default.
const EPSILON: f64 = 1e-5;

/// The layer norm of each token without weights; what is of half precision is computed in f32.
fn normed(tokens: Tensor<3>) -> Tensor<3> {
    let (dtype, width) = (tokens.dtype(), tokens.dims()[2]);
    let tokens = match dtype {
        DType::F16 | DType::BF16 => tokens.cast(DType::F32),
        _ => tokens,
    };
    let gamma = Tensor::ones([width], (&tokens.device().without_autodiff(), tokens.dtype()));
    kernel::layer_norm(tokens, gamma.clone(), gamma.zeros_like(), EPSILON).cast(dtype)
}

impl PredictionHead<VisibleTokens> for ConvDecoder {
    type Prediction = Tensor<3>;

    fn predict(&self, features: VisibleTokens, mask: &Mask) -> Tensor<3> {
        let VisibleTokens { tokens, grid, .. } = features;
        let (mask, Grid { rows, cols }) = (mask.at(grid), grid);
        let [batch, _, width] = tokens.dims();
        let zeros = Tensor::zeros([1, width], (&tokens.device(), tokens.dtype()));
        let mut tokens = mask.visible.fill(tokens, zeros);
        for conv in &self.convs {
            let [_, _, width] = tokens.dims();
            let maps = tokens.clone().swap_dims(1, 2).reshape([batch, width, rows, cols]);
            let next = conv.forward(maps).flatten::<3>(2, 3).swap_dims(1, 2);
            let next = kernel::gelu(normed(next));
            tokens = if next.dims() == tokens.dims() { next + tokens } else { next };
        }
        per_token(&self.projection, mask.asked.select(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::mask::UnitMask;
    use crate::test_device;

    const GRID: Grid = Grid::new(2, 6);

    fn encoder() -> VitConfig {
        VitConfig::new(ImageShape::new(1, 4, 12), 2, 8, 1, 2)
    }

    fn config() -> ConvDecoderConfig {
        ConvDecoderConfig::new().with_width(4).with_depth(1).with_groups(2)
    }

    /// The predictions of cells 1 and 5 from four visible cells in the two columns on the left.
    fn predicted(config: &ConvDecoderConfig, scale: f64) -> [Vec<f32>; 2] {
        let mut weights = InitialWeights::new(0, &test_device());
        let decoder = config.init(&encoder(), 3, &mut weights);
        let visible = [0, 6, 7];
        let hidden = (0..GRID.cells()).filter(|cell| !visible.contains(cell));
        let hidden = UnitMask::from_indices(GRID, hidden).unwrap();
        let asked = UnitMask::from_indices(GRID, [1, 5]).unwrap();
        let mask = Mask::new([hidden], &test_device()).unwrap().with_asked([asked]).unwrap();
        let tokens = weights.param([1, 3, 8], Init::Normal { std: 1.0 }).val() * scale;
        let features = VisibleTokens { tokens, class_token: None, grid: GRID };
        let predicted = decoder.predict(features, &mask);
        assert_eq!(predicted.dims(), [1, 2, 3]);
        let values: Vec<f32> = predicted.into_data().try_to_vec().unwrap();
        [values[..3].to_vec(), values[3..].to_vec()]
    }

    #[test]
    fn a_hidden_cell_sees_as_far_as_the_kernels_reach() {
        let [[near, far], [near_other, far_other]] =
            [predicted(&config(), 1.0), predicted(&config(), 2.0)];
        assert_ne!(near, near_other);
        assert_eq!(far, far_other);
        let deep = config().with_depth(4);
        assert_ne!(predicted(&deep, 1.0)[1], predicted(&deep, 2.0)[1]);
    }

    #[test]
    fn sizes_that_do_not_go_together_are_refused_with_both() {
        let refused =
            |config: ConvDecoderConfig| config.validate(&encoder()).unwrap_err().to_string();
        assert!(refused(config().with_depth(0)).contains("a depth of 0"));
        assert!(refused(config().with_kernel(4)).contains("must be odd, got 4"));
        let groups = refused(config().with_width(6).with_groups(3));
        assert!(groups.contains("3 groups do not divide the encoder's width of 8"), "{groups}");
        let groups = refused(config().with_groups(3));
        assert!(groups.contains("3 groups do not divide the decoder's width of 4"), "{groups}");
    }
}

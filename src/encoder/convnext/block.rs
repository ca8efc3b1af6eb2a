//! ConvNeXt V2's block.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::kernel::gelu_response_norm;
use crate::mask::Shown;
use crate::nn::{
    DepthwiseConv, DropPath, Dropped, Init, InitialWeights, Norm, ResponseNorm, checkpointed,
    per_token,
};

/// The initial values of every matrix and kernel (official code).
pub(super) const INIT: Init = Init::TruncatedNormal { std: 0.02, bound: 2.0 };

/// Of every norm within the network (official code).
pub(super) const EPSILON: f64 = 1e-6;

/// Side of the kernel in cells.
const KERNEL: usize = 7;

/// Features between the two linear layers, over a block's width.
pub(super) const EXPANSION: usize = 4;

/// x + linear(GRN(GELU(linear(norm(depthwise(x)))))) (arXiv 2301.00808 §3, Figure 5), the depthwise
/// convolution over 7 × 7 cells.
///
/// Where cells are hidden, their neighbors see zeros in their place, and the response norm is over
/// the visible cells: a sparse convolution.
#[derive(Module, Debug)]
pub struct ConvNextV2Block {
    /// Mixes cells, each feature on its own.
    pub depthwise: DepthwiseConv,
    /// After the convolution.
    pub norm: Norm,
    /// To four times the width.
    pub fc1: Linear,
    /// Between the two layers, after the GELU.
    pub response_norm: ResponseNorm,
    /// Back to the width.
    pub fc2: Linear,
    /// Drops the branch while training.
    pub drop_path: DropPath,
}

impl ConvNextV2Block {
    /// A block of `width` features that drops its branch with probability `drop_path`.
    pub fn new(width: usize, drop_path: f64, weights: &mut InitialWeights) -> Self {
        let hidden = EXPANSION * width;
        Self {
            depthwise: DepthwiseConv::new(width, KERNEL, INIT, weights),
            norm: weights.norm(width, EPSILON),
            fc1: weights.linear(width, hidden, INIT),
            response_norm: ResponseNorm::new(hidden, weights),
            fc2: weights.linear(hidden, width, INIT),
            drop_path: DropPath::new(drop_path),
        }
    }

    /// The same weights with another probability to drop the branch.
    pub(super) fn with_drop_path(self, probability: f64) -> Self {
        Self { drop_path: self.drop_path.with_probability(probability), ..self }
    }

    /// The tokens of the shown cells after this block, [`checkpointed`].
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, shown cells, width]`
    /// - output: the same
    pub fn forward(&self, tokens: Tensor<3>, shown: &Shown) -> Tensor<3> {
        let (shown, dropped) = (shown.clone(), self.drop_path.draw(&tokens));
        checkpointed(self, tokens, None, move |block, tokens, _| {
            block.compute(tokens, &shown, &dropped)
        })
    }

    fn compute(&self, tokens: Tensor<3>, shown: &Shown, dropped: &Dropped) -> Tensor<3> {
        let grid = shown.grid();
        let mixed = self.depthwise.forward(shown.on_grid(tokens.clone()), grid);
        let hidden = per_token(&self.fc1, self.norm.forward(shown.of_grid(mixed)));
        let ResponseNorm { gamma, beta } = &self.response_norm;
        let hidden = gelu_response_norm(hidden, gamma.val(), beta.val());
        tokens + dropped.apply(per_token(&self.fc2, hidden))
    }
}

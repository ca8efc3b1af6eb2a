//! Convolutions with norms that remember batches.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

use crate::mask::VisibleMaps;
use crate::nn::{Init, InitialWeights, NormsSeen, RunningNorm, convolve, convolve_rectified};

/// A convolution without bias, and the norm that has one.
#[derive(Module, Debug)]
pub struct ConvBatchNorm {
    /// The convolution.
    pub conv: Conv2d,
    /// Over the batch.
    pub norm: RunningNorm,
}

impl ConvBatchNorm {
    pub(super) fn new(
        widths: [usize; 2],
        side: usize,
        stride: usize,
        weights: &mut InitialWeights,
    ) -> Self {
        // The variance of the gradient is kept through rectifiers (torchvision).
        let init = Init::of_fan_in(widths[1] * side * side, 2.0);
        let conv = weights.conv2d_without_bias(widths, side, init);
        let conv = Conv2d { stride: [stride; 2], ..conv };
        Self { conv, norm: RunningNorm::new(widths[1], weights) }
    }

    /// The same convolution with what becomes of its norm.
    pub(super) fn map_norm(self, moved: &mut dyn FnMut(RunningNorm) -> RunningNorm) -> Self {
        Self { norm: moved(self.norm), ..self }
    }

    /// Of maps, or of their rectified values.
    pub(super) fn forward(&self, maps: Tensor<4>, rectified: bool, read: &mut Read) -> Tensor<4> {
        let convolve = if rectified { convolve_rectified } else { convolve };
        read.norm(&self.norm, convolve(&self.conv, maps))
    }
}

/// Whole images by what the norms remember, or visible cells by the statistics of these.
pub(super) struct Read {
    visible: Option<VisibleMaps>,
    /// What all norms that were computed saw, in order.
    pub(super) seen: NormsSeen,
}

impl Read {
    pub(super) fn whole() -> Self {
        Self { visible: None, seen: NormsSeen::default() }
    }

    pub(super) fn visible(visible: VisibleMaps) -> Self {
        Self { visible: Some(visible), seen: NormsSeen::default() }
    }

    /// Zeros at hidden cells.
    pub(super) fn only(&self, maps: Tensor<4>) -> Tensor<4> {
        match &self.visible {
            Some(visible) => visible.only(maps),
            None => maps,
        }
    }

    /// Normalized maps, zeros at hidden cells.
    pub(super) fn norm(&mut self, norm: &RunningNorm, maps: Tensor<4>) -> Tensor<4> {
        let Some(visible) = &self.visible else { return norm.forward(maps) };
        let (output, moments) = visible.batch_norm(&norm.norm, maps);
        self.seen.0.push(moments);
        output
    }
}

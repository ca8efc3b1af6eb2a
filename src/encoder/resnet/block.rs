//! A ResNet's blocks.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::read::Read;
use crate::nn::{Init, InitialWeights, RunningNorm, convolve, convolve_rectified};

/// A convolution without bias, and the norm that has one.
#[derive(Module, Debug)]
pub struct ConvBatchNorm {
    /// The convolution.
    pub conv: Conv2d,
    /// Over the batch.
    pub norm: RunningNorm,
}

/// x' + norms and convolutions, and a rectifier, x' being x or, where the shape changes, its projection.
///
/// A bottleneck has convolutions of 1 × 1, 3 × 3 and 1 × 1, of which the second has the stage's stride, as
/// in torchvision; other blocks have two of 3 × 3, of which the first has it.
#[derive(Module, Debug)]
pub struct ResNetBlock {
    /// One after the other, with rectifiers between.
    pub convs: Vec<ConvBatchNorm>,
    /// 1 × 1, where the shape changes.
    pub projection: Option<ConvBatchNorm>,
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

    /// Of maps, or of their rectified values.
    pub(super) fn forward(&self, maps: Tensor<4>, rectified: bool, read: &mut Read) -> Tensor<4> {
        let convolve = if rectified { convolve_rectified } else { convolve };
        read.norm(&self.norm, convolve(&self.conv, maps))
    }
}

impl ResNetBlock {
    pub(super) fn new(
        [from, within, to]: [usize; 3],
        stride: usize,
        bottleneck: bool,
        weights: &mut InitialWeights,
    ) -> Self {
        let layers: &[_] = match bottleneck {
            true => &[(1, 1, within), (3, stride, within), (1, 1, to)],
            false => &[(3, stride, within), (3, 1, to)],
        };
        let mut inputs = from;
        let convs = layers.iter().map(|&(side, stride, outputs)| {
            let conv = ConvBatchNorm::new([inputs, outputs], side, stride, weights);
            inputs = outputs;
            conv
        });
        let convs = convs.collect();
        let changes = from != to || stride > 1;
        let projection = changes.then(|| ConvBatchNorm::new([from, to], 1, stride, weights));
        Self { convs, projection }
    }

    pub(super) fn forward(&self, maps: Tensor<4>, read: &mut Read) -> Tensor<4> {
        let mut branch = maps.clone();
        for (index, conv) in self.convs.iter().enumerate() {
            branch = conv.forward(branch, index > 0, read);
        }
        let identity = match &self.projection {
            Some(projection) => projection.forward(maps, false, read),
            None => maps,
        };
        relu(identity + branch)
    }

    /// The norms, in the order in which they are computed.
    pub(super) fn map_norms(self, mut moved: impl FnMut(RunningNorm) -> RunningNorm) -> Self {
        let mut map = |layer: ConvBatchNorm| ConvBatchNorm { norm: moved(layer.norm), ..layer };
        Self {
            convs: self.convs.into_iter().map(&mut map).collect(),
            projection: self.projection.map(map),
        }
    }
}

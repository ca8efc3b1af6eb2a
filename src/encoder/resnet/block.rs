//! A ResNet's blocks.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::encoder::conv_batch_norm::{ConvBatchNorm, Read};
use crate::nn::{InitialWeights, RunningNorm};

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
    pub(super) fn map_norms(self, moved: &mut dyn FnMut(RunningNorm) -> RunningNorm) -> Self {
        Self {
            convs: self.convs.into_iter().map(|layer| layer.map_norm(moved)).collect(),
            projection: self.projection.map(|layer| layer.map_norm(moved)),
        }
    }
}

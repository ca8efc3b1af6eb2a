//! The residual convolutions of DALL·E's encoder and decoder.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::kernel::{doubled, halved};
use crate::nn::{Init, InitialWeights, convolve, convolve_rectified, convolve_scaled};

/// x + gain · (four convolutions, each after a rectifier) of x.
#[derive(Module, Debug)]
pub struct DvaeBlock {
    /// Where the channels change, what stands for x: a 1 × 1 convolution.
    pub identity: Option<Conv2d>,
    /// The four convolutions, the first three a quarter as wide as the last.
    pub convs: Vec<Conv2d>,
    /// 1 / (blocks of the stack)².
    pub gain: f64,
}

impl DvaeBlock {
    fn new(
        [inputs, outputs]: [usize; 2],
        kernels: [usize; 4],
        gain: f64,
        weights: &mut InitialWeights,
    ) -> Self {
        let narrow = outputs / 4;
        let widths = [inputs, narrow, narrow, narrow, outputs];
        Self {
            identity: (inputs != outputs).then(|| conv([inputs, outputs], 1, weights)),
            convs: (0..4).map(|i| conv([widths[i], widths[i + 1]], kernels[i], weights)).collect(),
            gain,
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let (last, convs) = self.convs.split_last().expect("four convolutions");
        let narrow =
            convs.iter().fold(images.clone(), |images, conv| convolve_rectified(conv, images));
        let residual = convolve_scaled(last, narrow, self.gain);
        let identity = match &self.identity {
            Some(conv) => convolve(conv, images),
            None => images,
        };
        identity + residual
    }
}

/// A convolution of variance 1 / inputs, as DALL·E's.
pub(super) fn conv(
    [inputs, outputs]: [usize; 2],
    side: usize,
    weights: &mut InitialWeights,
) -> Conv2d {
    weights.conv2d([inputs, outputs], side, Init::of_fan_in(inputs * side * side, 1.0))
}

/// Groups of residual blocks with a change of size between two groups, then a rectifier.
#[derive(Module, Debug)]
pub struct ResidualStack {
    /// The groups.
    pub groups: Vec<Vec<DvaeBlock>>,
    /// Whether the images are halved between two groups, and not doubled.
    pub shrinks: bool,
}

impl ResidualStack {
    /// An encoder's stack: `widths[0]` channels in, one group of `blocks` for each other width.
    pub(super) fn shrinking(widths: &[usize], blocks: usize, weights: &mut InitialWeights) -> Self {
        Self::new(widths, blocks, [3, 3, 3, 1], true, weights)
    }

    /// A decoder's stack.
    pub(super) fn growing(widths: &[usize], blocks: usize, weights: &mut InitialWeights) -> Self {
        Self::new(widths, blocks, [1, 3, 3, 3], false, weights)
    }

    fn new(
        widths: &[usize],
        blocks: usize,
        kernels: [usize; 4],
        shrinks: bool,
        weights: &mut InitialWeights,
    ) -> Self {
        let gain = 1.0 / ((widths.len() - 1) * blocks).pow(2) as f64;
        let groups = widths
            .windows(2)
            .map(|pair| {
                (0..blocks)
                    .map(|block| {
                        let inputs = if block == 0 { pair[0] } else { pair[1] };
                        DvaeBlock::new([inputs, pair[1]], kernels, gain, weights)
                    })
                    .collect()
            })
            .collect();
        Self { groups, shrinks }
    }

    /// # Shapes
    ///
    /// - images: `[batch, channels of the first block, height, width]`
    /// - output: `[batch, channels of the last block, ..]`, halved or doubled between the groups
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let mut images = images;
        for (index, group) in self.groups.iter().enumerate() {
            if index > 0 {
                images = if self.shrinks { halved(images) } else { doubled(images) };
            }
            images = group.iter().fold(images, |images, block| block.forward(images));
        }
        relu(images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn a_block_without_gain_is_the_identity() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let block = DvaeBlock::new([4, 4], [3, 3, 3, 1], 0.0, weights);
        let images = Tensor::<4>::ones([1, 4, 2, 3], &test_device());
        block.forward(images.clone()).into_data().assert_eq(&images.into_data(), true);
    }

    #[test]
    fn stacks_change_sizes_between_groups_and_have_the_gain_of_all_blocks() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let stack = ResidualStack::shrinking(&[4, 4, 8, 16], 2, weights);
        let images = Tensor::ones([2, 4, 8, 16], &test_device());
        assert_eq!(stack.forward(images).dims(), [2, 16, 2, 4]);
        assert_eq!(stack.groups[2][1].gain, 1.0 / 36.0);
        let stack = ResidualStack::growing(&[4, 16, 8], 1, weights);
        let images = Tensor::ones([2, 4, 2, 4], &test_device());
        assert_eq!(stack.forward(images).dims(), [2, 8, 4, 8]);
    }

    #[test]
    fn a_block_adds_its_convolutions_times_the_gain_to_what_it_reads() {
        let block = |gain| {
            DvaeBlock::new([4, 8], [3, 3, 3, 1], gain, &mut InitialWeights::new(0, &test_device()))
        };
        assert_eq!(
            block(0.0).convs.iter().map(|c| c.weight.dims()[0]).collect::<Vec<_>>(),
            [2, 2, 2, 8]
        );
        let images =
            InitialWeights::new(1, &test_device()).param([1, 4, 3, 3], Init::Normal { std: 1.0 });
        let images = images.val();
        let convs = &block(0.0).convs;
        let residual = convs.iter().fold(images.clone(), |images, conv| conv.forward(relu(images)));
        let expected = block(0.0).forward(images.clone()) + residual * 0.5;
        let tolerance = burn::tensor::Tolerance::absolute(1e-5);
        block(0.5)
            .forward(images)
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), tolerance);
    }
}

//! SparK's decoder: from the features of all stages to pixels, coarse to fine.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::Tensor;

use super::PredictionHead;
use crate::config::config;
use crate::encoder::FeatureMaps;
use crate::error::{Result, ensure};
use crate::grid::Grid;
use crate::image::{PatchLayout, grid_of, patchify};
use crate::limits;
use crate::mask::{Mask, VisibleMaps};
use crate::nn::{Init, InitialWeights, convolve, convolve_transposed, group_norm};

config! {
    /// The sizes of a [`UNetDecoder`].
    #[derive(Debug, PartialEq, Eq)]
    pub struct UNetDecoderConfig {
        /// Features at the coarsest stage; every finer one has half as many. Default: 512 (official
        /// code)
        pub width: usize = 512,
        /// Groups of every norm; must divide the features of every stage. Default: 8
        pub groups: usize = 8,
    }
}

impl UNetDecoderConfig {
    /// Checks every rule that the sizes must keep beside an encoder of `stages` stages.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self, stages: usize) -> Result<()> {
        let Self { width, groups } = *self;
        limits::counts("decoder.width", width, limits::WIDTH)?;
        limits::counts("decoder.groups", groups, limits::WIDTH)?;
        limits::at_most("the number of stages", stages, limits::STAGES)?;
        ensure!(
            width.is_multiple_of(groups << stages.saturating_sub(1)),
            "a decoder of {stages} stages halves its features {} times into {groups} groups, which \
             {width} cannot be",
            stages.saturating_sub(1)
        );
        limits::parameters(limits::product(&[width, width, 40]))
    }

    /// A decoder for stages of these `widths`, finest first, that predicts `channels` values of each
    /// pixel in squares of `patch` pixels.
    ///
    /// # Panics
    ///
    /// With the message of [`UNetDecoderConfig::validate`] when that fails.
    pub fn init(
        &self,
        widths: &[usize],
        channels: usize,
        patch: usize,
        weights: &mut InitialWeights,
    ) -> UNetDecoder {
        self.validate(widths.len()).unwrap_or_else(|error| panic!("{error}"));
        let coarse = widths.len() - 1;
        let own = |stage: usize| self.width >> (coarse - stage);
        let mut densify = |stage: usize| {
            let side = if stage == coarse { 1 } else { 3 };
            Densify {
                norm: self.norm(widths[stage], weights),
                mask_embedding: weights.param([1, widths[stage]], TOKEN),
                projection: weights.conv2d([widths[stage], own(stage)], side, TOKEN),
            }
        };
        let densify = (0..=coarse).map(&mut densify).collect();
        let blocks = (0..coarse).map(|stage| self.block([own(stage + 1), own(stage)], weights));
        let blocks = blocks.collect();
        let projection = weights.conv2d([own(0), channels], 1, TOKEN);
        UNetDecoder { densify, blocks, projection, patch }
    }

    fn norm(&self, width: usize, weights: &InitialWeights) -> GroupNorm {
        // The encoder's widths need not be divided by these groups.
        let groups = if width.is_multiple_of(self.groups) { self.groups } else { 1 };
        GroupNormConfig::new(groups, width).init(weights.device())
    }

    fn block(&self, [from, to]: [usize; 2], weights: &mut InitialWeights) -> UNetBlock {
        let up = ConvTranspose2dConfig::new([from, from], [4, 4])
            .with_stride([2, 2])
            .with_padding([1, 1])
            .init(weights.device());
        UNetBlock {
            up: ConvTranspose2d {
                weight: weights.param([from, from, 4, 4], TOKEN),
                bias: Some(weights.zeros([from])),
                ..up
            },
            first: weights.conv2d_without_bias([from, from], 3, TOKEN),
            first_norm: self.norm(from, weights),
            second: weights.conv2d_without_bias([from, to], 3, TOKEN),
            second_norm: self.norm(to, weights),
        }
    }
}

/// How all of the decoder starts (official code).
const TOKEN: Init = Init::TruncatedNormal { std: 0.02, bound: 2.0 };

/// Fills the hidden cells of every stage with an embedding, and goes from the coarsest stage to the
/// finest, adding each on its way (SparK, Tian et al. 2023, arXiv 2301.03580 §3.2).
#[derive(Module, Debug)]
pub struct UNetDecoder {
    /// For each stage, finest first.
    pub densify: Vec<Densify>,
    /// From a stage to the next finer one: the one before the finest first, as `densify` counts.
    pub blocks: Vec<UNetBlock>,
    /// Features → the values of a pixel.
    pub projection: Conv2d,
    patch: usize,
}

/// What makes sparse features dense.
#[derive(Module, Debug)]
pub struct Densify {
    /// Over the visible cells.
    pub norm: GroupNorm,
    /// What hidden cells become, `[1, features]`.
    pub mask_embedding: Param<Tensor<2>>,
    /// To the decoder's features.
    pub projection: Conv2d,
}

/// Twice as many rows and columns, then relu6(norm(conv)) and norm(conv).
#[derive(Module, Debug)]
pub struct UNetBlock {
    /// 4 × 4, a stride of 2.
    pub up: ConvTranspose2d,
    /// 3 × 3.
    pub first: Conv2d,
    /// After it.
    pub first_norm: GroupNorm,
    /// 3 × 3.
    pub second: Conv2d,
    /// After it.
    pub second_norm: GroupNorm,
}

impl UNetBlock {
    fn forward(&self, features: Tensor<4>) -> Tensor<4> {
        let features = convolve(&self.first, convolve_transposed(&self.up, features));
        let features = group_norm(&self.first_norm, features, true).clamp_max(6.0);
        group_norm(&self.second_norm, convolve(&self.second, features), false)
    }
}

impl Densify {
    /// All cells of a stage, the hidden ones as the embedding, in the decoder's features.
    fn forward(&self, features: Tensor<4>, visible: &VisibleMaps) -> Tensor<4> {
        let [_, width, rows, cols] = features.dims();
        let hidden = visible.on(Grid::new(rows, cols)).0.neg() + 1.0;
        let filled = hidden * self.mask_embedding.val().reshape([1, width, 1, 1]);
        convolve(&self.projection, visible.norm(&self.norm, features) + filled)
    }
}

impl UNetDecoder {
    /// The values of all pixels, `[batch, channels, height, width]`.
    fn pixels(&self, features: FeatureMaps, mask: &Mask) -> Tensor<4> {
        let FeatureMaps { stages } = features;
        let visible = VisibleMaps::new(mask, &stages[0]);
        let dense = stages.into_iter().zip(&self.densify);
        let mut dense: Vec<_> =
            dense.map(|(stage, densify)| densify.forward(stage, &visible)).collect();
        let coarsest = dense.pop().expect("an encoder has stages");
        let steps = dense.into_iter().zip(&self.blocks).rev();
        let finest =
            steps.fold(coarsest, |features, (stage, block)| block.forward(features) + stage);
        convolve(&self.projection, finest)
    }
}

impl PredictionHead<FeatureMaps> for UNetDecoder {
    type Prediction = Tensor<3>;

    /// # Panics
    ///
    /// When the encoder has other stages, or the pixels do not divide into squares.
    fn predict(&self, features: FeatureMaps, mask: &Mask) -> Tensor<3> {
        let (has, reads) = (features.stages.len(), self.densify.len());
        assert!(has == reads, "a decoder of {reads} stages got features of {has}");
        let pixels = self.pixels(features, mask);
        let grid = grid_of(&pixels, self.patch);
        let cells = patchify(pixels, self.patch, PatchLayout::ChannelsLast);
        mask.at(grid).asked.select(cells)
    }
}

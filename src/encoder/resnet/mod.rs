//! ResNets (He et al. 2015, arXiv 1512.03385), with torchvision's and timm's weights.

mod block;
mod config;
#[cfg(test)]
mod tests;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;

pub use block::ResNetBlock;
pub use config::ResNetConfig;

use super::conv_batch_norm::{ConvBatchNorm, Read};
use super::residual::as_tokens;
use super::{Backbone, Encoder, FeatureMaps, GridTokens, check_channels};
use crate::mask::{Mask, VisibleMaps};
use crate::nn::{InitialWeights, NormsSeen};

/// Side of the first convolution's kernel.
const STEM: usize = 7;

/// A convolution of 7 × 7 pixels, a maximum of 3 × 3, and residual blocks in stages of half the size each:
/// ResNet-18 to ResNet-200. It reads images of any size.
///
/// Whole images are read by the statistics that the norms remember, so features of an image are its own;
/// fine-tuning leaves these statistics as they are. Under masks, which pre-training has, they are those of
/// the batch's visible cells (SparK, Tian et al. 2023, arXiv 2301.03580 §3.1), and
/// [`follow`](Encoder::follow) moves what is remembered.
#[derive(Module, Debug)]
pub struct ResNet {
    /// The first convolution, of stride 2.
    pub stem: ConvBatchNorm,
    /// The blocks of each stage.
    pub stages: Vec<Vec<ResNetBlock>>,
    #[module(skip)]
    config: ResNetConfig,
}

impl ResNetConfig {
    /// The network with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`ResNetConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> ResNet {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let stem = ConvBatchNorm::new([self.channels, self.stem], STEM, 2, weights);
        let mut from = self.stem;
        let mut stages = Vec::new();
        for (stage, &depth) in self.depths.iter().enumerate() {
            let (within, to) = (self.widths[stage], self.stage_width(stage));
            let blocks = (0..depth).map(|block| {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let widths = [from, within, to];
                from = to;
                ResNetBlock::new(widths, stride, self.bottleneck, weights)
            });
            stages.push(blocks.collect());
        }
        ResNet { stem, stages, config: self.clone() }
    }
}

impl ResNet {
    /// The sizes.
    pub fn config(&self) -> &ResNetConfig {
        &self.config
    }

    /// What goes into the first block, and what comes out of each of the first `count`.
    fn maps(&self, images: Tensor<4>, count: usize, read: &mut Read) -> Vec<Tensor<4>> {
        let all = self.layers();
        assert!(count <= all, "a ResNet of {all} blocks has no features {count}");
        check_channels(&images, self.config.channels);
        let first = relu(self.stem.forward(read.only(images), false, read));
        let pooling = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
        let mut maps = vec![read.only(max_pool2d(first, pooling))];
        for block in self.stages.iter().flatten().take(count) {
            maps.push(block.forward(maps[maps.len() - 1].clone(), read));
        }
        maps
    }

    /// The numbers of the blocks that end a stage, counted from 1.
    fn ends(&self) -> impl Iterator<Item = usize> {
        self.config.depths.iter().scan(0, |end, depth| {
            *end += depth;
            Some(*end)
        })
    }
}

impl Backbone for ResNet {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        let mut maps = self.maps(images, self.layers(), &mut Read::whole());
        as_tokens(maps.pop().expect("there are maps"))
    }

    /// 0 is what the first pooling leaves; each stage has a grid and a width of its own.
    fn represented_layers(&self) -> usize {
        self.layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let count = layers.iter().copied().max().unwrap_or(0);
        let maps = self.maps(images, count, &mut Read::whole());
        layers.iter().map(|&layer| as_tokens(maps[layer].clone())).collect()
    }

    fn stages(&self, images: Tensor<4>) -> Vec<GridTokens> {
        self.represent_layers(images, &self.ends().collect::<Vec<_>>())
    }

    fn width(&self) -> usize {
        self.config.stage_width(self.config.depths.len() - 1)
    }

    fn describe(&self) -> String {
        let ResNetConfig { depths, bottleneck, .. } = &self.config;
        let depths: Vec<_> = depths.iter().map(usize::to_string).collect();
        let kind = if *bottleneck { "bottleneck" } else { "basic" };
        format!("ResNet of {} features, {} {kind} blocks", self.width(), depths.join("-"))
    }

    fn layers(&self) -> usize {
        self.config.depths.iter().sum()
    }

    fn layer_of(&self, parameter: &str) -> usize {
        let Some(path) = parameter.strip_prefix("stages.") else { return 0 };
        let mut numbers = path.split('.').map_while(|part| part.parse::<usize>().ok());
        let (stage, block) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        self.config.depths.iter().take(stage).sum::<usize>() + block + 1
    }
}

/// What a visible cell becomes is what convolutions of visible cells alone make of it (arXiv 2301.03580
/// §3.1).
impl Encoder for ResNet {
    type Images = Tensor<4>;
    type Features = FeatureMaps;

    /// # Panics
    ///
    /// When the images have other channels, or a mask unit is not a whole number of cells of the last
    /// stage.
    fn encode(&self, images: Tensor<4>, mask: &Mask) -> FeatureMaps {
        self.encode_seen(images, mask).0
    }

    fn encode_seen(&self, images: Tensor<4>, mask: &Mask) -> (FeatureMaps, NormsSeen) {
        let mut read = Read::visible(VisibleMaps::new(mask, &images));
        let maps = self.maps(images, self.layers(), &mut read);
        let stages = self.ends().map(|end| maps[end].clone()).collect();
        (FeatureMaps { stages }, read.seen)
    }

    fn follow(self, seen: NormsSeen) -> Self {
        seen.move_all(|moved| Self {
            stem: self.stem.map_norm(moved),
            stages: self
                .stages
                .into_iter()
                .map(|blocks| blocks.into_iter().map(|block| block.map_norms(moved)).collect())
                .collect(),
            config: self.config,
        })
    }
}

//! The stages of a ConvNeXt V2.

use burn::module::Module;
use burn::tensor::Tensor;

use super::downsampling::halved;
use super::{ConvNextStem, ConvNextV2Block, ConvNextV2Config, Downsampling};
use crate::encoder::{Backbone, Encoder, GridTokens, VisibleTokens};
use crate::grid::Grid;
use crate::mask::{Mask, Shown};
use crate::nn::{InitialWeights, Norm};

/// Stages of depthwise convolutions and linear layers over fewer and fewer cells. Hidden patches are
/// dropped, and the convolutions sparse: at every stage visible cells alone are computed, and see zeros
/// in place of hidden ones (arXiv 2301.00808 §3.1).
///
/// Its features come from the last stage, with one cell for each [`stride`](ConvNextV2Config::stride) ×
/// stride pixels, and have no norm, as transformers' `last_hidden_state`. Images of any size are read;
/// pixels and cells at the border that are too few for a whole one are left out, as in PyTorch. Masks
/// need images of whole cells.
#[derive(Module, Debug)]
pub struct ConvNextV2 {
    /// Pixels to tokens.
    pub stem: ConvNextStem,
    /// The stages.
    pub stages: Vec<ConvNextV2Stage>,
    /// The norm of the pooled features, where published weights have one; nothing in the network reads
    /// it but [`pooled`](Self::pooled).
    pub pooled_norm: Option<Norm>,
    #[module(skip)]
    config: ConvNextV2Config,
}

/// Blocks over one grid.
#[derive(Module, Debug)]
pub struct ConvNextV2Stage {
    /// What leads to the stage, but for the first.
    pub downsampling: Option<Downsampling>,
    /// The blocks.
    pub blocks: Vec<ConvNextV2Block>,
}

impl ConvNextV2Config {
    /// The network with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`ConvNextV2Config::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> ConvNextV2 {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let Self { image, patch, widths, depths, .. } = self;
        let stem = ConvNextStem::new(image.channels, *patch, widths[0], weights);
        let stages = (0..depths.len()).map(|stage| {
            let (first, width) = (self.blocks_before(stage), widths[stage]);
            let downsampling = stage.checked_sub(1);
            let blocks = first..first + depths[stage];
            ConvNextV2Stage {
                downsampling: downsampling
                    .map(|before| Downsampling::new([widths[before], width], weights)),
                blocks: blocks
                    .map(|block| ConvNextV2Block::new(width, self.block_drop_path(block), weights))
                    .collect(),
            }
        });
        let stages = stages.collect();
        let pooled_norm = self.pooled_norm.map(|e| weights.norm(self.output_width(), e));
        ConvNextV2 { stem, stages, pooled_norm, config: self.clone() }
    }
}

impl ConvNextV2 {
    /// The sizes.
    pub fn config(&self) -> &ConvNextV2Config {
        &self.config
    }

    /// The mean of the features, normed where there is a norm of them, `[batch, width]`: transformers'
    /// `pooler_output`.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalized
    pub fn pooled(&self, images: Tensor<4>) -> Tensor<2> {
        let mean = self.represent(images).mean_pool();
        match &self.pooled_norm {
            Some(norm) => norm.forward(mean),
            None => mean,
        }
    }

    /// Those tokens of embedded patches, of the cells that `shown` says of each grid, that come out of as
    /// many blocks as `layers` says.
    pub(super) fn layers_of(
        &self,
        mut tokens: Tensor<3>,
        grid: Grid,
        shown: impl Fn(Grid) -> Shown,
        layers: &[usize],
    ) -> Vec<GridTokens> {
        let mut found: Vec<Option<GridTokens>> = vec![None; layers.len()];
        let mut layer = 0;
        let mut see = |tokens: &Tensor<3>, grid| {
            for (slot, _) in found.iter_mut().zip(layers).filter(|(_, asked)| **asked == layer) {
                *slot = Some(GridTokens { tokens: tokens.clone(), class_token: None, grid });
            }
            layer += 1;
        };
        let mut cells = shown(grid);
        see(&tokens, grid);
        for stage in &self.stages {
            if let Some(downsampling) = &stage.downsampling {
                let to = shown(halved(cells.grid()));
                tokens = downsampling.forward(tokens, &cells, &to);
                cells = to;
            }
            for block in &stage.blocks {
                tokens = block.forward(tokens, &cells);
                see(&tokens, cells.grid());
            }
        }
        let missing = |asked: &usize| {
            panic!("a ConvNeXt V2 of {} blocks has no features {asked}", self.layers())
        };
        let found = found.into_iter().zip(layers);
        found.map(|(features, asked)| features.unwrap_or_else(|| missing(asked))).collect()
    }
}

impl Backbone for ConvNextV2 {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        self.represent_layers(images, &[self.layers()]).remove(0)
    }

    /// Each layer has the grid and the width of its stage.
    fn represented_layers(&self) -> usize {
        self.layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let (grid, patches) = self.stem.patches(images);
        self.layers_of(self.stem.embed(patches), grid, Shown::all, layers)
    }

    /// The feature pyramid: what each stage ends with, without any norm.
    fn stages(&self, images: Tensor<4>) -> Vec<GridTokens> {
        let ends = (1..=self.stages.len()).map(|stage| self.config.blocks_before(stage));
        self.represent_layers(images, &ends.collect::<Vec<_>>())
    }

    fn width(&self) -> usize {
        self.config.output_width()
    }

    fn describe(&self) -> String {
        let depths: Vec<_> = self.config.depths.iter().map(usize::to_string).collect();
        format!("ConvNeXt V2 {}×{}", self.config.widths[0], depths.join("-"))
    }

    fn layers(&self) -> usize {
        self.config.blocks_before(self.stages.len())
    }

    /// What leads to a stage counts as its first block, as in the official code.
    fn layer_of(&self, parameter: &str) -> usize {
        let names: Vec<_> = parameter.split('.').collect();
        match names[..] {
            ["stages", stage, part, ..] => {
                let before = self.config.blocks_before(stage.parse().unwrap_or(0));
                let block = names.get(3).filter(|_| part == "blocks");
                before + block.and_then(|block| block.parse::<usize>().ok()).unwrap_or(0) + 1
            }
            ["pooled_norm", ..] => self.layers() + 1,
            _ => 0,
        }
    }

    fn with_drop_path(mut self, probability: f64) -> Self {
        self.config.drop_path = probability;
        let mut index = 0..;
        for stage in &mut self.stages {
            let blocks = stage.blocks.drain(..).zip(&mut index);
            stage.blocks = blocks
                .map(|(block, index)| block.with_drop_path(self.config.block_drop_path(index)))
                .collect();
        }
        self
    }
}

impl Encoder for ConvNextV2 {
    type Images = Tensor<4>;
    type Features = VisibleTokens;

    /// The features of the visible cells, by sparse convolutions.
    fn encode(&self, images: Tensor<4>, mask: &Mask) -> VisibleTokens {
        let (grid, patches) = self.stem.patches(images);
        let shown = |grid| Shown::visible(mask, grid);
        let tokens = self.stem.embed(shown(grid).of_grid(patches));
        let GridTokens { tokens, grid, .. } =
            self.layers_of(tokens, grid, shown, &[self.layers()]).remove(0);
        VisibleTokens { tokens, class_token: None, grid }
    }
}

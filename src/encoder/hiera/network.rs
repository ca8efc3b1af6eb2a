//! The hierarchy.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{HieraBlock, HieraConfig, UnitEmbedding, in_rows, in_units};
use crate::encoder::{Backbone, Encoder, GridTokens};
use crate::grid::Grid;
use crate::mask::{GridMask, Mask};
use crate::nn::{DropPath, InitialWeights};

/// Stages of attention, first within mask units and then of all tokens, with fewer and wider tokens
/// from one to the next. It drops hidden mask units once patches are embedded, of images whose
/// hidden pixels are 0, as the patches overlap (arXiv 2306.00989 §3.2).
///
/// Its features are what comes out of the last block: there is no norm after it, since the
/// reference's classifier norms them once they are pooled, as
/// [`Classification`](crate::eval::Classification) does, and its masked autoencoder norms what it
/// makes of all stages.
#[derive(Module, Debug)]
pub struct Hiera {
    /// Pixels to tokens.
    pub patch_embed: UnitEmbedding,
    /// The stages.
    pub stages: Vec<HieraStage>,
    #[module(skip)]
    config: HieraConfig,
}

/// Blocks of one width.
#[derive(Module, Debug)]
pub struct HieraStage {
    /// The blocks, of which the first may pool.
    pub blocks: Vec<HieraBlock>,
}

/// The features of the visible mask units in every stage.
#[derive(Debug, Clone)]
pub struct StageTokens {
    /// `[batch, visible units, cells of a unit, width]` of each stage, the units in ascending order,
    /// the finest places within a unit first.
    pub stages: Vec<Tensor<4>>,
    /// The grid of all mask units.
    pub units: Grid,
}

impl HieraConfig {
    /// An encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`HieraConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Hiera {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let patch_embed = UnitEmbedding::new(self, weights);
        let stages = self.depths.iter().enumerate();
        let stages = stages
            .map(|(stage, &depth)| HieraStage {
                blocks: (0..depth)
                    .map(|block| HieraBlock::new(self, [stage, block], weights))
                    .collect(),
            })
            .collect();
        Hiera { patch_embed, stages, config: self.clone() }
    }
}

impl Hiera {
    /// The sizes.
    pub fn config(&self) -> &HieraConfig {
        &self.config
    }

    /// The same encoder, its weights and their identities kept, whose first `pools` stages after the
    /// first one pool: the paper fine-tunes with one more than it pre-trains with.
    ///
    /// # Panics
    ///
    /// With the message of [`HieraConfig::validate`] when that fails.
    pub fn with_pools(mut self, pools: usize) -> Self {
        self.config.pools = pools;
        self.config.validate().unwrap_or_else(|error| panic!("{error}"));
        for (number, stage) in self.stages.iter_mut().enumerate() {
            for (index, block) in stage.blocks.iter_mut().enumerate() {
                block.attention.attends = self.config.attends(number, index);
            }
        }
        self
    }

    /// The features of whole images in the order in which they lie: transformers'
    /// `last_hidden_state`. Where the stages pool less often than they could, that is group by group,
    /// the finest places first, and not row by row as in [`Backbone::represent`].
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalized
    /// - output: `[batch, cells, width]`
    pub fn last_hidden_state(&self, images: Tensor<4>) -> Tensor<3> {
        let (tokens, groups) = self.embed(images);
        let last = self.layers_of(tokens, groups.cells(), &[self.layers()]).remove(0);
        let [batch, cells, width] = last.dims();
        // The reference has places before groups.
        let units = last.reshape([batch, groups.cells(), cells / groups.cells(), width]);
        units.swap_dims(1, 2).reshape([batch, cells, width])
    }

    /// The grid of tokens of images of this height and width.
    fn grid_of(&self, [height, width]: [usize; 2]) -> Grid {
        let (config, [down, right]) = (&self.config, self.config.group());
        let (rows, cols) = (down * config.patch_stride[0], right * config.patch_stride[1]);
        assert!(
            height > 0 && height.is_multiple_of(rows) && width > 0 && width.is_multiple_of(cols),
            "images of {height}×{width} pixels do not divide into squares of {rows}×{cols} pixels, whose \
             tokens a Hiera keeps together"
        );
        let grid = config.grid_of([height, width]);
        config.check_windows(grid.cells()).unwrap_or_else(|error| panic!("{error}"));
        grid
    }

    /// Embedded tokens, group by group, and the grid of groups.
    fn embed(&self, images: Tensor<4>) -> (Tensor<3>, Grid) {
        let [batch, _, height, width] = images.dims();
        let (config, levels) = (&self.config, self.stages.len() - 1);
        let grid = self.grid_of([height, width]);
        let [down, right] = config.group();
        let tokens = in_units(self.patch_embed.forward(images), config.query_stride, levels);
        let tokens = tokens.reshape([batch, grid.cells(), config.width]);
        (tokens, Grid::new(grid.rows / down, grid.cols / right))
    }

    /// Those tokens that come out of as many blocks as `layers` says.
    fn layers_of(&self, mut tokens: Tensor<3>, groups: usize, layers: &[usize]) -> Vec<Tensor<3>> {
        let mut found: Vec<Option<Tensor<3>>> = vec![None; layers.len()];
        let mut see = |tokens: &Tensor<3>, layer| {
            for (slot, _) in found.iter_mut().zip(layers).filter(|(_, asked)| **asked == layer) {
                *slot = Some(tokens.clone());
            }
        };
        see(&tokens, 0);
        let most = layers.iter().copied().max().unwrap_or(0);
        for (index, block) in self.blocks().enumerate().take(most) {
            tokens = block.forward(tokens, groups);
            see(&tokens, index + 1);
        }
        let missing =
            |asked: &usize| panic!("a Hiera of {} blocks has no features {asked}", self.layers());
        let found = found.into_iter().zip(layers);
        found.map(|(features, asked)| features.unwrap_or_else(|| missing(asked))).collect()
    }

    /// Tokens of whole images row by row.
    fn rolled(&self, tokens: Tensor<3>, groups: Grid) -> GridTokens {
        let [batch, count, width] = tokens.dims();
        let units = tokens.reshape([batch, groups.cells(), count / groups.cells(), width]);
        let map = in_rows(units, [groups.rows, groups.cols], self.config.query_stride);
        let [_, rows, cols, _] = map.dims();
        let tokens = map.reshape([batch, count, width]);
        GridTokens { tokens, class_token: None, grid: Grid::new(rows, cols) }
    }

    fn blocks(&self) -> impl Iterator<Item = &HieraBlock> {
        self.stages.iter().flat_map(|stage| &stage.blocks)
    }

    /// The blocks of the stages before `stage`.
    fn blocks_before(&self, stage: usize) -> usize {
        self.stages[..stage].iter().map(|stage| stage.blocks.len()).sum()
    }

    fn ends(&self) -> Vec<usize> {
        (1..=self.stages.len()).map(|stage| self.blocks_before(stage)).collect()
    }
}

impl Backbone for Hiera {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        self.represent_layers(images, &[self.layers()]).remove(0)
    }

    /// Each layer has the grid and the width of its stage.
    fn represented_layers(&self) -> usize {
        self.layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let (tokens, groups) = self.embed(images);
        let layers = self.layers_of(tokens, groups.cells(), layers).into_iter();
        layers.map(|tokens| self.rolled(tokens, groups)).collect()
    }

    /// The feature pyramid: transformers' `reshaped_hidden_states` after the first.
    fn stages(&self, images: Tensor<4>) -> Vec<GridTokens> {
        self.represent_layers(images, &self.ends())
    }

    fn width(&self) -> usize {
        self.config.output_width()
    }

    fn describe(&self) -> String {
        let depths: Vec<_> = self.config.depths.iter().map(usize::to_string).collect();
        format!("Hiera {}×{}", self.config.width, depths.join("-"))
    }

    fn layers(&self) -> usize {
        self.blocks_before(self.stages.len())
    }

    fn layer_of(&self, parameter: &str) -> usize {
        let names: Vec<_> = parameter.split('.').collect();
        match names[..] {
            ["stages", stage, "blocks", block, ..] => {
                let number = |name: &str| name.parse::<usize>().unwrap_or(0);
                self.blocks_before(number(stage)) + number(block) + 1
            }
            _ => 0,
        }
    }

    fn with_drop_path(mut self, probability: f64) -> Self {
        let (count, mut index) = (self.layers(), 0..);
        for stage in &mut self.stages {
            let blocks = stage.blocks.drain(..).zip(&mut index);
            stage.blocks = blocks
                .map(|(block, i)| block.with_drop_path(DropPath::growing_to(probability, i, count)))
                .collect();
        }
        self.config.drop_path = probability;
        self
    }
}

impl Encoder for Hiera {
    type Images = Tensor<4>;
    type Features = StageTokens;

    /// # Panics
    ///
    /// As [`Encoder::encode`], and when a mask unit is more than the tokens that all stages could make
    /// one.
    fn encode(&self, images: Tensor<4>, mask: &Mask) -> StageTokens {
        let (config, [batch, _, height, width]) = (&self.config, images.dims());
        config.check_units().unwrap_or_else(|error| panic!("{error}"));
        let grid = self.grid_of([height, width]);
        let units = Grid::new(grid.rows / config.unit[0], grid.cols / config.unit[1]);
        let mask = mask.at(units);
        let (tokens, _) = self.embed(without_hidden(images, &mask));
        let (cells, seen) = (grid.cells() / units.cells(), mask.visible.count());
        let tokens = tokens.reshape([batch, units.cells(), cells * config.width]);
        let visible = mask.visible.select(tokens).reshape([batch, seen * cells, config.width]);
        let stages = self.layers_of(visible, seen, &self.ends()).into_iter();
        let by_unit = |tokens: Tensor<3>| {
            let [batch, count, width] = tokens.dims();
            tokens.reshape([batch, seen, count / seen, width])
        };
        StageTokens { stages: stages.map(by_unit).collect(), units }
    }
}

/// The images with 0 in place of every pixel of a hidden mask unit.
fn without_hidden(images: Tensor<4>, mask: &GridMask) -> Tensor<4> {
    let ([batch, channels, height, width], Grid { rows, cols }) = (images.dims(), mask.grid());
    let hidden = mask.visible.contains().bool_not().reshape([batch, 1, rows, 1, cols, 1]);
    let hidden = hidden.expand([batch, channels, rows, height / rows, cols, width / cols]);
    images.mask_fill(hidden.reshape([batch, channels, height, width]), 0.0)
}

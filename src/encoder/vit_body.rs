//! What both vision transformers share: everything but the mask token.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, s};

use super::{Backbone, GridTokens, RelativePositions, VitConfig, check_channels};
use crate::grid::Grid;
use crate::image::{PatchLayout, grid_of, patchify};
use crate::nn::{
    Block, Init, InitialWeights, LayerNorm, PositionTable, RelativePositionBias, per_token,
};

/// Patch embedding, positions, blocks and the final norm.
#[derive(Module, Debug)]
pub struct VitBody {
    /// A patch's values (channel, row, column) → `width`: the papers' convolution of stride = size.
    pub patch_embed: Linear,
    /// The class token, `[1, width]`, where there is one.
    pub class_token: Option<Param<Tensor<2>>>,
    /// Absolute positions, where there are any.
    pub positions: Option<PositionTable>,
    /// No bias table, one for all blocks, or one for each block.
    pub relative_positions: Vec<RelativePositionBias>,
    /// The transformer.
    pub blocks: Vec<Block>,
    /// After the last block.
    pub norm: LayerNorm,
    #[module(skip)]
    config: VitConfig,
}

impl VitBody {
    /// A body with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`VitConfig::validate`] when that fails.
    pub fn new(config: &VitConfig, weights: &mut InitialWeights) -> Self {
        config.validate().unwrap_or_else(|error| panic!("{error}"));
        let (grid, class_token) = (config.grid(), config.class_token);
        let tables = match config.relative_positions {
            RelativePositions::None => 0,
            RelativePositions::Shared => 1,
            RelativePositions::PerBlock => config.depth,
        };
        let zero = Init::Constant(0.0);
        Self {
            patch_embed: weights.linear(config.patch_values(), config.width, config.matrix_init()),
            class_token: class_token.then(|| weights.param([1, config.width], config.token_init())),
            positions: PositionTable::new(
                config.positions,
                grid,
                config.width,
                class_token,
                weights,
            ),
            relative_positions: (0..tables)
                .map(|_| RelativePositionBias::new(grid, class_token, config.heads, zero, weights))
                .collect(),
            blocks: (0..config.depth).map(|index| config.block(index).init(weights)).collect(),
            norm: weights.norm(config.width, config.norm_epsilon),
            config: config.clone(),
        }
    }

    /// The sizes it was made with.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// The images' grid and their patches, `[batch, cells, channels · patch²]`.
    pub fn patches(&self, images: Tensor<4>) -> (Grid, Tensor<3>) {
        check_channels(&images, self.config.image.channels);
        let grid = grid_of(&images, self.config.patch);
        (grid, patchify(images, self.config.patch, PatchLayout::ChannelsFirst))
    }

    /// Patches as tokens, `[batch, patches, width]`.
    pub fn embed(&self, patches: Tensor<3>) -> Tensor<3> {
        per_token(&self.patch_embed, patches)
    }

    /// Adds the whole grid's positions to its tokens, `[batch, cells, width]`.
    pub fn with_positions(&self, tokens: Tensor<3>, grid: Grid) -> Tensor<3> {
        match &self.positions {
            Some(positions) => tokens + positions.cells(grid).unsqueeze(),
            None => tokens,
        }
    }

    /// Class token, blocks and final norm around embedded tokens: what comes out of the cells, and
    /// of the class token. The relative bias is that of the whole `grid`.
    pub fn transform(&self, tokens: Tensor<3>, grid: Grid) -> (Tensor<3>, Option<Tensor<2>>) {
        let tokens = self.run(self.with_class_token(tokens), grid, 0..self.blocks.len());
        self.split(self.norm.forward(tokens))
    }

    /// All tokens, the class token first, after some of the blocks.
    pub(super) fn run(&self, tokens: Tensor<3>, grid: Grid, blocks: Range<usize>) -> Tensor<3> {
        let mut tokens = tokens;
        let shared = self.shared_bias(grid);
        for index in blocks {
            let own = match self.config.relative_positions {
                RelativePositions::PerBlock => Some(self.relative_positions[index].on(grid)),
                _ => shared.clone(),
            };
            tokens = self.blocks[index].forward(tokens, own);
        }
        tokens
    }

    /// The relative bias that all blocks share, where they share one.
    pub(super) fn shared_bias(&self, grid: Grid) -> Option<Tensor<4>> {
        match self.config.relative_positions {
            RelativePositions::Shared => Some(self.relative_positions[0].on(grid)),
            _ => None,
        }
    }

    /// The cells' tokens, and the class token.
    pub(super) fn split(&self, tokens: Tensor<3>) -> (Tensor<3>, Option<Tensor<2>>) {
        if self.class_token.is_none() {
            return (tokens, None);
        }
        let class_token = tokens.clone().slice(s![.., 0..1, ..]).squeeze_dim(1);
        (tokens.slice(s![.., 1.., ..]), Some(class_token))
    }

    pub(super) fn with_class_token(&self, tokens: Tensor<3>) -> Tensor<3> {
        let Some(class_token) = &self.class_token else { return tokens };
        let [batch, _, width] = tokens.dims();
        let class_token = match &self.positions {
            Some(positions) => class_token.val() + positions.class_token(),
            None => class_token.val(),
        };
        Tensor::cat(vec![class_token.unsqueeze::<3>().expand([batch, 1, width]), tokens], 1)
    }
}

impl Backbone for VitBody {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        let (grid, patches) = self.patches(images);
        let tokens = self.with_positions(self.embed(patches), grid);
        let (tokens, class_token) = self.transform(tokens, grid);
        GridTokens { tokens, class_token, grid }
    }

    fn width(&self) -> usize {
        self.config.width
    }

    fn layers(&self) -> usize {
        self.config.depth
    }

    /// The blocks and their own bias tables count from 1.
    fn layer_of(&self, parameter: &str) -> usize {
        let per_block = self.config.relative_positions == RelativePositions::PerBlock;
        let mut names = parameter.split('.').skip_while(|name| *name == "body");
        match (names.next(), names.next().and_then(|index| index.parse::<usize>().ok())) {
            (Some("blocks"), Some(index)) => index + 1,
            (Some("relative_positions"), Some(index)) if per_block => index + 1,
            (Some("norm"), _) => self.config.depth + 1,
            _ => 0,
        }
    }
}

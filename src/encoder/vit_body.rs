//! The parts that both vision transformers share: everything except the mask token.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, s};

use super::conv_batch_norm::Read;
use super::{Backbone, ConvStem, GridTokens, VitConfig, check_channels};
use crate::grid::Grid;
use crate::image::{PatchLayout, grid_of, patchify};
use crate::mask::{GridMask, VisibleMaps};
use crate::nn::{InitialWeights, Norm, NormsSeen, Places, PositionTable, Transformer, per_token};

/// Patch embedding, positions and the transformer.
#[derive(Module, Debug)]
pub struct VitBody {
    /// Convolutions that read the images first, where there are any.
    pub stem: Option<ConvStem>,
    /// A patch's values (channel, row, column) → `width`: the papers' convolution of stride = size.
    pub patch_embed: Linear,
    /// The class tokens, `[class tokens, width]`, where there are any.
    pub class_token: Option<Param<Tensor<2>>>,
    /// Tokens without a place, `[registers, width]`, where there are any.
    pub register_token: Option<Param<Tensor<2>>>,
    /// Absolute positions, where there are any.
    pub positions: Option<PositionTable>,
    /// The norm of all tokens before the first block, where there is one.
    pub pre_norm: Option<Norm>,
    /// Blocks and the final norm.
    pub transformer: Transformer,
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
        let (grid, class_tokens) = (config.grid(), config.class_tokens());
        let (values, width, init) = (config.embedded_values(), config.width, config.matrix_init());
        let stem = config.stem.as_ref();
        Self {
            stem: stem.map(|stem| stem.init(config.image.channels, config.patch, weights)),
            patch_embed: match config.patch_bias {
                true => weights.linear(values, width, init),
                false => weights.linear_without_bias(values, width, init),
            },
            class_token: (class_tokens > 0)
                .then(|| weights.param([class_tokens, config.width], config.token_init())),
            register_token: (config.registers > 0)
                .then(|| weights.param([config.registers, config.width], config.token_init())),
            positions: PositionTable::new(
                config.positions,
                grid,
                config.width,
                class_tokens,
                weights,
            )
            .map(|table| table.with_resize(config.position_resize)),
            pre_norm: config
                .pre_norm
                .then(|| weights.norm_of(config.norm, width, config.norm_epsilon)),
            transformer: config.transformer().init(weights),
            config: config.clone(),
        }
    }

    /// The sizes it was made with.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// The images' grid and their patches, `[batch, cells, channels · patch²]`; what a stem makes of the
    /// patches, where there is one.
    pub fn patches(&self, images: Tensor<4>) -> (Grid, Tensor<3>) {
        self.patches_read(images, &mut Read::whole())
    }

    /// [`patches`](Self::patches) of images whose hidden patches do not reach others, and what the norms of
    /// a stem saw.
    pub(super) fn visible_patches(
        &self,
        images: Tensor<4>,
        mask: &GridMask,
    ) -> (Grid, Tensor<3>, NormsSeen) {
        // Without a stem no patch reaches another.
        let mut read = match self.stem {
            Some(_) => Read::visible(VisibleMaps::of_grid(mask, &images)),
            None => Read::whole(),
        };
        let (grid, patches) = self.patches_read(images, &mut read);
        (grid, patches, read.seen)
    }

    fn patches_read(&self, images: Tensor<4>, read: &mut Read) -> (Grid, Tensor<3>) {
        check_channels(&images, self.config.image.channels);
        let grid = grid_of(&images, self.config.patch);
        let maps = match &self.stem {
            Some(stem) => stem.forward(images, read),
            None => images,
        };
        let [.., rows, _] = maps.dims();
        (grid, patchify(maps, rows / grid.rows, PatchLayout::ChannelsFirst))
    }

    /// The body whose stem's norms have moved towards what they saw.
    pub(super) fn follow(self, seen: NormsSeen) -> Self {
        seen.move_all(|moved| Self { stem: self.stem.map(|stem| stem.map_norms(moved)), ..self })
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

    /// Runs the class tokens, the registers, the blocks and the final norm on embedded tokens of all
    /// cells of `grid`. Returns the features of the cells, and of the class token.
    pub fn transform(&self, tokens: Tensor<3>, grid: Grid) -> (Tensor<3>, Option<Tensor<2>>) {
        self.transform_at(tokens, self.places(grid))
    }

    /// As [`VitBody::transform`], of tokens at `places`.
    pub(super) fn transform_at(
        &self,
        tokens: Tensor<3>,
        places: Places,
    ) -> (Tensor<3>, Option<Tensor<2>>) {
        self.split(self.transformer.forward(self.with_first_tokens(tokens), places))
    }

    /// Where all tokens are.
    pub(super) fn places(&self, grid: Grid) -> Places {
        self.transformer.places(grid, self.config.first_cell())
    }

    /// Of embedded tokens, those after each of these numbers of blocks.
    pub(crate) fn layers_of(
        &self,
        tokens: Tensor<3>,
        grid: Grid,
        layers: &[usize],
    ) -> Vec<GridTokens> {
        let (tokens, places) = (self.with_first_tokens(tokens), self.places(grid));
        self.split_all(self.transformer.layers(tokens, places, layers), grid)
    }

    /// The features of several layers.
    fn split_all(&self, layers: Vec<Tensor<3>>, grid: Grid) -> Vec<GridTokens> {
        let split = layers.into_iter().map(|tokens| self.split(tokens));
        split.map(|(tokens, class_token)| GridTokens { tokens, class_token, grid }).collect()
    }

    /// Every token of whole images before the first block.
    fn first_layer(&self, images: Tensor<4>) -> (Grid, Tensor<3>) {
        let (grid, patches) = self.patches(images);
        (grid, self.with_first_tokens(self.with_positions(self.embed(patches), grid)))
    }

    /// The cells' tokens, and the class token.
    pub(super) fn split(&self, tokens: Tensor<3>) -> (Tensor<3>, Option<Tensor<2>>) {
        let first_cell = self.config.first_cell();
        if first_cell == 0 {
            return (tokens, None);
        }
        let class_token = match self.config.class_tokens() {
            0 => None,
            1 => Some(tokens.clone().slice(s![.., 0..1, ..]).squeeze_dim(1)),
            several => {
                let all = tokens.clone().slice(s![.., 0..several, ..]);
                Some(all.mean_dim(1).squeeze_dim(1))
            }
        };
        (tokens.slice(s![.., first_cell.., ..]), class_token)
    }

    /// Every token of whole images after the last block, before the final norm, `[batch, tokens,
    /// width]`: class tokens, registers, cells.
    pub fn last_tokens(&self, images: Tensor<4>) -> Tensor<3> {
        let (grid, tokens) = self.first_layer(images);
        self.transformer.run(tokens, self.places(grid), 0..self.layers())
    }

    /// The features of whole images, and how much of its attention the first class token pays to each
    /// cell in the last block, `[batch, cells]`, the mean over the heads; `None` without a class token.
    pub fn represent_attended(&self, images: Tensor<4>) -> (GridTokens, Option<Tensor<2>>) {
        if !self.config.class_token {
            return (self.represent(images), None);
        }
        let (grid, tokens) = self.first_layer(images);
        let (tokens, paid) = self.transformer.forward_attended(tokens, self.places(grid));
        let (tokens, class_token) = self.split(tokens);
        let paid = paid.slice(s![.., self.config.first_cell()..]);
        (GridTokens { tokens, class_token, grid }, Some(paid))
    }

    /// Class token and registers before the tokens of cells, normalized where a norm comes first.
    pub(super) fn with_first_tokens(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, _, width] = tokens.dims();
        let class_token = self.class_token.as_ref().map(|token| match &self.positions {
            Some(positions) => token.val() + positions.class_tokens(),
            None => token.val(),
        });
        let registers = self.register_token.as_ref().map(|token| token.val());
        let mut all: Vec<Tensor<3>> = [class_token, registers]
            .into_iter()
            .flatten()
            .map(|rows| {
                let [count, _] = rows.dims();
                rows.unsqueeze::<3>().expand([batch, count, width])
            })
            .collect();
        let tokens = if all.is_empty() {
            tokens
        } else {
            all.push(tokens);
            Tensor::cat(all, 1)
        };
        match &self.pre_norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        }
    }
}

impl Backbone for VitBody {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        let (grid, patches) = self.patches(images);
        let tokens = self.with_positions(self.embed(patches), grid);
        let (tokens, class_token) = self.transform(tokens, grid);
        GridTokens { tokens, class_token, grid }
    }

    fn represented_layers(&self) -> usize {
        self.layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let (grid, patches) = self.patches(images);
        self.layers_of(self.with_positions(self.embed(patches), grid), grid, layers)
    }

    fn represent_mlps(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let (grid, tokens) = self.first_layer(images);
        self.split_all(self.transformer.mlps(tokens, self.places(grid), layers), grid)
    }

    fn width(&self) -> usize {
        self.config.width
    }

    fn describe(&self) -> String {
        let VitConfig { width, depth, patch, .. } = self.config();
        let stem = if self.stem.is_some() { ", convolutional stem" } else { "" };
        format!("ViT {width}×{depth}, patch {patch}{stem}")
    }

    fn layers(&self) -> usize {
        self.config.depth
    }

    fn layer_of(&self, parameter: &str) -> usize {
        let path = parameter.strip_prefix("body.").unwrap_or(parameter);
        path.strip_prefix("transformer.").map_or(0, |path| self.transformer.layer_of(path))
    }

    fn with_drop_path(self, probability: f64) -> Self {
        let config = self.config.with_drop_path(probability);
        Self { transformer: self.transformer.with_drop_path(probability), config, ..self }
    }
}

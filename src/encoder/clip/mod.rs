//! The vision transformer of clips, which drops hidden tubelets.

mod config;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;

pub use config::ClipVitConfig;

use super::conv_batch_norm::Read;
use super::{Backbone, ConvStem, Encoder, GridTokens, VisibleTokens};
use crate::grid::{ClipShape, Grid, ImageShape};
use crate::image::{PatchLayout, patchify, patchify_clip, unstack_frames};
use crate::mask::{GridMask, Mask, VisibleMaps};
use crate::nn::{NormsSeen, PositionTable, Transformer, per_token};

/// A vision transformer that sees the visible tubelets of a clip alone (VideoMAE, arXiv 2203.12602
/// §3.3): a tenth of the tokens to compute at VideoMAE's ratio. It has no class token; its positions
/// are the fixed table of a sequence, so that it reads clips of its own shape alone.
///
/// Clips are `[batch, channels, frames, height, width]`. Its cells are those of
/// [`ClipGrid::flat`](crate::grid::ClipGrid::flat): by time, row and column.
#[derive(Module, Debug)]
pub struct ClipVit {
    /// Convolutions that read the clips first, where there are any.
    pub stem: Option<ConvStem>,
    /// A tubelet's values (channel, frame, row, column) → `width`: the paper's convolution of stride =
    /// size.
    pub patch_embed: Linear,
    /// The fixed positions.
    pub positions: PositionTable,
    /// Blocks and the final norm, where there is one.
    pub transformer: Transformer,
    #[module(skip)]
    config: ClipVitConfig,
}

impl ClipVit {
    /// The sizes it was made with.
    pub fn config(&self) -> &ClipVitConfig {
        &self.config
    }

    /// The frames of clips that lie one below the other.
    fn frames(&self, images: Tensor<4>) -> Tensor<5> {
        unstack_frames(images, self.config.clip.frames)
    }

    /// The clips' grid and their tubelets, `[batch, cells, channels · tubelet · patch²]`; what a stem makes of
    /// the tubelets, where there is one, and what its norms saw of the visible ones.
    ///
    /// # Panics
    ///
    /// When the clips are of another shape than the encoder's.
    fn patches(&self, clips: Tensor<5>, mask: Option<&GridMask>) -> (Grid, Tensor<3>, NormsSeen) {
        let [batch, channels, frames, height, width] = clips.dims();
        let got = ClipShape::new(ImageShape::new(channels, height, width), frames);
        let ClipVitConfig { clip, tubelet, patch, .. } = self.config;
        assert!(got == clip, "an encoder that reads clips of {clip} got clips of {got}");
        let grid = self.config.grid();
        let Some(stem) = &self.stem else {
            let patches = patchify_clip(clips, tubelet, patch, PatchLayout::ChannelsFirst);
            return (grid.flat(), patches, NormsSeen::default());
        };
        // Steps one below the other, as in the flat grid; their frames are channels.
        let steps = clips.reshape([batch, channels, grid.times, tubelet, height, width]);
        let ImageShape { channels, height, width, .. } = self.config.stem_image();
        let steps = steps.swap_dims(2, 3).reshape([batch, channels, height, width]);
        let mut read = match mask {
            Some(mask) => Read::visible(VisibleMaps::of_grid(mask, &steps)),
            None => Read::whole(),
        };
        let maps = stem.forward(steps, &mut read);
        let side = maps.dims()[2] / grid.flat().rows;
        (grid.flat(), patchify(maps, side, PatchLayout::ChannelsFirst), read.seen)
    }

    /// Every token of whole clips before the first block.
    fn first_layer(&self, clips: Tensor<5>) -> (Grid, Tensor<3>) {
        let (grid, patches, _) = self.patches(clips, None);
        let tokens = per_token(&self.patch_embed, patches);
        (grid, tokens + self.positions.cells(grid).unsqueeze())
    }
}

impl Backbone<Tensor<5>> for ClipVit {
    fn represent(&self, clips: Tensor<5>) -> GridTokens {
        let (grid, tokens) = self.first_layer(clips);
        GridTokens { tokens: self.transformer.forward(tokens, grid), class_token: None, grid }
    }

    fn represented_layers(&self) -> usize {
        self.config.depth
    }

    fn represent_layers(&self, clips: Tensor<5>, layers: &[usize]) -> Vec<GridTokens> {
        let (grid, tokens) = self.first_layer(clips);
        let layers = self.transformer.layers(tokens, grid, layers).into_iter();
        layers.map(|tokens| GridTokens { tokens, class_token: None, grid }).collect()
    }

    fn represent_mlps(&self, clips: Tensor<5>, layers: &[usize]) -> Vec<GridTokens> {
        let (grid, tokens) = self.first_layer(clips);
        let layers = self.transformer.mlps(tokens, grid, layers).into_iter();
        layers.map(|tokens| GridTokens { tokens, class_token: None, grid }).collect()
    }

    fn width(&self) -> usize {
        self.config.width
    }

    fn describe(&self) -> String {
        let ClipVitConfig { width, depth, patch, tubelet, .. } = self.config;
        let stem = if self.stem.is_some() { ", convolutional stem" } else { "" };
        format!("ViT of clips {width}×{depth}, tubelet {tubelet}×{patch}×{patch}{stem}")
    }

    fn layers(&self) -> usize {
        self.config.depth
    }

    fn layer_of(&self, parameter: &str) -> usize {
        parameter.strip_prefix("transformer.").map_or(0, |path| self.transformer.layer_of(path))
    }

    fn with_drop_path(self, probability: f64) -> Self {
        let config = self.config.with_drop_path(probability);
        Self { transformer: self.transformer.with_drop_path(probability), config, ..self }
    }
}

/// Clips as data sets have them: their frames one below the other, `[batch, channels, frames · height,
/// width]`.
impl Backbone for ClipVit {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        self.represent(self.frames(images))
    }

    fn represented_layers(&self) -> usize {
        self.config.depth
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        self.represent_layers(self.frames(images), layers)
    }

    fn represent_mlps(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        self.represent_mlps(self.frames(images), layers)
    }

    fn width(&self) -> usize {
        Backbone::<Tensor<5>>::width(self)
    }

    fn describe(&self) -> String {
        Backbone::<Tensor<5>>::describe(self)
    }

    fn layers(&self) -> usize {
        self.config.depth
    }

    fn layer_of(&self, parameter: &str) -> usize {
        Backbone::<Tensor<5>>::layer_of(self, parameter)
    }

    fn with_drop_path(self, probability: f64) -> Self {
        Backbone::<Tensor<5>>::with_drop_path(self, probability)
    }
}

impl Encoder for ClipVit {
    type Images = Tensor<5>;
    type Features = VisibleTokens;

    fn encode(&self, clips: Tensor<5>, mask: &Mask) -> VisibleTokens {
        self.encode_seen(clips, mask).0
    }

    fn encode_seen(&self, clips: Tensor<5>, mask: &Mask) -> (VisibleTokens, NormsSeen) {
        let mask = mask.at(self.config.grid().flat());
        let (grid, patches, seen) = self.patches(clips, Some(&mask));
        let tokens = per_token(&self.patch_embed, mask.visible.select(patches));
        let tokens = tokens + mask.visible.select_from_table(self.positions.cells(grid));
        let tokens = self.transformer.forward(tokens, grid);
        (VisibleTokens { tokens, class_token: None, grid }, seen)
    }

    fn follow(self, seen: NormsSeen) -> Self {
        seen.move_all(|moved| Self { stem: self.stem.map(|stem| stem.map_norms(moved)), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{stack_frames, unpatchify_clip};
    use crate::mask::UnitMask;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;
    use burn::tensor::Tolerance;

    /// Two steps of 2 × 3 cells.
    const GRID: Grid = Grid::new(4, 3);

    fn config() -> ClipVitConfig {
        ClipVitConfig::new(ClipShape::new(ImageShape::new(2, 4, 6), 6), 3, 2, 8, 2, 2)
    }

    fn encoder() -> ClipVit {
        config().init(&mut InitialWeights::new(0, &test_device()))
    }

    fn clips(seed: u64) -> Tensor<5> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(seed, &test_device()).param([2, 2, 6, 4, 6], init).val()
    }

    fn mask(hidden: &[usize]) -> Mask {
        let mask = UnitMask::from_indices(GRID, hidden.iter().copied()).unwrap();
        Mask::new([mask.clone(), mask], &test_device()).unwrap()
    }

    #[test]
    fn no_hidden_pixel_reaches_a_feature() {
        let (encoder, mask) = (encoder(), mask(&[0, 2, 3, 7, 8, 11]));
        let [seen, other] =
            [1, 2].map(|seed| patchify_clip(clips(seed), 3, 2, PatchLayout::ChannelsLast));
        let visible = mask.at(GRID).visible;
        let is_visible = visible.contains().unsqueeze_dim::<3>(2).expand(seen.dims());
        let changed = other.mask_where(is_visible, seen);
        let grid = encoder.config().grid();
        let changed = unpatchify_clip(changed, grid, 3, 2, PatchLayout::ChannelsLast);
        assert_ne!(changed.to_data(), clips(1).into_data());
        let features = encoder.encode(clips(1), &mask).tokens;
        assert_eq!(features.dims(), [2, 6, 8]);
        let features = features.into_data();
        encoder.encode(changed, &mask).tokens.into_data().assert_eq(&features, true);
        assert_ne!(encoder.encode(clips(2), &mask).tokens.into_data(), features);
    }

    #[test]
    fn no_hidden_pixel_reaches_a_feature_through_a_stem_and_norms_follow_what_they_saw() {
        let stem = crate::encoder::ConvStemConfig::new(vec![5]).with_first(3);
        let config = config().with_stem(Some(stem));
        let mut encoder = config.init(&mut InitialWeights::new(0, &test_device()));
        let hidden = [0, 2, 3, 7, 8, 11];
        let map = mask(&hidden).at(GRID).asked.map().reshape([2, 1, 2, 1, 2, 3]);
        let changed = map.expand([2, 1, 2, 3, 2, 3]).reshape([2, 1, 6, 2, 1, 3, 1]);
        let changed = changed.expand([2, 2, 6, 2, 2, 3, 2]).reshape([2, 2, 6, 4, 6]) * 3.0;
        let (seen, norms) = encoder.encode_seen(clips(1), &mask(&hidden));
        let other = encoder.encode(clips(1) + changed, &mask(&hidden)).tokens.into_data();
        assert_eq!(other, seen.tokens.into_data());
        assert_ne!(encoder.encode(clips(2), &mask(&hidden)).tokens.into_data(), other);
        assert_eq!(norms.0.len(), 2);
        let (whole, norms) = encoder.encode_seen(clips(1), &mask(&[]));
        for _ in 0..200 {
            encoder = encoder.follow(norms.clone());
        }
        // What is remembered is the unbiased variance, here of few numbers; a batch is divided by the biased one.
        let read = encoder.represent(clips(1)).tokens.into_data();
        read.assert_approx_eq::<f32>(&whole.tokens.into_data(), Tolerance::absolute(0.1));
        assert!(Backbone::<Tensor<5>>::describe(&encoder).ends_with("2×2, convolutional stem"));
    }

    #[test]
    fn with_nothing_hidden_encoding_is_representing() {
        let (encoder, nothing) = (encoder(), mask(&[]));
        let whole = encoder.represent(clips(1));
        assert_eq!((whole.grid, whole.tokens.dims()), (GRID, [2, 12, 8]));
        let encoded = encoder.encode(clips(1), &nothing).tokens.into_data();
        encoded.assert_approx_eq::<f32>(&whole.tokens.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn the_last_layer_under_the_norm_is_what_clips_are_represented_by() {
        let encoder = encoder();
        let last = encoder.represent_layers(clips(1), &[0, 2]).remove(1).tokens;
        let normed = encoder.transformer.finish(last.clone()).into_data();
        let tokens = encoder.represent(clips(1)).tokens.into_data();
        tokens.assert_approx_eq::<f32>(&normed, Tolerance::absolute(1e-6));
        let without =
            config().with_final_norm(false).init(&mut InitialWeights::new(0, &test_device()));
        let tokens = without.represent(clips(1)).tokens.into_data();
        tokens.assert_approx_eq::<f32>(&last.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn cells_of_the_same_place_differ_by_their_time() {
        let encoder = encoder();
        let still = encoder.represent(Tensor::<5>::ones([1, 2, 6, 4, 6], &test_device())).tokens;
        let rows: Vec<f32> = still.into_data().try_to_vec().unwrap();
        assert_ne!(rows[..8], rows[6 * 8..7 * 8]);
    }

    #[test]
    fn every_parameter_belongs_to_the_embedding_a_block_or_what_follows() {
        let encoder = encoder();
        for (parameter, layer) in [
            ("patch_embed.weight", 0),
            ("positions.table", 0),
            ("transformer.blocks.0.norm1.gamma", 1),
            ("transformer.blocks.1.mlp.fc1.weight", 2),
            ("transformer.norm.gamma", 3),
        ] {
            assert_eq!(Backbone::<Tensor<5>>::layer_of(&encoder, parameter), layer, "{parameter}");
        }
        let description = Backbone::<Tensor<5>>::describe(&encoder);
        assert_eq!(description, "ViT of clips 8×2, tubelet 3×2×2");
    }

    #[test]
    fn frames_one_below_the_other_are_read_as_frames() {
        let encoder = encoder();
        let whole = encoder.represent(clips(1)).tokens.into_data();
        let stacked = encoder.represent(stack_frames(clips(1)));
        assert_eq!(stacked.grid, GRID);
        stacked.tokens.into_data().assert_eq(&whole, true);
        assert_eq!(encoder.config().image().height, 24);
    }

    #[test]
    #[should_panic(expected = "reads clips of 6 frames of 2×4×6 got clips of 3 frames of 2×4×6")]
    fn clips_of_another_shape_panic_with_both() {
        encoder().represent(Tensor::<5>::ones([1, 2, 3, 4, 6], &test_device()));
    }
}

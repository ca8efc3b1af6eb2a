//! The hierarchy both Swins share, with the mask token.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{
    PatchEmbedding, PatchMerging, Stage, StageParts, StageWindow, Swin, SwinBlock, SwinConfig,
    WindowBlock,
};
use crate::encoder::{Backbone, Encoder, GridTokens};
use crate::grid::Grid;
use crate::mask::Mask;
use crate::nn::{DropPath, Init, InitialWeights, Norm, TableResize, WindowsCache};

/// Stages of window attention over fewer and fewer tokens, hidden patches replaced by one learned
/// mask token (SimMIM). [`Swin`](super::Swin) and [`SwinV2`](crate::encoder::SwinV2) differ in
/// their blocks `B`.
///
/// Its features come from the last stage, with one cell for each [`stride`](SwinConfig::stride) ×
/// stride pixels. Images of any size are read, padded as the reference does: with zero pixels to
/// whole patches, zero tokens to whole windows and to an even grid before each merging.
#[derive(Module, Debug)]
pub struct SwinTransformer<B: Module> {
    /// Pixels to tokens.
    pub patch_embed: PatchEmbedding,
    /// The mask token, which replaces a hidden patch before positions are added, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
    /// The stages.
    pub stages: Vec<Stage<B>>,
    /// After the last stage.
    pub norm: Norm,
}

impl<B: Module> SwinTransformer<B> {
    /// The hierarchy around the blocks that `stage` makes.
    pub(in crate::encoder) fn new(
        config: &SwinConfig,
        weights: &mut InitialWeights,
        stage: impl Fn(usize, &mut InitialWeights) -> StageParts<B>,
    ) -> Self {
        let stages = config.depths.len();
        let token = Init::TruncatedNormal { std: 0.02, bound: 2.0 };
        Self {
            patch_embed: PatchEmbedding::new(config, weights),
            mask_token: weights.param([1, config.width], token),
            stages: (0..stages)
                .map(|index| {
                    let StageParts { window, blocks, norm_last } = stage(index, weights);
                    let width = config.stage_width(index);
                    let merging =
                        (index + 1 < stages).then(|| PatchMerging::new(width, norm_last, weights));
                    Stage { blocks, merging, window, windows: WindowsCache::default() }
                })
                .collect(),
            norm: weights.norm(config.output_width(), config.norm_epsilon),
        }
    }

    /// The blocks of the stages before `stage`.
    fn blocks_before(&self, stage: usize) -> usize {
        self.stages[..stage].iter().map(|stage| stage.blocks.len()).sum()
    }
}

impl<B: WindowBlock> SwinTransformer<B> {
    /// Those tokens of embedded patches that come out of as many blocks as `layers` says.
    fn layers_of(&self, tokens: Tensor<3>, mut grid: Grid, layers: &[usize]) -> Vec<GridTokens> {
        let mut found: Vec<Option<GridTokens>> = vec![None; layers.len()];
        let mut layer = 0;
        let mut see = |tokens: &Tensor<3>, grid| {
            for (slot, _) in found.iter_mut().zip(layers).filter(|(_, asked)| **asked == layer) {
                *slot = Some(GridTokens { tokens: tokens.clone(), class_token: None, grid });
            }
            layer += 1;
        };
        let mut tokens = self.patch_embed.with_positions(tokens, grid);
        see(&tokens, grid);
        for stage in &self.stages {
            tokens = stage.forward_seen(tokens, grid, |tokens| see(tokens, grid));
            if let Some(merging) = &stage.merging {
                (tokens, grid) = merging.forward(tokens, grid);
            }
        }
        let missing =
            |asked: &usize| panic!("a Swin of {} blocks has no features {asked}", self.layers());
        let found = found.into_iter().zip(layers);
        found.map(|(features, asked)| features.unwrap_or_else(|| missing(asked))).collect()
    }

    /// The last stage's features, normed.
    fn features(&self, tokens: Tensor<3>, grid: Grid) -> GridTokens {
        let last = self.layers_of(tokens, grid, &[self.layers()]).remove(0);
        GridTokens { tokens: self.norm.forward(last.tokens), ..last }
    }
}

impl Swin {
    /// The same encoder with windows of another size and resized bias tables, for fine-tuning at
    /// another resolution. Swin-v2 has no tables to resize: its
    /// [`pretrained_windows`](crate::encoder::SwinV2Config::pretrained_windows) state the window
    /// sizes of pre-training.
    ///
    /// # Panics
    ///
    /// When `window` is 0.
    pub fn with_window(mut self, window: usize, resize: TableResize) -> Self {
        assert!(window > 0, "a window needs at least one token");
        let resized = |mut block: SwinBlock| {
            let grid = Grid::square(window);
            block.relative_positions = block.relative_positions.resize(grid, resize);
            block
        };
        for stage in &mut self.stages {
            stage.window = StageWindow::shrinking(window);
            stage.blocks = stage.blocks.drain(..).map(resized).collect();
        }
        self
    }
}

impl<B: WindowBlock> Backbone for SwinTransformer<B> {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        let (grid, patches) = self.patch_embed.patches(images);
        self.features(self.patch_embed.embed(patches), grid)
    }

    /// Each layer has the grid and the width of its stage.
    fn represented_layers(&self) -> usize {
        self.layers()
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        let (grid, patches) = self.patch_embed.patches(images);
        self.layers_of(self.patch_embed.embed(patches), grid, layers)
    }

    /// The feature pyramid: twice the stride and the width from one stage to the next.
    ///
    /// These are the tokens before they are merged and without any norm, in the last stage before
    /// the final one: transformers' `SwinBackbone` has the same as its `hidden_states` after the
    /// first where every grid is larger than the window (on others it pads instead of shrinking
    /// the windows), and a detector's own norms go on top.
    fn stages(&self, images: Tensor<4>) -> Vec<GridTokens> {
        let ends = (1..=self.stages.len()).map(|stage| self.blocks_before(stage));
        self.represent_layers(images, &ends.collect::<Vec<_>>())
    }

    fn width(&self) -> usize {
        self.mask_token.dims()[1] << (self.stages.len() - 1)
    }

    fn describe(&self) -> String {
        let depths: Vec<_> = self.stages.iter().map(|s| s.blocks.len().to_string()).collect();
        format!("{} {}×{}", B::TITLE, self.mask_token.dims()[1], depths.join("-"))
    }

    fn layers(&self) -> usize {
        self.blocks_before(self.stages.len())
    }

    /// A stage's merging counts as its last block, as in SimMIM's official code.
    fn layer_of(&self, parameter: &str) -> usize {
        let names: Vec<_> = parameter.split('.').collect();
        match names[..] {
            ["stages", stage, part, ..] => {
                let stage: usize = stage.parse().unwrap_or(0);
                match (part, names.get(3).and_then(|block| block.parse::<usize>().ok())) {
                    ("blocks", Some(block)) => self.blocks_before(stage) + block + 1,
                    _ => self.blocks_before(stage + 1),
                }
            }
            ["norm", ..] => self.layers() + 1,
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
        self
    }
}

impl<B: WindowBlock> Encoder for SwinTransformer<B> {
    type Images = Tensor<4>;
    type Features = GridTokens;

    fn encode(&self, images: Tensor<4>, mask: &Mask) -> GridTokens {
        let (grid, patches) = self.patch_embed.patches(images);
        let mask = mask.at(grid);
        let visible = self.patch_embed.embed(mask.visible.select(patches));
        self.features(mask.visible.fill(visible, self.mask_token.val()), grid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::SwinV2Config;
    use crate::grid::ImageShape;
    use crate::mask::UnitMask;
    use crate::test_device;
    use burn::tensor::Tolerance;

    /// Two stages over 6×8 and 3×4 patches of 4 pixels, so windows of 3 shift, pad and shrink.
    fn config() -> SwinConfig {
        let image = ImageShape::new(2, 24, 32);
        SwinConfig::new(image, 4, 8, vec![2, 3], vec![2, 4], 3)
    }

    fn weights() -> InitialWeights {
        InitialWeights::new(5, &test_device())
    }

    fn v2() -> SwinV2Config {
        SwinV2Config::new(config()).with_branch_norm(1.0).with_extra_norm_every(Some(2))
    }

    fn images(height: usize, width: usize) -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(1, &test_device()).param([2, 2, height, width], init).val()
    }

    fn mask(hidden: [usize; 5]) -> Mask {
        let mask = UnitMask::from_indices(Grid::new(3, 4), hidden).unwrap();
        Mask::new([mask.clone(), mask], &test_device()).unwrap()
    }

    fn hidden_pixels_do_not_reach(
        encoder: impl Encoder<Images = Tensor<4>, Features = GridTokens>,
    ) {
        let mask = mask([0, 3, 5, 6, 11]);
        let visible = mask.at(Grid::new(3, 4)).visible.contains();
        let keep = visible.float().reshape([2, 1, 3, 1, 4, 1]).expand([2, 2, 3, 8, 4, 8]);
        let other = images(24, 32) * keep.reshape([2, 2, 24, 32]);
        let features = encoder.encode(images(24, 32), &mask);
        assert_eq!((features.grid, features.tokens.dims()), (Grid::new(3, 4), [2, 12, 16]));
        assert_eq!(encoder.width(), 16);
        let features = features.tokens.into_data();
        encoder.encode(other, &mask).tokens.into_data().assert_eq(&features, true);
    }

    #[test]
    fn hidden_pixels_do_not_reach_the_features() {
        hidden_pixels_do_not_reach(config().with_absolute_positions(true).init(&mut weights()));
        hidden_pixels_do_not_reach(v2().init(&mut weights()));
    }

    fn encoding_is_representing(encoder: impl Encoder<Images = Tensor<4>, Features = GridTokens>) {
        let nothing = UnitMask::all_visible(Grid::new(3, 4));
        let nothing = Mask::new([nothing.clone(), nothing], &test_device()).unwrap();
        let whole = encoder.represent(images(24, 32)).tokens.into_data();
        let encoded = encoder.encode(images(24, 32), &nothing).tokens.into_data();
        encoded.assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-5));
    }

    #[test]
    fn with_nothing_hidden_encoding_is_representing() {
        encoding_is_representing(config().init(&mut weights()));
        encoding_is_representing(v2().init(&mut weights()));
    }

    fn reads(encoder: &impl Backbone, [height, width]: [usize; 2], grid: Grid) {
        let features = encoder.represent(images(height, width));
        assert_eq!((features.grid, features.tokens.dims()), (grid, [2, grid.cells(), 16]));
        let values: Vec<f32> = features.tokens.into_data().try_to_vec().unwrap();
        assert!(values.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn images_of_any_size_are_padded_to_whole_patches_and_windows() {
        let swin = config().with_absolute_positions(true).init(&mut weights());
        let swin_v2 = v2().init(&mut weights());
        for (size, grid) in
            [([37, 50], Grid::new(5, 7)), ([4, 8], Grid::new(1, 1)), ([64, 48], Grid::new(8, 6))]
        {
            reads(&swin, size, grid);
            reads(&swin_v2, size, grid);
        }
    }

    #[test]
    fn the_stages_end_with_the_features_before_their_norm() {
        let swin = config().init(&mut weights());
        let pyramid = swin.stages(images(24, 32));
        let grids: Vec<_> = pyramid.iter().map(|stage| (stage.grid, stage.tokens.dims())).collect();
        assert_eq!(grids, [(Grid::new(6, 8), [2, 48, 8]), (Grid::new(3, 4), [2, 12, 16])]);
        let last = swin.norm.forward(pyramid[1].tokens.clone()).into_data();
        swin.represent(images(24, 32)).tokens.into_data().assert_eq(&last, true);
    }

    #[test]
    fn tokens_see_beyond_their_window_from_the_second_block_on() {
        // Where one pixel's change is felt in the first stage's 6×8 cells: by its own window after
        // one block, by others after two.
        let felt = |depth: usize| {
            let swin: SwinTransformer<SwinBlock> =
                SwinConfig { depths: vec![depth], heads: vec![2], ..config() }.init(&mut weights());
            let one = Tensor::zeros([2, 2, 24, 32], &test_device());
            let mut other = vec![0.0f32; 2 * 2 * 24 * 32];
            other[0] = 1.0;
            let other = Tensor::<1>::from_floats(other.as_slice(), &test_device());
            let change = swin.stages(one)[0].tokens.clone()
                - swin.stages(other.reshape([2, 2, 24, 32]))[0].tokens.clone();
            let change: Vec<f32> = change.abs().sum_dim(2).into_data().try_to_vec().unwrap();
            (0..48).filter(|&cell| change[cell] > 0.0).collect::<Vec<_>>()
        };
        assert_eq!(felt(1), [0, 1, 2, 8, 9, 10, 16, 17, 18]);
        assert!(felt(2).len() > 9);
    }

    #[test]
    fn another_window_has_tables_of_its_own() {
        let image = Tensor::cat(vec![images(24, 32), images(24, 32)], 3);
        let swin = config().init(&mut weights());
        for resize in [TableResize::Bicubic, TableResize::Geometric] {
            let wider = swin.clone().with_window(4, resize);
            let made = config().with_window(4).init(&mut weights());
            let shapes = |swin: &Swin| swin.stages[1].blocks[2].relative_positions.table.dims();
            assert_eq!(shapes(&wider), shapes(&made));
            let (wider, made) = (wider.represent(image.clone()), made.represent(image.clone()));
            assert_eq!(wider.tokens.dims(), made.tokens.dims());
        }
    }

    #[test]
    fn every_parameter_belongs_to_the_embedding_a_block_or_what_follows() {
        let swin = config().init(&mut weights());
        assert_eq!(swin.layers(), 5);
        for (parameter, layer) in [
            ("mask_token", 0),
            ("patch_embed.projection.weight", 0),
            ("patch_embed.positions.table", 0),
            ("stages.0.blocks.0.norm1.gamma", 1),
            ("stages.0.merging.reduction.weight", 2),
            ("stages.1.blocks.0.relative_positions.table", 3),
            ("stages.1.blocks.2.mlp.fc1.weight", 5),
            ("norm.gamma", 6),
        ] {
            assert_eq!(swin.layer_of(parameter), layer, "{parameter}");
        }
    }
}

//! The two vision transformers of masked image modelling, on one body.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::{Backbone, Encoder, GridTokens, RelativePositions, VisibleTokens, VitBody, VitConfig};
use crate::grid::Grid;
use crate::image::grid_of;
use crate::mask::{GridMask, Mask};
use crate::nn::{InitialWeights, NormsSeen};

/// A vision transformer that sees every cell, the hidden ones as one learned mask token (SimMIM,
/// BEiT).
#[derive(Module, Debug)]
pub struct Vit {
    /// Everything but the mask token.
    pub body: VitBody,
    /// The mask token, which replaces a hidden patch before positions are added, `[1, width]`.
    pub mask_token: Param<Tensor<2>>,
}

/// A vision transformer that sees the visible cells alone (MAE, arXiv 2111.06377 §3): the same
/// body, with only a quarter of the tokens to compute at MAE's ratio.
#[derive(Module, Debug)]
pub struct VisibleVit {
    /// The whole encoder.
    pub body: VitBody,
}

impl VitConfig {
    /// An encoder that replaces hidden patches.
    ///
    /// # Panics
    ///
    /// With the message of [`VitConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Vit {
        let body = VitBody::new(self, weights);
        Vit { body, mask_token: weights.param([1, self.width], self.token_init()) }
    }

    /// An encoder that drops hidden patches.
    ///
    /// # Panics
    ///
    /// With the message of [`VitConfig::validate`] when that fails, or when the positions are
    /// relative, since every sample would need a bias of its own.
    pub fn init_visible(&self, weights: &mut InitialWeights) -> VisibleVit {
        VitBody::new(self, weights).into()
    }
}

impl From<VitBody> for VisibleVit {
    /// # Panics
    ///
    /// When the body has relative positions.
    fn from(body: VitBody) -> Self {
        assert!(
            body.config().relative_positions == RelativePositions::None,
            "an encoder that drops hidden patches needs absolute positions, not relative ones"
        );
        Self { body }
    }
}

/// The body's answers, which has all that both encoders need for whole images.
macro_rules! represents_as_its_body {
    ($($network:ident),*) => {
        $(impl Backbone for $network {
            fn represent(&self, images: Tensor<4>) -> GridTokens {
                self.body.represent(images)
            }

            fn represented_layers(&self) -> usize {
                self.body.represented_layers()
            }

            fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
                self.body.represent_layers(images, layers)
            }

            fn represent_mlps(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
                self.body.represent_mlps(images, layers)
            }

            fn width(&self) -> usize {
                self.body.width()
            }

            fn describe(&self) -> String {
                self.body.describe()
            }

            fn layers(&self) -> usize {
                self.body.layers()
            }

            fn layer_of(&self, parameter: &str) -> usize {
                self.body.layer_of(parameter)
            }

            fn with_drop_path(mut self, probability: f64) -> Self {
                self.body = self.body.with_drop_path(probability);
                self
            }
        })*
    };
}

represents_as_its_body!(Vit, VisibleVit);

impl Encoder for Vit {
    type Images = Tensor<4>;
    type Features = GridTokens;

    fn encode(&self, images: Tensor<4>, mask: &Mask) -> GridTokens {
        self.encode_seen(images, mask).0
    }

    fn encode_seen(&self, images: Tensor<4>, mask: &Mask) -> (GridTokens, NormsSeen) {
        let (grid, tokens, seen) = self.embed(images, mask);
        let (tokens, class_token) = self.body.transform(tokens, grid);
        (GridTokens { tokens, class_token, grid }, seen)
    }

    fn follow(self, seen: NormsSeen) -> Self {
        Self { body: self.body.follow(seen), ..self }
    }
}

impl Vit {
    /// As [`Backbone::represent_layers`], of images whose hidden patches are replaced.
    ///
    /// # Panics
    ///
    /// When there are fewer blocks; as [`Encoder::encode`].
    pub fn encode_layers(
        &self,
        images: Tensor<4>,
        mask: &Mask,
        layers: &[usize],
    ) -> Vec<GridTokens> {
        let (grid, tokens, _) = self.embed(images, mask);
        self.body.layers_of(tokens, grid, layers)
    }

    /// Embedded patches with their positions, hidden ones replaced, and what the norms of a stem saw.
    pub(super) fn embed(&self, images: Tensor<4>, mask: &Mask) -> (Grid, Tensor<3>, NormsSeen) {
        let mask = mask.at(grid_of(&images, self.body.config().patch));
        let (grid, patches, seen) = self.body.visible_patches(images, &mask);
        let visible = self.body.embed(mask.visible.select(patches));
        let tokens = mask.visible.fill(visible, self.mask_token.val());
        (grid, self.body.with_positions(tokens, grid), seen)
    }
}

impl Encoder for VisibleVit {
    type Images = Tensor<4>;
    type Features = VisibleTokens;

    fn encode(&self, images: Tensor<4>, mask: &Mask) -> VisibleTokens {
        self.encode_seen(images, mask).0
    }

    fn encode_seen(&self, images: Tensor<4>, mask: &Mask) -> (VisibleTokens, NormsSeen) {
        let grid = grid_of(&images, self.body.config().patch);
        self.encode_grid(images, &mask.at(grid))
    }

    fn follow(self, seen: NormsSeen) -> Self {
        Self { body: self.body.follow(seen) }
    }
}

impl VisibleVit {
    /// As [`Encoder::encode`], by masks that are read on the grid of the patches already.
    ///
    /// # Panics
    ///
    /// When the images do not divide into patches, or the mask is of another grid or batch.
    pub fn encode_visible(&self, images: Tensor<4>, mask: &GridMask) -> VisibleTokens {
        self.encode_grid(images, mask).0
    }

    fn encode_grid(&self, images: Tensor<4>, mask: &GridMask) -> (VisibleTokens, NormsSeen) {
        let (grid, patches, seen) = self.body.visible_patches(images, mask);
        let mut tokens = self.body.embed(mask.visible.select(patches));
        if let Some(positions) = &self.body.positions {
            tokens = tokens + mask.visible.select_from_table(positions.cells(grid));
        }
        let VitBody { transformer, .. } = &self.body;
        let first_cell = self.body.config().first_cell();
        let places =
            transformer.places_of(grid, first_cell, |table| mask.visible.select_from_table(table));
        let (tokens, class_token) = self.body.transform_at(tokens, places);
        (VisibleTokens { tokens, class_token, grid }, seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::mask::UnitMask;
    use crate::nn::{Init, NormKind, Positions, QkvBias};
    use crate::test_device;
    use burn::tensor::Tolerance;

    fn config() -> VitConfig {
        VitConfig::new(ImageShape::new(2, 8, 12), 4, 8, 2, 2)
    }

    fn images(height: usize, width: usize, seed: u64) -> Tensor<4> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(seed, &test_device()).param([2, 2, height, width], init).val()
    }

    fn mask(hidden: [usize; 4]) -> Mask {
        let mask = UnitMask::from_indices(Grid::new(2, 3), hidden).unwrap();
        Mask::new([mask.clone(), mask], &test_device()).unwrap()
    }

    /// Every variant the papers use.
    fn variants() -> Vec<VitConfig> {
        vec![
            config(),
            config().with_class_token(false).with_positions(Positions::Learned),
            config()
                .with_positions(Positions::None)
                .with_relative_positions(RelativePositions::Shared)
                .with_qkv_bias(QkvBias::QueryValue)
                .with_layer_scale(Some(0.1))
                .with_init(super::super::VitInit::Beit),
            config().with_relative_positions(RelativePositions::PerBlock).with_class_token(false),
            config()
                .with_positions(Positions::None)
                .with_rotary(Some(100.0))
                .with_registers(2)
                .with_query_key_norm(true)
                .with_norm(NormKind::RootMeanSquare)
                .with_swiglu(true),
        ]
    }

    #[test]
    fn hidden_pixels_do_not_reach_the_features() {
        let hidden = [0, 2, 3, 5];
        let seen = images(8, 12, 1);
        let visible = mask(hidden).at(Grid::new(2, 3)).visible.contains();
        let keep = visible.float().reshape([2, 1, 2, 1, 3, 1]).expand([2, 2, 2, 4, 3, 4]);
        let other = seen.clone() * keep.reshape([2, 2, 8, 12]);
        for config in variants() {
            let vit = config.init(&mut InitialWeights::new(0, &test_device()));
            let with = vit.encode(seen.clone(), &mask(hidden)).tokens.into_data();
            vit.encode(other.clone(), &mask(hidden)).tokens.into_data().assert_eq(&with, true);
        }
        let vit = config().init_visible(&mut InitialWeights::new(0, &test_device()));
        let with = vit.encode(seen, &mask(hidden)).tokens.into_data();
        vit.encode(other, &mask(hidden)).tokens.into_data().assert_eq(&with, true);
    }

    #[test]
    fn with_nothing_hidden_encoding_is_representing() {
        let nothing = UnitMask::all_visible(Grid::new(2, 3));
        let nothing = Mask::new([nothing.clone(), nothing], &test_device()).unwrap();
        for config in variants() {
            let vit = config.init(&mut InitialWeights::new(0, &test_device()));
            let whole = vit.represent(images(8, 12, 1)).tokens.into_data();
            let encoded = vit.encode(images(8, 12, 1), &nothing).tokens.into_data();
            encoded.assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-5));
        }
        let vit = config().init_visible(&mut InitialWeights::new(0, &test_device()));
        let whole = vit.represent(images(8, 12, 1)).tokens.into_data();
        let encoded = vit.encode(images(8, 12, 1), &nothing).tokens.into_data();
        encoded.assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-5));
    }

    #[test]
    fn the_final_norm_follows_the_last_block() {
        let vit = config().init(&mut InitialWeights::new(0, &test_device()));
        let mut layers = vit.encode_layers(images(8, 12, 1), &mask([0, 2, 3, 5]), &[2]);
        let last = layers.remove(0);
        let normed = vit.body.transformer.finish(last.tokens).into_data();
        let encoded = vit.encode(images(8, 12, 1), &mask([0, 2, 3, 5]));
        encoded.tokens.into_data().assert_approx_eq::<f32>(&normed, Tolerance::absolute(1e-6));
        let class = vit.body.transformer.finish(last.class_token.unwrap()).into_data();
        let encoded = encoded.class_token.unwrap().into_data();
        encoded.assert_approx_eq::<f32>(&class, Tolerance::absolute(1e-6));
    }

    #[test]
    fn visible_cells_keep_their_rotary_places() {
        // With nothing hidden both see all; with cells hidden, places are those of the whole grid.
        let config = config().with_positions(Positions::None).with_rotary(Some(100.0));
        let vit =
            config.with_registers(1).init_visible(&mut InitialWeights::new(5, &test_device()));
        let one = |cell: usize| {
            let hidden = (0..6).filter(|other| *other != cell && *other != 2);
            let hidden = UnitMask::from_indices(Grid::new(2, 3), hidden).unwrap();
            let mask = Mask::new([hidden.clone(), hidden], &test_device()).unwrap();
            vit.encode(Tensor::ones([2, 2, 8, 12], &test_device()), &mask).tokens.into_data()
        };
        // The same patches, but as far from each other: only differences of places count.
        let tolerance = Tolerance::absolute(1e-5);
        one(1).assert_approx_eq::<f32>(&one(1), tolerance);
        assert_ne!(one(0), one(5));
    }

    #[test]
    fn both_encoders_share_one_body() {
        let vit = config().init(&mut InitialWeights::new(5, &test_device()));
        let whole = vit.represent(images(8, 12, 1)).tokens.into_data();
        let visible = VisibleVit::from(vit.body);
        visible.represent(images(8, 12, 1)).tokens.into_data().assert_eq(&whole, true);
    }

    #[test]
    fn other_image_sizes_are_read_by_interpolating_positions() {
        for config in variants() {
            let vit = config.init(&mut InitialWeights::new(0, &test_device()));
            let features = vit.represent(images(16, 4, 1));
            assert_eq!((features.grid, features.tokens.dims()), (Grid::new(4, 1), [2, 4, 8]));
            assert_eq!(features.mean_pool().dims(), [2, 8]);
        }
    }

    #[test]
    fn the_order_of_visible_cells_is_that_of_the_grid() {
        let vit = config().init_visible(&mut InitialWeights::new(0, &test_device()));
        let features = vit.encode(images(8, 12, 1), &mask([0, 2, 3, 5]));
        assert_eq!(features.tokens.dims(), [2, 2, 8]);
        assert_eq!(features.class_token.unwrap().dims(), [2, 8]);
    }

    #[test]
    fn every_parameter_belongs_to_the_embedding_a_block_or_what_follows() {
        let per_block = config().with_relative_positions(RelativePositions::PerBlock);
        let vit = per_block.init(&mut InitialWeights::new(0, &test_device()));
        assert_eq!(vit.layers(), 2);
        for (parameter, layer) in [
            ("mask_token", 0),
            ("body.patch_embed.weight", 0),
            ("body.class_token", 0),
            ("body.positions.table", 0),
            ("body.transformer.blocks.0.norm1.gamma", 1),
            ("body.transformer.blocks.1.mlp.fc1.weight", 2),
            ("body.transformer.relative_positions.1.table", 2),
            ("body.transformer.norm.gamma", 3),
        ] {
            assert_eq!(vit.layer_of(parameter), layer, "{parameter}");
        }
    }

    #[test]
    #[should_panic(expected = "needs absolute positions")]
    fn an_encoder_that_drops_patches_refuses_relative_positions() {
        config()
            .with_relative_positions(RelativePositions::Shared)
            .init_visible(&mut InitialWeights::new(0, &test_device()));
    }
}

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

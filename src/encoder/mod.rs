//! Encoders: what pre-training is for.

mod vit;
mod vit_body;
mod vit_config;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

pub use vit::{VisibleVit, Vit};
pub use vit_body::VitBody;
pub use vit_config::{RelativePositions, VitConfig, VitInit};

use crate::grid::Grid;
use crate::mask::Mask;

/// Turns images into features, with some of their patches hidden or with none.
///
/// How hidden patches are kept from the encoder is its own affair, and visible in the type of its
/// features: replaced by a learned mask token ([`GridTokens`]) or dropped ([`VisibleTokens`]).
pub trait Encoder: Module + ModuleDisplay {
    /// What a [`PredictionHead`](crate::PredictionHead) reads.
    type Features;

    /// The features of images whose hidden patches the encoder must not see.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalised
    ///
    /// # Panics
    ///
    /// When the images do not divide into patches, or the mask does not fit their grid.
    fn encode(&self, images: Tensor<4>, mask: &Mask) -> Self::Features;

    /// The features of whole images: what a user of the pre-trained encoder reads.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalised
    fn represent(&self, images: Tensor<4>) -> GridTokens;

    /// Features per token.
    fn width(&self) -> usize;
}

/// Features of every cell of the encoder's grid.
#[derive(Debug, Clone)]
pub struct GridTokens {
    /// `[batch, cells, width]`, row-major over the grid.
    pub tokens: Tensor<3>,
    /// The class token, `[batch, width]`, where the encoder has one.
    pub class_token: Option<Tensor<2>>,
    /// The grid.
    pub grid: Grid,
}

impl GridTokens {
    /// The mean over all cells, `[batch, width]`: one vector per image.
    pub fn mean_pool(&self) -> Tensor<2> {
        self.tokens.clone().mean_dim(1).squeeze_dim(1)
    }
}

/// Features of the visible cells alone, each sample's in ascending order.
#[derive(Debug, Clone)]
pub struct VisibleTokens {
    /// `[batch, visible cells, width]`.
    pub tokens: Tensor<3>,
    /// The class token, `[batch, width]`, where the encoder has one.
    pub class_token: Option<Tensor<2>>,
    /// The whole grid the visible cells are part of.
    pub grid: Grid,
}

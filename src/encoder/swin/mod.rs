//! Swin (Liu et al. 2021, arXiv 2103.14030): attention within windows, and fewer but wider tokens
//! stage by stage.

mod block;
mod config;
mod embedding;
mod merging;
mod presets;
mod stage;
mod transformer;

pub use block::SwinBlock;
pub use config::SwinConfig;
pub use embedding::PatchEmbedding;
pub use merging::PatchMerging;
pub use stage::{Stage, WindowBlock};
pub(super) use stage::{StageParts, StageWindow};
pub use transformer::SwinTransformer;

use crate::nn::InitialWeights;

/// Swin with a mask token.
pub type Swin = SwinTransformer<SwinBlock>;

impl SwinConfig {
    /// An encoder with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`SwinConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Swin {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        SwinTransformer::new(self, weights, |stage, weights| StageParts {
            window: StageWindow::shrinking(self.window),
            blocks: (0..self.depths[stage])
                .map(|block| SwinBlock::new(self, stage, block, weights))
                .collect(),
            norm_last: false,
        })
    }
}

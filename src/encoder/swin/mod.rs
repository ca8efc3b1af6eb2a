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

/// Swin with a mask token.
pub type Swin = SwinTransformer<SwinBlock>;

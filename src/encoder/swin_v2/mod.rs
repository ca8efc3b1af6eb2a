//! Swin-v2 (Liu et al. 2021, arXiv 2111.09883): Swin made to scale in size and resolution.

mod block;
mod config;

pub use block::SwinV2Block;
pub use config::SwinV2Config;

use super::swin::SwinTransformer;

/// Swin-v2 with a mask token.
pub type SwinV2 = SwinTransformer<SwinV2Block>;

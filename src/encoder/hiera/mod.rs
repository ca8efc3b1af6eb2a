//! Hiera (Ryali et al. 2023, arXiv 2306.00989): a hierarchy of plain transformer blocks, whose tokens
//! lie mask unit by mask unit, so that hidden units cost nothing.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Tensor};
//! use burn_mim::encoder::HieraConfig;
//! use burn_mim::nn::InitialWeights;
//! use burn_mim::{Backbone, ImageShape};
//!
//! let device = Device::flex();
//! let hiera = HieraConfig::small_images(ImageShape::square(3, 32)).init(&mut InitialWeights::new(0, &device));
//! let stages = hiera.stages(Tensor::ones([1, 3, 32, 32], &device)).into_iter();
//! let sizes = stages.map(|stage| (stage.grid.rows, stage.tokens.dims()[2]));
//! assert_eq!(sizes.collect::<Vec<_>>(), [(16, 48), (8, 96), (8, 192)]);
//! # }
//! ```

mod attention;
mod block;
mod config;
mod embedding;
mod network;
mod presets;
mod sizes;
#[cfg(test)]
mod tests;
mod units;

pub use attention::UnitAttention;
pub use block::HieraBlock;
pub use config::HieraConfig;
pub use embedding::UnitEmbedding;
pub use network::{Hiera, HieraStage, StageTokens};
pub(crate) use units::{in_rows, in_units};

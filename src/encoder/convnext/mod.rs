//! ConvNeXt V2 (Woo et al. 2023, arXiv 2301.00808): depthwise convolutions over fewer and fewer cells,
//! stage by stage, and a norm that lets features compete.
//!
//! [`ConvNextV2`] computes visible cells alone where patches are hidden, by sparse convolutions, as
//! FCMAE pre-trains it; [`TokenConvNextV2`] has a mask token in place of hidden patches, as SimMIM needs
//! it.

mod block;
mod config;
mod downsampling;
mod network;
mod presets;
#[cfg(test)]
mod sparse_tests;
#[cfg(test)]
mod tests;
mod token;

pub use block::ConvNextV2Block;
pub use config::ConvNextV2Config;
pub use downsampling::{ConvNextStem, Downsampling};
pub use network::{ConvNextV2, ConvNextV2Stage};
pub use token::TokenConvNextV2;

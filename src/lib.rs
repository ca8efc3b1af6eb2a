//! Masked image modelling on [burn](https://burn.dev).

pub mod batch;
#[cfg(feature = "data")]
pub mod data;
pub mod encoder;
pub mod error;
#[cfg(any(feature = "viz", feature = "train"))]
mod file;
pub mod grid;
pub mod head;
pub mod image;
pub mod mask;
pub mod nn;
pub mod rng;
#[cfg(all(feature = "train", feature = "viz"))]
pub mod run;
pub mod target;
pub mod task;
#[cfg(feature = "train")]
pub mod train;
#[cfg(feature = "viz")]
pub mod viz;

pub use batch::MimBatch;
pub use encoder::{Encoder, GridTokens, VisibleTokens, VisibleVit, Vit, VitConfig};
pub use error::{Error, Result};
pub use grid::{Grid, ImageShape};
pub use head::{Decoder, DecoderConfig, LinearHead, PredictionHead};
pub use mask::*;
pub use target::*;
pub use task::*;

#[cfg(test)]
pub(crate) fn test_device() -> burn::tensor::Device {
    burn::tensor::Device::flex()
}

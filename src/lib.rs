//! Masked image modelling on [burn](https://burn.dev): hide part of an image, train a network to
//! predict what was hidden, keep the encoder.
//!
//! ```text
//! images ─► MaskStrategy ─► Encoder ─► PredictionHead ─► Target ─► loss
//! ```
//!
//! 1. A [`MaskStrategy`] decides on the host which patches of an image are hidden: [`mask`].
//! 2. A [`Mask`] is the masks of a batch as index tensors; with the images it makes a [`MimBatch`].
//! 3. An [`Encoder`] replaces the hidden patches by a token ([`Vit`]) or drops them ([`VisibleVit`]).
//! 4. A [`PredictionHead`] turns its features into one prediction per hidden cell: [`head`].
//! 5. A [`Target`] says what these should have been, and how wrong they are: [`target`].
//! 6. [`Mim`] joins the three into a [`PretextTask`]; [`Mae`] and [`SimMim`] are choices of them.
//!    Tasks of another shape bring their own: [`ContextPrediction`], [`Selfie`], [`ImageGpt`].
//! 7. [`checkpoint`] reads and writes published weights, and reports what matched.
//! 8. `data` opens images, augments them, draws the masks, and loads batches.
//! 9. `train` trains any pretext task, with the papers' recipes, and resumes to the same bits.
//! 10. `viz` draws what a model makes of hidden patches.
//! 11. `eval` says what the encoder is worth; `run` is all of this in one call.
//!
//! On the CPU backend flex the layers run on fused kernels: [`kernel`].
//!
//! `data`, `train` (with `eval`) and `viz` are features, all on by default (`run` needs them all). The
//! rest names no backend: every function takes a device.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Distribution, Tensor};
//! use burn_mim::nn::InitialWeights;
//! use burn_mim::rng::{Purpose, stream};
//! use burn_mim::{ImageShape, MaeConfig, Mask, MaskStrategy, MimBatch, PretextTask};
//!
//! let device = Device::flex();
//! let config = MaeConfig::small_images(ImageShape::new(5, 24, 40));
//! let mae = config.init(&mut InitialWeights::new(0, &device.clone().autodiff()));
//!
//! // Two images of noise. For real ones, `data::Loader` makes the batches.
//! let images = Tensor::random([2, 5, 24, 40], Distribution::Default, &device);
//! let masks = config.mask()?;
//! let masks = [0, 1].map(|sample| masks.sample(&mut stream(0, Purpose::Mask, 0, sample)));
//! let batch = MimBatch::new(images, Mask::new(masks, &device)?);
//!
//! let loss = mae.loss(batch).loss;
//! let gradients = loss.backward();
//! assert!(mae.encoder.body.patch_embed.weight.grad(&gradients).is_some());
//! # }
//! # Ok::<(), burn_mim::Error>(())
//! ```

#[cfg(all(test, not(feature = "flex")))]
compile_error!("the tests run on flex: test with the default features");

pub mod batch;
pub mod checkpoint;
mod config;
#[cfg(feature = "data")]
pub mod data;
pub mod encoder;
pub mod error;
#[cfg(feature = "train")]
pub mod eval;
mod file;
pub mod grid;
pub mod head;
pub mod image;
pub mod kernel;
pub mod limits;
pub mod mask;
pub mod method;
pub mod nn;
pub mod rng;
#[cfg(feature = "run")]
pub mod run;
pub mod target;
pub mod task;
#[cfg(feature = "train")]
pub mod train;
#[cfg(feature = "viz")]
pub mod viz;

pub use batch::{MimBatch, RestorationBatch, TokenizerBatch};
pub use encoder::{
    Backbone, Encoder, EncoderSizes, GridTokens, ReplacingEncoder, Swin, SwinConfig, SwinV2,
    SwinV2Config, VisibleTokens, VisibleVit, Vit, VitConfig, layers_above,
};
pub use error::{Error, Result};
pub use grid::{Grid, ImageShape};
pub use head::{Decoder, DecoderConfig, LinearHead, Prediction, PredictionHead};
pub use mask::{
    BlockMask, ClosureMask, FixedMask, GridMask, Mask, MaskConfig, MaskStrategy, RandomMask,
    RegionMask, UniformMask, UnitMask, mask_fn,
};
pub use method::{
    Beit, BeitConfig, BeitV2, BeitV2Config, ContextConfig, ContextPrediction, CorruptionConfig,
    ImageGpt, ImageGptConfig, Mae, MaeConfig, MaskFeat, MaskFeatConfig, Restoration,
    RestorationConfig, Selfie, SelfieConfig, SimMim, SimMimConfig,
};
pub use target::{
    Both, Depict, GradientTarget, GradientTargetConfig, HogTarget, Normalization, PixelLoss,
    PixelTarget, Reconstruct, SobelTarget, Target, TokenTarget, Tokenizer, TokenizerConfig,
};
pub use task::{Measured, Mim, Network, PretextTask, StepEnd, TaskOutput};

/// What the guide shows compiles.
#[cfg(all(doctest, feature = "data", feature = "flex"))]
#[doc = include_str!("../docs/adding-a-method.md")]
mod adding_a_method {}

/// What the README shows compiles and runs.
#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(test)]
pub(crate) fn test_device() -> burn::tensor::Device {
    burn::tensor::Device::flex()
}

//! Masked image modelling on [burn](https://burn.dev): hide part of an image, train a network to
//! predict what was hidden, keep the encoder.
//!
//! # From images to an encoder
//!
//! 1. **Images** become an `ImageData`, from a folder of files or from arrays in memory: `data`.
//! 2. A **method** is a plain struct of numbers, such as [`MaeConfig`]. The papers' numbers are
//!    presets: [`method`].
//! 3. A **run** trains the method on the images. It leaves checkpoints, metrics and pictures in a
//!    folder, and resumes from there to the same bits: `run`, on the training loop of `train`.
//! 4. The **encoder** is what you keep. `eval` measures it, `viz` draws what it predicts, and
//!    [`checkpoint`] reads and writes the formats of published weights.
//! 5. **Your task** learns from the encoder's features: [`Backbone::represent`].
//!
//! ```
//! # #[cfg(all(feature = "run", feature = "flex"))] {
//! use std::sync::Arc;
//!
//! use burn::nn::LinearConfig;
//! use burn::tensor::{Device, Tensor};
//! use burn_mim::data::{ImageData, source::MemoryDataset};
//! use burn_mim::run::Run;
//! use burn_mim::train::{Recipe, RunFolder};
//! use burn_mim::{Backbone, DecoderConfig, ImageShape, MaeConfig, VitConfig};
//!
//! // Your images: here in memory, 24 to train on and 8 to test on, without labels.
//! // Files on disk are `"folder:DIR".parse::<DataSpec>()?.open(..)`.
//! let shape = ImageShape::square(3, 16);
//! let images = |count: usize| {
//!     let pixels = (0..count * shape.values()).map(|i| (i * i % 251) as u8).collect();
//!     MemoryDataset::new(shape, pixels, None)
//! };
//! let data = ImageData::new(Arc::new(images(24)?), Arc::new(images(8)?), vec![])?;
//!
//! // The method: a masked autoencoder, tiny. `MaeConfig::small_images(shape)` is a real one.
//! let decoder = DecoderConfig::new().with_width(32).with_depth(1).with_heads(2);
//! let mae = MaeConfig::new(VitConfig::new(shape, 4, 32, 2, 2)).with_decoder(decoder);
//!
//! // The run: by the paper's recipe, but for one epoch.
//! # let folder = tempfile::tempdir().unwrap();
//! # let out = folder.path().join("mae");
//! # /*
//! let out = "runs/mae";
//! # */
//! let device = Device::flex();
//! let mut run = Run::new(data, out, &device);
//! run.batch_size = 8;
//! run.recipe = Some(Recipe::mae().with_epochs(1).with_warmup_epochs(0.0));
//! run.pretrain(&mae)?;
//!
//! // The encoder, in this program or in another one.
//! let encoder = RunFolder::new(&run.out).load::<MaeConfig>(&device)?.task.encoder;
//!
//! // Your task: five classes from the mean of an image's features.
//! let head = LinearConfig::new(encoder.width(), 5).init(&device);
//! let images = Tensor::zeros([2, 3, 16, 16], &device);
//! let scores = head.forward(encoder.represent(images).mean_pool());
//! assert_eq!(scores.dims(), [2, 5]);
//! # }
//! # Ok::<(), burn_mim::Error>(())
//! ```
//!
//! # Inside a method
//!
//! ```text
//! images ─► MaskStrategy ─► Encoder ─► PredictionHead ─► Target ─► loss
//! ```
//!
//! A method of masked image modelling is a choice of four parts, and any four that fit together
//! compile together:
//!
//! - A [`MaskStrategy`] decides on the host which patches of an image are hidden: [`mask`]. A
//!   [`Mask`] is the masks of a batch as index tensors; with the images it makes a [`MimBatch`].
//! - An [`Encoder`] replaces the hidden patches by a token ([`Vit`]) or drops them
//!   ([`VisibleVit`]): [`encoder`].
//! - A [`PredictionHead`] turns the features into one prediction for each hidden patch: [`head`].
//! - A [`Target`] computes what the prediction should have been, and the loss: [`target`].
//!
//! [`Mim`] joins an encoder, a head and a target into a [`PretextTask`], which is all that the
//! training loop needs; [`Mae`] and [`SimMim`] are choices of the three. Tasks of another shape
//! implement [`PretextTask`] themselves: [`ContextPrediction`], [`Selfie`], [`ImageGpt`].
//!
//! # Features and backends
//!
//! `data`, `train` (with `eval`), `viz`, `run` and `cli` are features, all on by default. What remains
//! without them names no backend: every function takes a device. On the CPU backend flex the layers
//! run on fused kernels: [`kernel`].
//!
//! The pages of the repository's `docs/` folder are in `docs`.

#[cfg(all(test, not(feature = "flex")))]
compile_error!("the tests run on flex: test with the default features");

pub mod batch;
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod cli;
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

pub use batch::{ClipBatch, MimBatch, RestorationBatch, TokenizerBatch};
pub use encoder::{
    AnyBackbone, Backbone, BackboneConfig, ClipVit, ClipVitConfig, ConvNextV2, ConvNextV2Config,
    Encoder, EncoderConfig, GridTokens, Hiera, HieraConfig, ResNet, ResNetConfig, Swin, SwinConfig,
    SwinV2, SwinV2Config, TokenConvNextV2, VisibleTokens, VisibleVit, Vit, VitConfig, layers_above,
};
pub use error::{Error, Result};
pub use grid::{ClipGrid, ClipShape, Grid, ImageShape};
pub use head::{
    AnyDecoder, ClipDecoderConfig, ConvDecoder, ConvDecoderConfig, ConvNextDecoder,
    ConvNextDecoderConfig, CrossDecoder, Decoder, DecoderAttention, DecoderConfig, FusionDecoder,
    LinearHead, Prediction, PredictionHead, Predictor, PromptDecoder, UNetDecoder,
    UNetDecoderConfig,
};
pub use mask::{
    AskedConfig, BatchBlocks, BlockMask, BlockMasks, ClipMaskConfig, ClosureMask, FixedMask,
    GridMask, InverseBlockMask, Mask, MaskConfig, MaskStrategy, MultiBlock, MultiBlockConfig,
    RandomMask, RegionMask, Shown, StepMask, TubeMask, UniformMask, UnitMask, mask_fn,
};
pub use method::{
    Beit, BeitConfig, BeitV2, BeitV2Config, Cae, CaeConfig, ClipMotion, Cmae, CmaeConfig,
    ContextConfig, ContextPrediction, CorruptionConfig, Data2Vec, Data2VecConfig, Data2VecV1,
    Data2VecV1Config, Eva, EvaConfig, FcMae, FcMaeConfig, FrozenTeacher, HieraMae, HieraMaeConfig,
    IBot, IBotConfig, IJepa, IJepaConfig, ImageGpt, ImageGptConfig, LeJepa, LeJepaConfig, Mae,
    MaeConfig, MaeTarget, MaeTargetConfig, MaeTask, MaskFeat, MaskFeatConfig, Milan, MilanBatch,
    MilanConfig, RefineConfig, Refinement, Restoration, RestorationConfig, Selfie, SelfieConfig,
    SimMim, SimMimConfig, Spark, SparkConfig, TeacherConfig, VideoMae, VideoMaeConfig,
    ViewContrast, ViewContrastConfig,
};
pub use target::{
    Both, ClipMotionConfig, ClipMotionTarget, ClipPixelTarget, Depict, FeatureConfig,
    FeatureLayers, FeatureLoss, FeatureNorm, FeatureTarget, GradientTarget, GradientTargetConfig,
    HogTarget, Normalization, PixelLoss, PixelTarget, Reconstruct, SobelTarget, Sum, Target,
    TokenTarget, Tokenizer, TokenizerConfig,
};
pub use task::{Measured, Mim, Network, Observed, PretextTask, SigReg, StepEnd, TaskOutput};

/// The `rand` that this crate's contracts speak of, such as `MaskStrategy::sample`.
pub use rand;

/// The pages of the repository's `docs/` folder.
///
/// [`design`](docs::design) is the plan of the crate, [`methods`](docs::methods) lists the papers
/// with all deviations from them, [`presets`](docs::presets) lists runs by name,
/// [`adding_a_method`](docs::adding_a_method) is the guide to a method of your own,
/// [`checkpoints`](docs::checkpoints) is about published weights, [`performance`](docs::performance)
/// about speed and memory, [`backends`](docs::backends) about GPUs, [`scale`](docs::scale) about runs of
/// several processes.
#[cfg(any(doc, doctest))]
pub mod docs {
    /// Declares a module for a page, whose links to other pages lead to their modules.
    macro_rules! pages {
        ($($page:ident: $file:literal,)*) => {
            $(
                #[doc = "[design.md]: crate::docs::design"]
                #[doc = "[methods.md]: crate::docs::methods"]
                #[doc = "[performance.md]: crate::docs::performance"]
                #[doc = "[presets.md]: crate::docs::presets"]
                #[doc = "[recipes.md]: crate::docs::recipes"]
                #[doc = "[`kernel`]: crate::kernel"]
                #[doc = ""]
                #[doc = include_str!(concat!("../docs/", $file))]
                pub mod $page {}
            )*
        };
    }

    pages! {
        design: "design.md",
        methods: "methods.md",
        presets: "presets.md",
        recipes: "recipes.md",
        tutorial: "tutorial.md",
        checkpoints: "checkpoints.md",
        performance: "performance.md",
        backends: "backends.md",
        scale: "scale.md",
        shards: "shards.md",
        clips: "clips.md",
    }

    // Its code needs the image sources and a backend.
    #[doc = "[design.md]: crate::docs::design"]
    #[doc = ""]
    #[cfg_attr(
        any(not(doctest), all(feature = "run", feature = "flex")),
        doc = include_str!("../docs/adding-a-method.md")
    )]
    pub mod adding_a_method {}
}

/// What the README shows compiles and runs.
#[cfg(all(doctest, feature = "run", feature = "flex"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(test)]
pub(crate) fn test_device() -> burn::tensor::Device {
    burn::tensor::Device::flex()
}

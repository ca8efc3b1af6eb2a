//! Encoders, which pre-training trains and which are kept afterwards.
//!
//! A [`Backbone`] turns whole images into features. Dense tasks (segmentation, detection, depth)
//! read its features of several resolutions or layers, and fine-tune with smaller learning rates
//! in lower layers, which [`layers_above`] counts:
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Device, Tensor};
//! use burn_mim::nn::InitialWeights;
//! use burn_mim::{Backbone, ImageShape, SwinConfig, VitConfig, layers_above};
//!
//! let (device, image) = (Device::flex(), ImageShape::square(3, 32));
//! let images = Tensor::ones([1, 3, 32, 32], &device);
//! let weights = &mut InitialWeights::new(0, &device);
//! let swin = SwinConfig::small_images(image).init(weights);
//! let widths = swin.stages(images.clone()).into_iter().map(|stage| stage.tokens.dims()[2]);
//! assert_eq!(widths.collect::<Vec<_>>(), [48, 96, 192]);
//!
//! let vit = VitConfig::new(image, 4, 48, 6, 3).init_visible(weights);
//! let layers = vit.represent_layers(images, &[2, 4, 6]);
//! assert!(layers.iter().all(|features| features.tokens.dims() == [1, 64, 48]));
//! assert_eq!(layers_above(&vit, "encoder", "encoder.body.transformer.blocks.5.norm1.gamma"), 1);
//! # }
//! ```

mod any;
mod clip;
mod condensed;
mod config;
mod conv_batch_norm;
mod conv_stem;
pub mod convnext;
#[cfg(test)]
mod drop_path_tests;
mod frozen;
mod gpt;
pub mod hiera;
#[cfg(test)]
mod layers_tests;
mod patchwise;
mod residual;
mod residual_masked;
mod resnet;
mod stack;
pub mod swin;
pub mod swin_v2;
mod vit;
mod vit_body;
mod vit_config;
mod vit_presets;
#[cfg(test)]
mod vit_tests;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

pub use any::{AnyBackbone, BackboneConfig};
pub use clip::{ClipVit, ClipVitConfig};
pub use condensed::{CondensedTokens, CondensedVit, CondensedVitConfig};
pub use config::EncoderConfig;
pub use conv_batch_norm::ConvBatchNorm;
pub use conv_stem::{ConvStem, ConvStemConfig};
pub use convnext::{ConvNextV2, ConvNextV2Config, TokenConvNextV2};
pub(crate) use frozen::with_frozen_layers;
pub use gpt::{Gpt, GptConfig, PixelGpt};
pub use hiera::{Hiera, HieraConfig, StageTokens};
pub use patchwise::Patchwise;
pub use residual::{ConvNorm, ResidualBlock, ResidualConfig, ResidualNet};
pub use resnet::{ResNet, ResNetBlock, ResNetConfig};
pub use stack::Stack;
pub use swin::{Swin, SwinConfig};
pub use swin_v2::{SwinV2, SwinV2Config};
pub use vit::{VisibleVit, Vit};
pub use vit_body::VitBody;
pub use vit_config::{RelativePositions, VitConfig, VitInit};

use crate::grid::Grid;
use crate::mask::Mask;
use crate::nn::NormsSeen;

/// Turns whole images into features: what evaluation and downstream tasks need of a network.
///
/// `Images` is a batch of what it reads, images unless said otherwise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no backbone: it does not turn whole images into features",
    note = "implement `Backbone`: `represent` and `width`"
)]
pub trait Backbone<Images = Tensor<4>>: Module + ModuleDisplay {
    /// The features of whole images: what a user of the pre-trained encoder reads.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalized
    fn represent(&self, images: Images) -> GridTokens;

    /// The features after each of these numbers of [`layers`](Self::layers), in the order asked
    /// and in one pass: 0 for what goes into the first block, and all without a final norm. For
    /// dense tasks, for probes of the layers within, and for targets made of several layers.
    /// Default: panics, since a network need not tell its layers apart;
    /// [`represented_layers`](Self::represented_layers) says whether it does
    ///
    /// # Shapes
    ///
    /// - images: as in [`represent`](Self::represent)
    ///
    /// # Panics
    ///
    /// When the network has no such layer.
    fn represent_layers(&self, _images: Images, layers: &[usize]) -> Vec<GridTokens> {
        panic!("{} gives no features of its layers, asked for those of {layers:?}", self.describe())
    }

    /// The number of layers that [`represent_layers`](Self::represent_layers) gives the features of:
    /// all [`layers`](Self::layers), or none. Default: none
    fn represented_layers(&self) -> usize {
        0
    }

    /// What the MLP of each of these layers, counted from 1, computes of whole images, in the order
    /// asked and in one pass, before it is scaled and added to the tokens: the features that data2vec
    /// averages (arXiv 2202.03555 §3.3). Default: panics, since a network need not be of such layers
    ///
    /// # Shapes
    ///
    /// - images: as in [`represent`](Self::represent)
    ///
    /// # Panics
    ///
    /// When the network has no such layer.
    fn represent_mlps(&self, _images: Images, layers: &[usize]) -> Vec<GridTokens> {
        panic!("{} gives no features of its MLPs, asked for those of {layers:?}", self.describe())
    }

    /// The features of each resolution, finest first, which detectors and segmenters read: what a
    /// hierarchy leaves in each of its stages. Default: those of [`represent`](Self::represent)
    /// alone
    ///
    /// # Shapes
    ///
    /// - images: as in [`represent`](Self::represent)
    fn stages(&self, images: Images) -> Vec<GridTokens> {
        vec![self.represent(images)]
    }

    /// Features per token.
    fn width(&self) -> usize;

    /// A short description of the network, such as `ViT 128×6, patch 4`. Default: its width
    fn describe(&self) -> String {
        format!("network of {} features", self.width())
    }

    /// Blocks one after another that fine-tuning tells apart. Default: 0
    fn layers(&self) -> usize {
        0
    }

    /// The layer of the parameter at a path within this module, such as `body.transformer.blocks.3.norm1.gamma`:
    /// 0 for embeddings, 1 to [`layers`](Self::layers) for the blocks, one more for what follows
    /// them. Layer-wise decay of the learning rate and partial fine-tuning count by it. Default: all
    /// follow the last block
    fn layer_of(&self, _parameter: &str) -> usize {
        self.layers() + 1
    }

    /// The same network, its weights and their identities kept, that drops residual branches in
    /// training with another probability: for the last block, growing linearly from 0 at the first.
    /// What fine-tuning sets. Default: unchanged, for networks without stochastic depth
    ///
    /// # Panics
    ///
    /// When the probability is not in [0, 1).
    fn with_drop_path(self, _probability: f64) -> Self
    where
        Self: Sized,
    {
        self
    }
}

/// How many layers of `encoder` stand above the parameter at a path within a task that has the
/// encoder in the field `field`: none above what the task has besides. What
/// [`PretextTask::layers_above`](crate::PretextTask::layers_above) answers for layer-wise decay.
pub fn layers_above<Images, B: Backbone<Images>>(
    encoder: &B,
    field: &str,
    parameter: &str,
) -> usize {
    match parameter.strip_prefix(field).and_then(|rest| rest.strip_prefix('.')) {
        Some(within) => encoder.layers() + 1 - encoder.layer_of(within),
        None => 0,
    }
}

/// A [`Backbone`] that can also read images with some of their patches hidden.
///
/// The encoder decides how hidden patches are kept from it, and the type of its features shows
/// which way it chose: replaced by a learned mask token ([`GridTokens`]) or dropped
/// ([`VisibleTokens`]).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot read images with patches hidden",
    note = "masked image modelling needs an `Encoder`, such as `Vit`, `VisibleVit` or `Swin`"
)]
pub trait Encoder: Backbone<<Self as Encoder>::Images> {
    /// A batch of what it reads: `Tensor<4>` for images, `Tensor<5>` for clips
    /// (`[batch, channels, frames, height, width]`).
    type Images;

    /// What a [`PredictionHead`](crate::PredictionHead) reads.
    type Features;

    /// The features of images whose hidden patches the encoder must not see.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalized
    ///
    /// # Panics
    ///
    /// When the images do not divide into patches, or the mask does not fit their grid.
    fn encode(&self, images: Self::Images, mask: &Mask) -> Self::Features;

    /// As [`encode`](Self::encode), with what the norms that remember batches saw of this one. A training
    /// step computes this, and hands what was seen to [`follow`](Self::follow) once it is done. Default: no
    /// norm remembers batches
    fn encode_seen(&self, images: Self::Images, mask: &Mask) -> (Self::Features, NormsSeen) {
        (self.encode(images, mask), NormsSeen::default())
    }

    /// The encoder whose norms have moved what they remember towards what they saw of a batch. Default:
    /// unchanged
    ///
    /// # Panics
    ///
    /// When something was seen by more or fewer norms than there are.
    fn follow(self, seen: NormsSeen) -> Self {
        assert!(seen.0.is_empty(), "{} has no norm that remembers batches", self.describe());
        self
    }
}

/// Refuses images of other channels than a network reads.
///
/// # Panics
///
/// When they are; says what both are.
pub(crate) fn check_channels(images: &Tensor<4>, reads: usize) {
    let [_, has, ..] = images.dims();
    assert!(has == reads, "an encoder that reads images of {reads} channels got images of {has}");
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

/// Features of each stage of a hierarchy as maps, finest first, zeros at hidden cells.
#[derive(Debug, Clone)]
pub struct FeatureMaps {
    /// `[batch, features, rows, cols]` of every stage.
    pub stages: Vec<Tensor<4>>,
}

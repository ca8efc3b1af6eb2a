//! What an encoder is, in a file: enough to build one of the same shape.

use std::any::Any;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::ChannelStatistics;
use crate::encoder::{
    ClipVit, ClipVitConfig, ConvNextV2, ConvNextV2Config, GptConfig, Hiera, HieraConfig, PixelGpt,
    ResNetConfig, Swin, SwinConfig, SwinV2, SwinV2Config, TokenConvNextV2, Vit, VitBody, VitConfig,
};
use crate::grid::ImageShape;
use crate::method::{Method, RunConfig};

/// The sizes of an encoder, from which one of the same shape is built without the run or the file
/// that it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum EncoderSpec {
    /// A [`VitBody`].
    Vit(VitConfig),
    /// A [`Vit`], which has a mask token.
    MaskedVit(VitConfig),
    /// A [`Swin`](crate::Swin).
    Swin(SwinConfig),
    /// A [`SwinV2`](crate::SwinV2).
    SwinV2(SwinV2Config),
    /// A [`ConvNextV2`].
    ConvNextV2(ConvNextV2Config),
    /// A [`TokenConvNextV2`], which has a mask token.
    TokenConvNextV2(ConvNextV2Config),
    /// A [`Hiera`].
    Hiera(HieraConfig),
    /// A [`ClipVit`].
    ClipVit(ClipVitConfig),
    /// A [`ResNet`](crate::ResNet).
    ResNet {
        /// Its sizes.
        config: ResNetConfig,
        /// The images that it is taken to read.
        image: ImageShape,
    },
    /// A [`PixelGpt`] with its palette.
    ImageGpt {
        /// The transformer.
        config: GptConfig,
        /// The block whose input the features are.
        layer: usize,
    },
    /// The encoder of a method's task.
    Method {
        /// [`Method::NAME`].
        method: String,
        /// [`Method::VARIANT`].
        variant: String,
        /// The method.
        numbers: Value,
        /// The statistics that its images were normalized with.
        statistics: ChannelStatistics,
    },
}

impl EncoderSpec {
    /// What `encoder` is, if its type alone says it.
    pub(super) fn of(encoder: &dyn Any) -> Option<Self> {
        if let Some(body) = encoder.downcast_ref::<VitBody>() {
            return Some(Self::Vit(body.config().clone()));
        }
        if let Some(vit) = encoder.downcast_ref::<Vit>() {
            return Some(Self::MaskedVit(vit.body.config().clone()));
        }
        if let Some(network) = encoder.downcast_ref::<ConvNextV2>() {
            return Some(Self::ConvNextV2(network.config().clone()));
        }
        if let Some(token) = encoder.downcast_ref::<TokenConvNextV2>() {
            return Some(Self::TokenConvNextV2(token.network.config().clone()));
        }
        if let Some(hiera) = encoder.downcast_ref::<Hiera>() {
            return Some(Self::Hiera(hiera.config().clone()));
        }
        if let Some(clip) = encoder.downcast_ref::<ClipVit>() {
            return Some(Self::ClipVit(clip.config().clone()));
        }
        let pixels = encoder.downcast_ref::<PixelGpt>().filter(|gpt| gpt.palette.is_some())?;
        Some(Self::ImageGpt { config: pixels.gpt.config().clone(), layer: pixels.layer })
    }

    /// What the `encoder` of a run is.
    pub(super) fn of_method<M: Method>(
        config: &RunConfig<M>,
        encoder: &M::Encoder,
    ) -> Option<Self> {
        if let Some(spec) = Self::of(encoder) {
            return Some(spec);
        }
        let numbers = serde_json::to_value(&config.numbers).ok()?;
        // A Swin does not know its sizes; its method has them under this name.
        let (encoder, sizes) = (encoder as &dyn Any, numbers["encoder"].clone());
        if encoder.is::<Swin>() {
            return serde_json::from_value(sizes).ok().map(Self::Swin);
        }
        if encoder.is::<SwinV2>() {
            return serde_json::from_value(sizes).ok().map(Self::SwinV2);
        }
        let (method, variant) = (M::NAME.into(), M::VARIANT.into());
        Some(Self::Method { method, variant, numbers, statistics: config.statistics.clone() })
    }

    /// The images that the encoder is made for, unless only its method knows.
    pub fn image(&self) -> Option<ImageShape> {
        match self {
            Self::Vit(config) | Self::MaskedVit(config) => Some(config.image),
            Self::Swin(config) => Some(config.image),
            Self::SwinV2(config) => Some(config.sizes.image),
            Self::ConvNextV2(config) | Self::TokenConvNextV2(config) => Some(config.image),
            Self::Hiera(config) => Some(config.image),
            Self::ClipVit(config) => Some(config.image()),
            Self::ResNet { image, .. } => Some(*image),
            Self::ImageGpt { config, .. } => Some(config.image),
            Self::Method { .. } => None,
        }
    }
}

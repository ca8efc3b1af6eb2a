//! MAE's decoders, by choice at run time.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param,
};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::{CrossDecoder, Decoder, DecoderAttention, DecoderConfig, PredictionHead};
use crate::encoder::{VisibleTokens, VitConfig};
use crate::mask::Mask;
use crate::nn::{InitialWeights, PositionTable};

/// A decoder of either kind. Its parameters have the paths of the decoder's own, so that a
/// checkpoint is read by both.
#[allow(clippy::large_enum_variant, reason = "a model has one of them")]
#[derive(Clone, Debug)]
pub enum AnyDecoder {
    /// Of full attention.
    Full(Decoder),
    /// Of cross-attention.
    Cross(CrossDecoder),
}

impl DecoderConfig {
    /// A decoder of the configured attention for `encoder` that predicts `target_width` values per
    /// asked cell.
    ///
    /// # Panics
    ///
    /// With the message of [`DecoderConfig::validate`] when that fails.
    pub fn init_any(
        &self,
        encoder: &VitConfig,
        target_width: usize,
        weights: &mut InitialWeights,
    ) -> AnyDecoder {
        match self.attention {
            DecoderAttention::Full => AnyDecoder::Full(self.init(encoder, target_width, weights)),
            DecoderAttention::Cross => {
                AnyDecoder::Cross(self.init_cross(encoder, target_width, weights))
            }
        }
    }
}

/// The same expression of whichever decoder it is.
macro_rules! each {
    ($self:expr, $decoder:ident => $body:expr) => {
        match $self {
            AnyDecoder::Full($decoder) => $body,
            AnyDecoder::Cross($decoder) => $body,
        }
    };
}

/// As `each!`, of an expression that is again that decoder.
macro_rules! each_again {
    ($self:expr, $decoder:ident => $body:expr) => {
        match $self {
            AnyDecoder::Full($decoder) => AnyDecoder::Full($body),
            AnyDecoder::Cross($decoder) => AnyDecoder::Cross($body),
        }
    };
}

impl AnyDecoder {
    /// The mask token, `[1, width]`.
    pub fn mask_token(&self) -> &Param<Tensor<2>> {
        each!(self, decoder => &decoder.mask_token)
    }

    /// Decoder width → target width.
    pub fn projection(&self) -> &Linear {
        each!(self, decoder => &decoder.projection)
    }

    /// Positions of all cells.
    pub fn positions(&self) -> &PositionTable {
        each!(self, decoder => &decoder.positions)
    }
}

impl PredictionHead<VisibleTokens> for AnyDecoder {
    type Prediction = Tensor<3>;

    fn predict(&self, features: VisibleTokens, mask: &Mask) -> Tensor<3> {
        each!(self, decoder => decoder.predict(features, mask))
    }
}

/// Not derived: a derived enum's parameters have the variant in their paths.
impl Module for AnyDecoder {
    fn collect_devices(&self, devices: Devices) -> Devices {
        each!(self, decoder => decoder.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        each_again!(self, decoder => decoder.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        each_again!(self, decoder => decoder.to_device(device))
    }

    fn train(self) -> Self {
        each_again!(self, decoder => decoder.train())
    }

    fn valid(&self) -> Self {
        each_again!(self, decoder => decoder.valid())
    }

    fn materialize(self) -> Self {
        each_again!(self, decoder => decoder.materialize())
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        each!(self, decoder => decoder.visit(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        each_again!(self, decoder => decoder.map(mapper))
    }
}

impl ModuleDisplayDefault for AnyDecoder {
    fn content(&self, content: Content) -> Option<Content> {
        each!(self, decoder => ModuleDisplayDefault::content(decoder, content))
    }

    fn num_params(&self) -> usize {
        each!(self, decoder => Module::num_params(decoder))
    }
}

impl ModuleDisplay for AnyDecoder {}

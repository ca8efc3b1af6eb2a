//! A backbone of any kind, by choice at run time.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::{
    Backbone, ConvNextV2, ConvNextV2Config, EncoderConfig, GridTokens, Hiera, HieraConfig, Swin,
    SwinConfig, SwinV2, SwinV2Config, VitBody, VitConfig,
};
use crate::error::Result;
use crate::grid::{Grid, ImageShape};
use crate::nn::InitialWeights;

/// The sizes of an [`AnyBackbone`], as in `{"vit": {"patch": 4, ...}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BackboneConfig {
    /// A [`VitBody`].
    Vit(VitConfig),
    /// A [`Swin`].
    Swin(SwinConfig),
    /// A [`SwinV2`].
    SwinV2(SwinV2Config),
    /// A [`ConvNextV2`].
    ConvNextV2(ConvNextV2Config),
    /// A [`Hiera`].
    Hiera(HieraConfig),
}

/// A network of any of these kinds.
#[allow(clippy::large_enum_variant, reason = "a model has one of them")]
#[derive(Module, Debug)]
pub enum AnyBackbone {
    /// A vision transformer.
    Vit(VitBody),
    /// A Swin.
    Swin(Swin),
    /// A Swin v2.
    SwinV2(SwinV2),
    /// A ConvNeXt V2.
    ConvNextV2(ConvNextV2),
    /// A Hiera.
    Hiera(Hiera),
}

/// The same expression of whichever kind it is.
macro_rules! each {
    ($kind:ident, $self:expr, $it:ident => $body:expr) => {
        match $self {
            $kind::Vit($it) => $body,
            $kind::Swin($it) => $body,
            $kind::SwinV2($it) => $body,
            $kind::ConvNextV2($it) => $body,
            $kind::Hiera($it) => $body,
        }
    };
}

/// What sizes of any kind say.
trait Sizes {
    fn image(&self) -> ImageShape;
    fn cells(&self) -> Result<Grid>;
    fn check(&self) -> Result<()>;
}

impl<C: EncoderConfig> Sizes for C {
    fn image(&self) -> ImageShape {
        EncoderConfig::image(self)
    }

    fn cells(&self) -> Result<Grid> {
        EncoderConfig::image(self).grid(self.stride())
    }

    fn check(&self) -> Result<()> {
        self.validate()
    }
}

impl Sizes for HieraConfig {
    fn image(&self) -> ImageShape {
        self.image
    }

    fn cells(&self) -> Result<Grid> {
        self.validate().map(|()| self.stage_grid(self.pools))
    }

    fn check(&self) -> Result<()> {
        self.validate()
    }
}

impl BackboneConfig {
    /// The images it is made for.
    pub fn image(&self) -> ImageShape {
        each!(BackboneConfig, self, config => Sizes::image(config))
    }

    /// The grid of its features.
    ///
    /// # Errors
    ///
    /// When its patches do not divide its images.
    pub fn grid(&self) -> Result<Grid> {
        each!(BackboneConfig, self, config => config.cells())
    }

    /// Its blocks one after another.
    pub fn layers(&self) -> usize {
        match self {
            Self::Vit(config) => config.depth,
            Self::Swin(config) => config.depths.iter().sum(),
            Self::SwinV2(config) => config.sizes.depths.iter().sum(),
            Self::ConvNextV2(config) => config.depths.iter().sum(),
            Self::Hiera(config) => config.depths.iter().sum(),
        }
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        each!(BackboneConfig, self, config => Sizes::check(config))
    }

    /// The network with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`BackboneConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> AnyBackbone {
        match self {
            Self::Vit(config) => AnyBackbone::Vit(VitBody::new(config, weights)),
            Self::Swin(config) => AnyBackbone::Swin(config.init(weights)),
            Self::SwinV2(config) => AnyBackbone::SwinV2(config.init(weights)),
            Self::ConvNextV2(config) => AnyBackbone::ConvNextV2(config.init(weights)),
            Self::Hiera(config) => AnyBackbone::Hiera(config.init(weights)),
        }
    }
}

impl AnyBackbone {
    /// The features of whole images, and how much each cell matters to the image as a whole, `[batch,
    /// cells]`, above 0: the attention that the class token pays to it in the last block, and of a
    /// network without one softmax(m · c / √width) of the mean m of all features and the cell's c.
    pub fn represent_scored(&self, images: Tensor<4>) -> (GridTokens, Tensor<2>) {
        let (features, paid) = match self {
            Self::Vit(body) => body.represent_attended(images),
            _ => (self.represent(images), None),
        };
        let paid = paid.unwrap_or_else(|| {
            let (tokens, scale) = (features.tokens.clone(), (self.width() as f64).sqrt());
            let mean = tokens.clone().mean_dim(1).transpose();
            softmax(tokens.matmul(mean).squeeze_dim::<2>(2) / scale, 1)
        });
        (features, paid)
    }
}

impl Backbone for AnyBackbone {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        each!(AnyBackbone, self, network => network.represent(images))
    }

    fn represent_layers(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        each!(AnyBackbone, self, network => network.represent_layers(images, layers))
    }

    fn represented_layers(&self) -> usize {
        each!(AnyBackbone, self, network => network.represented_layers())
    }

    fn represent_mlps(&self, images: Tensor<4>, layers: &[usize]) -> Vec<GridTokens> {
        each!(AnyBackbone, self, network => network.represent_mlps(images, layers))
    }

    fn stages(&self, images: Tensor<4>) -> Vec<GridTokens> {
        each!(AnyBackbone, self, network => network.stages(images))
    }

    fn width(&self) -> usize {
        each!(AnyBackbone, self, network => network.width())
    }

    fn describe(&self) -> String {
        each!(AnyBackbone, self, network => network.describe())
    }

    fn layers(&self) -> usize {
        each!(AnyBackbone, self, network => network.layers())
    }
}

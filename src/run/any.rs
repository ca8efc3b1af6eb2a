//! A network chosen at run time.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::encoder::{
    Backbone, EncoderConfig, EncoderSizes, GptConfig, GridTokens, Patchwise, PixelGpt,
    ResidualConfig, ResidualNet, Swin, SwinV2, SwinV2Config, VitBody,
};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{RestorationEncoder, RestorationEncoderConfig};
use crate::nn::InitialWeights;

/// Any of this crate's networks, without what only pre-training needs of a vision transformer (a
/// mask token): what is loaded when a file says which network it is.
#[derive(Module, Debug)]
pub enum AnyBackbone {
    /// A vision transformer.
    Vit(VitBody),
    /// Swin.
    Swin(Swin),
    /// Swin-v2.
    SwinV2(SwinV2),
    /// A residual network.
    Residual(ResidualNet),
    /// A residual network that reads patch by patch.
    Patchwise(Patchwise<ResidualNet>),
    /// Image GPT's transformer.
    PixelGpt(PixelGpt),
    /// The transformer of image restoration.
    Restoration(RestorationEncoder),
}

/// What an [`AnyBackbone`] is made of.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum BackboneConfig {
    /// An encoder of masked images.
    Encoder(EncoderConfig),
    /// A residual network for images of a shape.
    Residual(ResidualConfig, ImageShape),
    /// A residual network that reads patches of a side in pixels.
    Patchwise(ResidualConfig, ImageShape, usize),
    /// Image GPT's transformer.
    PixelGpt(GptConfig),
    /// The transformer of image restoration.
    Restoration(RestorationEncoderConfig),
}

impl<C: Into<EncoderConfig>> From<C> for BackboneConfig {
    fn from(config: C) -> Self {
        Self::Encoder(config.into())
    }
}

impl BackboneConfig {
    /// The images it is made for.
    pub fn image(&self) -> ImageShape {
        match self {
            Self::Encoder(config) => config.image(),
            Self::Residual(_, image) | Self::Patchwise(_, image, _) => *image,
            Self::PixelGpt(config) => config.image,
            Self::Restoration(config) => config.transformer.image,
        }
    }

    /// Checks every rule the sizes must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Encoder(config) => config.validate(),
            Self::Residual(config, _) | Self::Patchwise(config, ..) => config.validate(),
            Self::PixelGpt(config) => config.validate(),
            Self::Restoration(config) => config.validate(),
        }
    }

    /// The same with another drop-path probability, where there is such a thing.
    pub fn with_drop_path(self, drop_path: f64) -> Self {
        let config = match self {
            Self::Encoder(config) => config,
            Self::Restoration(config) => {
                let transformer = config.transformer.with_drop_path(drop_path);
                return Self::Restoration(RestorationEncoderConfig { transformer, ..config });
            }
            other => return other,
        };
        Self::Encoder(match config {
            EncoderConfig::Vit(config) => config.with_drop_path(drop_path).into(),
            EncoderConfig::Swin(config) => config.with_drop_path(drop_path).into(),
            EncoderConfig::SwinV2(config) => {
                SwinV2Config { sizes: config.sizes.clone().with_drop_path(drop_path), ..config }
                    .into()
            }
        })
    }

    /// The network with fresh weights; an Image GPT has no palette yet.
    ///
    /// # Panics
    ///
    /// With the message of [`BackboneConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> AnyBackbone {
        match self {
            Self::Encoder(EncoderConfig::Vit(config)) => {
                AnyBackbone::Vit(VitBody::new(config, weights))
            }
            Self::Encoder(EncoderConfig::Swin(config)) => AnyBackbone::Swin(config.init(weights)),
            Self::Encoder(EncoderConfig::SwinV2(config)) => {
                AnyBackbone::SwinV2(config.init(weights))
            }
            Self::Residual(config, _) => AnyBackbone::Residual(config.init(weights)),
            Self::Patchwise(config, _, patch) => {
                AnyBackbone::Patchwise(Patchwise { network: config.init(weights), patch: *patch })
            }
            Self::PixelGpt(config) => {
                AnyBackbone::PixelGpt(PixelGpt::new(config.init(weights), None))
            }
            Self::Restoration(config) => AnyBackbone::Restoration(config.init(weights)),
        }
    }
}

impl AnyBackbone {
    /// The same weights in the network that `config` describes, on `device`: with another drop
    /// path, for one. An autodiff device makes it ready to be trained.
    ///
    /// # Panics
    ///
    /// When `config` is of a network of other sizes.
    pub fn rebuilt(self, config: &BackboneConfig, device: &Device) -> Self {
        // Fresh weights are lazy, and never drawn.
        let fresh = config.init(&mut InitialWeights::new(0, device)).with_palette_of(&self);
        fresh.load_record(self.into_record())
    }

    /// The same network reading pixels by the palette of `other`, where both are Image GPTs.
    pub fn with_palette_of(self, other: &Self) -> Self {
        match (self, other) {
            (Self::PixelGpt(gpt), Self::PixelGpt(other)) => {
                let palette = other.palette.as_ref().map(|palette| palette.val());
                Self::PixelGpt(PixelGpt::new(gpt.gpt, palette).at_layer(other.layer))
            }
            (other_kind, _) => other_kind,
        }
    }
}

/// What `$call` makes of the network within.
macro_rules! within {
    ($any:expr, $network:ident => $call:expr) => {
        match $any {
            AnyBackbone::Vit($network) => $call,
            AnyBackbone::Swin($network) => $call,
            AnyBackbone::SwinV2($network) => $call,
            AnyBackbone::Residual($network) => $call,
            AnyBackbone::Patchwise($network) => $call,
            AnyBackbone::PixelGpt($network) => $call,
            AnyBackbone::Restoration($network) => $call,
        }
    };
}

impl Backbone for AnyBackbone {
    fn represent(&self, images: Tensor<4>) -> GridTokens {
        within!(self, network => network.represent(images))
    }

    fn width(&self) -> usize {
        within!(self, network => network.width())
    }

    fn layers(&self) -> usize {
        within!(self, network => network.layers())
    }

    /// Paths within the enum begin with the variant's name.
    fn layer_of(&self, parameter: &str) -> usize {
        let inner = parameter.split_once('.').map_or(parameter, |(_variant, inner)| inner);
        within!(self, network => network.layer_of(inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::VitConfig;
    use crate::grid::ImageShape;
    use crate::nn::named_parameters;
    use crate::test_device;
    use std::collections::BTreeMap;

    fn config() -> BackboneConfig {
        VitConfig::new(ImageShape::new(2, 8, 12), 4, 8, 2, 2).into()
    }

    fn backbone() -> AnyBackbone {
        config().init(&mut InitialWeights::new(0, &test_device()))
    }

    #[test]
    fn the_paths_within_the_enum_have_the_layers_of_the_encoder() {
        let any = backbone();
        let paths: Vec<_> = named_parameters(&any).into_iter().map(|found| found.path).collect();
        let mut counts = BTreeMap::<usize, usize>::new();
        for path in &paths {
            *counts.entry(any.layer_of(path)).or_default() += 1;
        }
        // Patch embedding, class token and positions; twelve a block; the last norm.
        assert_eq!(counts, BTreeMap::from([(0, 4), (1, 12), (2, 12), (3, 2)]), "{paths:?}");
    }

    #[test]
    fn another_drop_path_keeps_the_weights() {
        let images = || Tensor::ones([1, 2, 8, 12], &test_device());
        let any = backbone();
        let features = any.represent(images()).tokens.into_data();
        let config = config().with_drop_path(0.2);
        let dropping = any.rebuilt(&config, &test_device().autodiff());
        let AnyBackbone::Vit(body) = &dropping else { panic!("{dropping}") };
        assert_eq!(body.config().drop_path, 0.2);
        assert!(body.patch_embed.weight.val().is_require_grad());
        let valid = dropping.valid();
        valid.represent(images()).tokens.into_data().assert_eq(&features, true);
    }
}

//! Encoders of a given shape, whose weights a file brings.

use burn::tensor::{Device, Tensor};
use serde_json::Value;

use super::encoder_spec::EncoderSpec;
use super::loaded::{BackboneVisitor, LoadedBackbone};
use crate::data::ChannelStatistics;
use crate::encoder::{EncoderConfig, GptConfig, PixelGpt, VitBody};
use crate::error::{Error, Result};
use crate::method::{DataFacts, Method, MethodVisitor, Methods};
use crate::nn::InitialWeights;

impl EncoderSpec {
    /// Hands an encoder of this shape with fresh weights to `visitor`. Methods are of the list `L`.
    ///
    /// # Errors
    ///
    /// When a size breaks a rule, the method is not in the list, and when the visitor fails.
    pub fn visit<L: Methods, V: BackboneVisitor>(
        self,
        device: &Device,
        visitor: V,
    ) -> Result<V::Output> {
        match self {
            Self::Vit(config) => {
                config.validate()?;
                let (image, init) =
                    (config.image, move |weights: &mut _| Ok(VitBody::new(&config, weights)));
                let body = init(&mut InitialWeights::new(0, device))?;
                visitor.visit(LoadedBackbone::new(body, image, "ViT", init))
            }
            Self::MaskedVit(config) => masked(config, device, visitor),
            Self::Swin(config) => masked(config, device, visitor),
            Self::SwinV2(config) => masked(config, device, visitor),
            Self::ConvNextV2(config) => {
                config.validate()?;
                let network = config.init(&mut InitialWeights::new(0, device));
                let (image, init) = (config.image, move |weights: &mut _| Ok(config.init(weights)));
                visitor.visit(LoadedBackbone::new(network, image, "ConvNeXt V2", init))
            }
            Self::TokenConvNextV2(config) => masked(config, device, visitor),
            Self::Hiera(config) => {
                config.validate()?;
                let (image, init) = (config.image, move |weights: &mut _| Ok(config.init(weights)));
                let hiera = init(&mut InitialWeights::new(0, device))?;
                visitor.visit(LoadedBackbone::new(hiera, image, "Hiera", init))
            }
            Self::ClipVit(config) => {
                config.validate()?;
                let (image, init) =
                    (config.image(), move |weights: &mut _| Ok(config.init(weights)));
                let clip = init(&mut InitialWeights::new(0, device))?;
                visitor.visit(LoadedBackbone::new(clip, image, "ViT of clips", init))
            }
            Self::ResNet { config, image } => {
                config.validate()?;
                let init = move |weights: &mut _| Ok(config.init(weights));
                let network = init(&mut InitialWeights::new(0, device))?;
                visitor.visit(LoadedBackbone::new(network, image, "ResNet", init))
            }
            Self::ImageGpt { config, layer } => gpt(config, layer, device, visitor),
            Self::Method { method, variant, numbers, statistics } => {
                let of_method = OfMethod { numbers, statistics, device, visitor };
                L::visit(&method, &variant, of_method)
            }
        }
    }
}

fn masked<C, V>(config: C, device: &Device, visitor: V) -> Result<V::Output>
where
    C: EncoderConfig<Encoder: Clone> + Send + Sync + 'static,
    V: BackboneVisitor,
{
    config.validate()?;
    let encoder = config.init(&mut InitialWeights::new(0, device));
    let image = config.image();
    visitor.visit(LoadedBackbone::new(encoder, image, C::KIND, move |w| Ok(config.init(w))))
}

fn gpt<V: BackboneVisitor>(
    config: GptConfig,
    layer: usize,
    device: &Device,
    visitor: V,
) -> Result<V::Output> {
    config.validate()?;
    if layer > config.depth {
        let depth = config.depth;
        return Err(Error::config(format!("a transformer of {depth} blocks has no layer {layer}")));
    }
    let (image, device) = (config.image, device.clone());
    let weights = &mut InitialWeights::new(0, &device);
    let init = move |weights: &mut InitialWeights| {
        let palette = Tensor::zeros([config.colors, config.image.channels], &device);
        Ok(PixelGpt::new(config.init(weights), Some(palette)).at_layer(layer))
    };
    visitor.visit(LoadedBackbone::new(init(weights)?, image, "Image GPT", init))
}

/// Builds the encoder of a method's task.
struct OfMethod<'a, V> {
    numbers: Value,
    statistics: ChannelStatistics,
    device: &'a Device,
    visitor: V,
}

impl<V: BackboneVisitor> MethodVisitor for OfMethod<'_, V> {
    type Output = V::Output;

    fn visit<M: Method>(self) -> Result<V::Output> {
        let Self { numbers, statistics, device, visitor } = self;
        let method: M =
            serde_json::from_value(numbers).map_err(|error| Error::config(error.to_string()))?;
        method.validate()?;
        let facts = DataFacts::new(statistics);
        let task = method.init(&facts, &mut InitialWeights::new(0, device))?;
        let (encoder, image) = (M::kept(&task), method.image());
        let like = encoder.clone();
        let random = move |weights: &mut InitialWeights| method.untrained(&like, &facts, weights);
        visitor.visit(LoadedBackbone::new(encoder, image, M::TITLE, random))
    }
}

//! The `config.json` of the vision transformers of transformers that are encoders alone: ViTMSN,
//! I-JEPA, DINOv2 and CLIP's.

use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{Size, activation_named, image_size, name_of_activation, only_shared_heads};
use crate::checkpoint::vit_names::VitNames;
use crate::encoder::{RelativePositions, VitConfig};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::nn::{MlpActivation, NormKind, PositionResize, Positions, QkvBias};

/// What such an encoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoders {
    Msn,
    IJepa,
    Dinov2,
    Dinov2WithRegisters,
    Clip,
}

impl Encoders {
    /// The kind of the class `architecture`.
    pub(super) fn of(architecture: &str) -> Option<Self> {
        // The longer name first.
        let kinds = [
            ("ViTMSN", Self::Msn),
            ("IJepa", Self::IJepa),
            ("Dinov2WithRegisters", Self::Dinov2WithRegisters),
            ("Dinov2", Self::Dinov2),
            ("CLIP", Self::Clip),
        ];
        kinds.into_iter().find_map(|(name, kind)| architecture.starts_with(name).then_some(kind))
    }

    /// The names of its weights where it has no parts of DINOv2's.
    pub(super) fn names(self) -> VitNames {
        match self {
            Self::Clip => VitNames::clip(),
            _ => VitNames::transformers(""),
        }
    }
}

/// The fields of a `config.json` that are read. An absent field has the default of transformers.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct EncoderJson {
    image_size: Size,
    patch_size: Option<Size>,
    num_channels: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    mlp_ratio: f64,
    layer_norm_eps: Option<f64>,
    qkv_bias: bool,
    hidden_act: Option<String>,
    head_dim: Option<usize>,
    layerscale_value: f64,
    drop_path_rate: f64,
    use_swiglu_ffn: bool,
    num_register_tokens: usize,
    use_mask_token: bool,
}

impl Default for EncoderJson {
    fn default() -> Self {
        Self {
            image_size: Size::Square(224),
            patch_size: None,
            num_channels: 3,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            mlp_ratio: 4.0,
            layer_norm_eps: None,
            qkv_bias: true,
            hidden_act: None,
            head_dim: None,
            layerscale_value: 1.0,
            drop_path_rate: 0.0,
            use_swiglu_ffn: false,
            num_register_tokens: 4,
            use_mask_token: true,
        }
    }
}

impl EncoderJson {
    /// The same model for other images.
    pub(super) fn with_image(mut self, image: Option<ImageShape>) -> Self {
        if let Some(ImageShape { channels, height, width, .. }) = image {
            self.image_size = Size::HeightWidth([height, width]);
            self.num_channels = channels;
        }
        self
    }

    /// Whether the weights of a DINOv2 have a mask token; those with registers always have one.
    pub(super) fn has_mask_token(&self, kind: Encoders) -> bool {
        kind == Encoders::Dinov2WithRegisters || self.use_mask_token
    }

    pub(super) fn encoder(&self, kind: Encoders) -> Result<VitConfig> {
        let ([height, width], eps) = (self.image_size.height_width(), self.layer_norm_eps);
        let (patch, epsilon, act) = match kind {
            Encoders::Msn => (16, 1e-6, "gelu"),
            Encoders::IJepa => (16, 1e-12, "gelu"),
            Encoders::Dinov2 | Encoders::Dinov2WithRegisters => (14, 1e-6, "gelu"),
            Encoders::Clip => (32, 1e-5, "quick_gelu"),
        };
        let patch = self.patch_size.unwrap_or(Size::Square(patch)).patch()?;
        let (features, heads) = (self.hidden_size, self.num_attention_heads);
        only_shared_heads(self.head_dim, heads, features)?;
        let image = ImageShape::new(self.num_channels, height, width);
        let activation = activation_named("hidden_act", self.hidden_act.as_deref().unwrap_or(act))?;
        let config = VitConfig::new(image, patch, features, self.num_hidden_layers, heads)
            .with_mlp_ratio(self.intermediate_size as f64 / features as f64)
            .with_norm_epsilon(eps.unwrap_or(epsilon))
            .with_qkv_bias(if self.qkv_bias { QkvBias::All } else { QkvBias::None })
            .with_positions(Positions::Learned)
            .with_activation(activation);
        let config = match kind {
            Encoders::Msn => config,
            Encoders::IJepa => config.with_class_token(false),
            Encoders::Dinov2 => self.dinov2(config),
            Encoders::Dinov2WithRegisters => self
                .dinov2(config)
                .with_registers(self.num_register_tokens)
                .with_position_resize(PositionResize::Antialiased),
            Encoders::Clip => {
                config.with_qkv_bias(QkvBias::All).with_pre_norm(true).with_patch_bias(false)
            }
        };
        config.validate()?;
        Ok(config)
    }

    /// Layer scale, and an MLP whose width is a multiple of the features, or gated.
    fn dinov2(&self, config: VitConfig) -> VitConfig {
        let (features, gated) = (config.width as f64, self.use_swiglu_ffn);
        let mlp_width = dinov2_mlp(features * self.mlp_ratio, gated);
        let activation = if gated { MlpActivation::Gelu } else { config.activation };
        config
            .with_mlp_ratio(mlp_width as f64 / features)
            .with_swiglu(gated)
            .with_activation(activation)
            .with_layer_scale(Some(self.layerscale_value))
            .with_drop_path(self.drop_path_rate)
    }
}

/// The features within an MLP of DINOv2 for a plain one of `plain` features: where it is gated two
/// thirds of them, rounded up to a multiple of 8.
fn dinov2_mlp(plain: f64, gated: bool) -> usize {
    // No more than is refused anyway.
    let plain = plain.trunc().min(1e12);
    if gated { ((plain * 2.0 / 3.0) as usize).div_ceil(8) * 8 } else { plain as usize }
}

/// The class of transformers, and its `config.json`, for an encoder with parts that neither its ViT
/// nor its BEiT has; `None` for others.
///
/// # Errors
///
/// When the encoder has a part that the class lacks.
pub(super) fn encoder_json(config: &VitConfig) -> Result<Option<(Encoders, &'static str, Value)>> {
    let scaled = config.layer_scale.is_some()
        && config.qkv_bias != QkvBias::QueryValue
        && config.relative_positions == RelativePositions::None;
    let (kind, class, model_type, title) = match () {
        () if config.pre_norm => {
            (Encoders::Clip, "CLIPVisionModel", "clip_vision_model", "CLIPVisionModel")
        }
        () if config.registers > 0 => (
            Encoders::Dinov2WithRegisters,
            "Dinov2WithRegistersModel",
            "dinov2_with_registers",
            "DINOv2",
        ),
        () if scaled || config.swiglu => (Encoders::Dinov2, "Dinov2Model", "dinov2", "DINOv2"),
        () if !config.class_token => (Encoders::IJepa, "IJepaModel", "ijepa", "I-JEPA"),
        () => return Ok(None),
    };
    let refuse = |has: bool, what: &str| {
        let message =
            format!("transformers' {title} has no {what}, so this model cannot be saved so");
        if has { Err(Error::config(message)) } else { Ok(()) }
    };
    let is_dinov2 = matches!(kind, Encoders::Dinov2 | Encoders::Dinov2WithRegisters);
    let ImageShape { height, width, .. } = config.image;
    refuse(config.more_class_tokens > 0, "second class token")?;
    refuse(config.rotary.is_some(), "rotary positions")?;
    refuse(config.query_key_norm, "query-key norm")?;
    refuse(config.norm != NormKind::Layer, "root-mean-square norm")?;
    refuse(config.post_norm, "norms after the branches")?;
    refuse(config.positions == Positions::None, "variant without absolute positions")?;
    refuse(config.relative_positions != RelativePositions::None, "relative positions")?;
    refuse(config.qkv_bias == QkvBias::QueryValue, "bias on query and value alone")?;
    refuse(kind != Encoders::Clip && !config.patch_bias, "embedding of patches without bias")?;
    refuse(kind != Encoders::IJepa && !config.class_token, "variant without a class token")?;
    refuse(kind != Encoders::IJepa && height != width, "grid that is not square")?;
    refuse(!is_dinov2 && config.layer_scale.is_some(), "layer scale")?;
    refuse(!is_dinov2 && config.swiglu, "SwiGLU")?;
    let mut json = json!({
        "architectures": [class],
        "model_type": model_type,
        "image_size": image_size(config.image),
        "patch_size": config.patch,
        "num_channels": config.image.channels,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "layer_norm_eps": config.norm_epsilon,
        "hidden_act": name_of_activation(config.activation),
        "initializer_range": 0.02,
        "dtype": "float32",
    });
    if kind == Encoders::Clip {
        refuse(config.patch_bias, "bias in the embedding of patches")?;
        refuse(config.qkv_bias != QkvBias::All, "variant without biases of queries and keys")?;
        refuse(config.registers > 0, "registers")?;
        json["attention_dropout"] = json!(0.0);
    } else {
        json["qkv_bias"] = json!(config.qkv_bias == QkvBias::All);
        json["hidden_dropout_prob"] = json!(0.0);
        json["attention_probs_dropout_prob"] = json!(0.0);
    }
    if !is_dinov2 {
        json["intermediate_size"] = json!(config.mlp_width());
        return Ok(Some((kind, class, json)));
    }
    refuse(config.layer_scale.is_none(), "variant without layer scale")?;
    let fits = |ratio: &usize| {
        dinov2_mlp((config.width * ratio) as f64, config.swiglu) == config.mlp_width()
    };
    let ratio = (1..=64).find(fits);
    refuse(ratio.is_none(), &format!("MLP of {} features", config.mlp_width()))?;
    json["mlp_ratio"] = json!(ratio);
    json["use_swiglu_ffn"] = json!(config.swiglu);
    json["layerscale_value"] = json!(config.layer_scale);
    json["drop_path_rate"] = json!(config.drop_path);
    match kind {
        Encoders::Dinov2 => json["use_mask_token"] = json!(true),
        _ => json["num_register_tokens"] = json!(config.registers),
    }
    Ok(Some((kind, class, json)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dinov2() -> VitConfig {
        VitConfig::new(ImageShape::square(3, 8), 4, 16, 1, 2)
            .with_positions(Positions::Learned)
            .with_layer_scale(Some(0.1))
    }

    #[test]
    fn a_gated_mlp_has_two_thirds_of_a_plain_ones_features_in_eights() {
        // DINOv2's giant: 1536 features, ratio 4.
        assert_eq!(dinov2_mlp(6144.0, true), 4096);
        assert_eq!((dinov2_mlp(48.0, true), dinov2_mlp(49.0, true)), (32, 32));
        assert_eq!((dinov2_mlp(52.0, true), dinov2_mlp(52.9, false)), (40, 52));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for config in [
            dinov2(),
            dinov2().with_swiglu(true).with_mlp_ratio(1.5).with_activation(MlpActivation::Gelu),
            dinov2().with_registers(2).with_position_resize(PositionResize::Antialiased),
            dinov2().with_class_token(false).with_layer_scale(None).with_mlp_ratio(0.5),
            dinov2()
                .with_pre_norm(true)
                .with_patch_bias(false)
                .with_layer_scale(None)
                .with_activation(MlpActivation::QuickGelu),
        ] {
            let (kind, _, json) = encoder_json(&config).unwrap().unwrap();
            let read: EncoderJson = serde_json::from_value(json).unwrap();
            assert_eq!(read.encoder(kind).unwrap(), config, "{kind:?}");
        }
        let plain = dinov2().with_layer_scale(None);
        assert!(encoder_json(&plain).unwrap().is_none());
    }

    #[test]
    fn parts_that_a_class_lacks_are_named() {
        let message = |config: VitConfig| encoder_json(&config).unwrap_err().to_string();
        let said = message(dinov2().with_mlp_ratio(2.5));
        assert!(said.contains("DINOv2 has no MLP of 40 features"), "{said}");
        let said = message(dinov2().with_registers(1).with_layer_scale(None));
        assert!(said.contains("no variant without layer scale"), "{said}");
        let said = message(dinov2().with_class_token(false));
        assert!(said.contains("no variant without a class token"), "{said}");
        let said = message(dinov2().with_pre_norm(true));
        assert!(said.contains("CLIPVisionModel has no layer scale"), "{said}");
        let said = message(dinov2().with_pre_norm(true).with_layer_scale(None));
        assert!(said.contains("no bias in the embedding of patches"), "{said}");
    }
}

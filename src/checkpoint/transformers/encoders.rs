//! The vision transformers of transformers that are encoders alone: ViTMSN, I-JEPA, DINOv2, CLIP's;
//! and data2vec's, which is BEiT's.

use burn::tensor::{Device, Tensor};
use serde_json::Value;

use super::beit::{as_saved as beit_as_saved, encoder as beit_encoder};
use super::encoders_json::{EncoderJson, Encoders, encoder_json};
use super::vit::as_saved as vit_as_saved;
use super::{Family, Load, Transformers, TransformersModel};
use crate::checkpoint::layout::Entry;
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::checkpoint::vit_names::{DINOV2, DINOV2_GATED, DINOV2_GATED_APART, VitNames};
use crate::encoder::{Vit, VitBody, VitConfig};
use crate::error::Result;

const ENCODER: Load = |folder, options, device| {
    Ok(TransformersModel::Encoder(folder.encoder(options, device)?.into()))
};

const MASKED: Load = |folder, options, device| {
    Ok(TransformersModel::BeitEncoder(folder.dinov2(options, device)?.into()))
};

pub(super) const MSN: Family = Family {
    model_types: &["vit_msn"],
    architectures: &[("ViTMSNModel", ENCODER), ("ViTMSNForImageClassification", ENCODER)],
    // transformers saves some of a classifier's keys with this prefix, and some without.
    as_saved: |key| vit_as_saved(key.strip_prefix("vit.").unwrap_or(key)),
    by_key: &[("", "ViTMSNModel")],
};

pub(super) const I_JEPA: Family = Family {
    model_types: &["ijepa"],
    architectures: &[("IJepaModel", ENCODER), ("IJepaForImageClassification", ENCODER)],
    as_saved: vit_as_saved,
    by_key: &[("", "IJepaModel")],
};

pub(super) const DATA2VEC: Family = Family {
    model_types: &["data2vec-vision"],
    architectures: &[
        ("Data2VecVisionModel", beit_encoder),
        ("Data2VecVisionForImageClassification", beit_encoder),
    ],
    as_saved: beit_as_saved,
    by_key: &[("", "Data2VecVisionModel")],
};

pub(super) const DINOV2_FAMILY: Family = Family {
    model_types: &["dinov2"],
    architectures: &[("Dinov2Model", MASKED), ("Dinov2ForImageClassification", MASKED)],
    as_saved: dinov2_as_saved,
    by_key: &[("", "Dinov2Model")],
};

pub(super) const REGISTERS: Family = Family {
    model_types: &["dinov2_with_registers"],
    architectures: &[
        ("Dinov2WithRegistersModel", MASKED),
        ("Dinov2WithRegistersForImageClassification", MASKED),
    ],
    as_saved: dinov2_as_saved,
    by_key: &[("", "Dinov2WithRegistersModel")],
};

pub(super) const CLIP: Family = Family {
    model_types: &["clip_vision_model", "clip"],
    architectures: &[
        ("CLIPVisionModel", ENCODER),
        ("CLIPVisionModelWithProjection", ENCODER),
        ("CLIPModel", ENCODER),
    ],
    as_saved: str::to_string,
    by_key: &[("", "CLIPVisionModel")],
};

/// Spellings of the modules of transformers 5 in memory, each with that of `save_pretrained`.
const SPELLINGS: [(&str, &str); 5] = [
    (".attention.q_proj.", ".attention.attention.query."),
    (".attention.k_proj.", ".attention.attention.key."),
    (".attention.v_proj.", ".attention.attention.value."),
    (".attention.o_proj.", ".attention.output.dense."),
    (".mlp.down_proj.", ".mlp.weights_out."),
];

fn dinov2_as_saved(key: &str) -> String {
    SPELLINGS.iter().fold(key.to_string(), |key, (other, saved)| key.replace(other, saved))
}

impl Transformers {
    /// Loads a DINOv2, with registers or without.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn dinov2(&self, options: LoadOptions, device: &Device) -> Result<Loaded<Vit, VitConfig>> {
        let kind = Encoders::of(&self.architecture).unwrap_or(Encoders::Dinov2);
        let (config, grid) = self.encoder_config()?;
        let mask_token = self.parsed::<EncoderJson>()?.has_mask_token(kind);
        let apart = self.file.find("mlp.gate_proj.weight").is_some();
        let entries = dinov2_entries("", &config, mask_token, apart);
        self.fill(|c, w| c.init(w), config, &entries, grid, options, device)
    }

    /// What transformers' class calls `last_hidden_state`: every token of whole images, class token
    /// and registers first, after the final norm; before it in a CLIP, and in a BEiT or data2vec with
    /// mean pooling, where that norm comes after pooling.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, tokens, width]`
    pub fn last_hidden_state(&self, body: &VitBody, images: Tensor<4>) -> Tensor<3> {
        let tokens = body.last_tokens(images);
        let is = |name: &&str| self.architecture.starts_with(*name);
        let pools_first = self.mean_pooling() && ["Beit", "Data2VecVision"].iter().any(is);
        let is_before = pools_first || is(&"CLIP");
        if is_before { tokens } else { body.transformer.finish(tokens) }
    }
}

/// A DINOv2 at the path `ours`, whose gated MLPs have gate and values `apart` or in one layer.
fn dinov2_entries(ours: &str, config: &VitConfig, mask_token: bool, apart: bool) -> Vec<Entry> {
    let block = match (config.swiglu, apart) {
        (false, _) => DINOV2,
        (true, false) => DINOV2_GATED,
        (true, true) => DINOV2_GATED_APART,
    };
    let names = VitNames { block, ..VitNames::transformers("") };
    let mut entries = names.body(&format!("{ours}body"), config);
    if mask_token {
        let (token, theirs) = (format!("{ours}mask_token"), "embeddings.mask_token".into());
        entries.push(Entry::tensor(token, theirs, &[1, config.width]));
    }
    entries
}

/// The class, its `config.json` and the entries, below `encoder.`, by which an encoder is saved that has parts
/// of these classes; `None` for others.
///
/// # Errors
///
/// When it has a part that the class lacks.
pub(super) fn written(config: &VitConfig) -> Result<Option<(&'static str, Value, Vec<Entry>)>> {
    Ok(encoder_json(config)?.map(|(kind, class, json)| match kind {
        Encoders::Dinov2 | Encoders::Dinov2WithRegisters => {
            (class, json, dinov2_entries("encoder.", config, true, false))
        }
        _ => (class, json, kind.names().body("encoder.body", config)),
    }))
}

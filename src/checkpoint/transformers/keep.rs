//! Writes what is kept of a run: an encoder whose last hidden state are its features, an encoder with
//! a classifier, and whole models by their types.

use std::any::Any;
use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;
use serde_json::{Map, Value, json};

use super::beit::encoder_entries;
use super::beit_json::beit_json;
use super::encoders::written;
use super::hiera_json::hiera_json;
use super::swin_json::{swin_json, swin_v2_json};
use super::vit_json::vit_json;
use super::write::write;
use super::{
    save_beit, save_hiera_mae, save_image_gpt, save_mae, save_simmim, save_swin_simmim,
    save_swin_v2_simmim, save_videomae,
};
use crate::checkpoint::hiera_names::HieraNames;
use crate::checkpoint::layout;
use crate::checkpoint::swin_names::SwinNames;
use crate::checkpoint::vit_names::{VitNames, linear, norm};
use crate::encoder::{
    Hiera, RelativePositions, Swin, SwinConfig, SwinV2, SwinV2Config, Vit, VitBody, VitConfig,
};
use crate::error::{Error, Result, ensure};
use crate::method::{
    Beit, BeitConfig, HieraMae, HieraMaeConfig, ImageGpt, ImageGptConfig, MaeConfig, MaeTask,
    SimMim, SimMimConfig, VideoMae, VideoMaeConfig,
};
use crate::nn::{Norm, Positions, QkvBias};
use crate::task::Network;

/// Writes a folder that transformers loads as `ViTModel` without a pooler, as `BeitModel` where the
/// body has parts of BEiT's, or as `IJepaModel`, `Dinov2Model`, `Dinov2WithRegistersModel` or
/// `CLIPVisionModel` where it has parts of theirs; its `last_hidden_state` are the features of the
/// body, class token and registers first; a CLIP's before its `post_layernorm`. Yields the name of
/// the class.
///
/// # Errors
///
/// When the body has a part that both classes lack, or a file cannot be written.
pub fn save_vit_features(folder: impl AsRef<Path>, body: &VitBody) -> Result<&'static str> {
    let (config, network) = (body.config(), with_head(body.clone(), None));
    let folder = folder.as_ref();
    if let Some((class, json, entries)) = written(config)? {
        write(folder, json, layout::save(&network, &entries))?;
        return Ok(class);
    }
    if is_beit(config) {
        let mut json = beit_json(config, "BeitModel")?;
        json["use_mean_pooling"] = json!(false);
        let entries = encoder_entries("encoder.", "", "layernorm", config, true);
        write(folder, json, layout::save(&network, &entries))?;
        return Ok("BeitModel");
    }
    let json = vit_json(config, "ViTModel", "vit")?;
    let entries = VitNames::transformers("").body("encoder.body", config);
    write(folder, json, layout::save(&network, &entries))?;
    Ok("ViTModel")
}

/// Writes a folder that transformers loads as `ViTForImageClassification`, or as
/// `BeitForImageClassification` where the body has parts of BEiT's: `head` reads the class token.
/// Yields the name of the class.
///
/// # Errors
///
/// When the body has a part that both classes lack, or a file cannot be written.
pub fn save_vit_classifier(
    folder: impl AsRef<Path>,
    body: &VitBody,
    head: &Linear,
    class_names: &[String],
) -> Result<&'static str> {
    let (config, network) = (body.config(), with_head(body.clone(), Some(head.clone())));
    let (classes, class, json, mut entries) = if is_beit(config) {
        let mut json = beit_json(config, "BeitForImageClassification")?;
        json["use_mean_pooling"] = json!(false);
        let entries = encoder_entries("encoder.", "beit.", "beit.layernorm", config, true);
        (class_names.len(), "BeitForImageClassification", json, entries)
    } else {
        let json = vit_json(config, "ViTForImageClassification", "vit")?;
        let entries = VitNames::transformers("vit.").body("encoder.body", config);
        (class_names.len(), "ViTForImageClassification", json, entries)
    };
    entries.extend(linear("head.linear", "classifier", config.width, classes));
    write(folder.as_ref(), named(json, class_names), layout::save(&network, &entries))?;
    Ok(class)
}

/// Writes a folder that transformers loads as `SwinForImageClassification`: `head` reads the mean of
/// the features.
///
/// # Errors
///
/// When a file cannot be written.
pub fn save_swin_classifier(
    folder: impl AsRef<Path>,
    swin: &Swin,
    head: &Linear,
    config: &SwinConfig,
    class_names: &[String],
) -> Result<()> {
    let network = Network { encoder: swin.clone(), head: Head { linear: Some(head.clone()) } };
    let json = swin_json(config, "SwinForImageClassification");
    let mut entries = SwinNames::transformers("swin.").swin("encoder.", config);
    entries.extend(linear("head.linear", "classifier", config.output_width(), class_names.len()));
    write(folder.as_ref(), named(json, class_names), layout::save(&network, &entries))
}

/// Writes a folder that transformers loads as `Swinv2ForImageClassification`: `head` reads the mean
/// of the features.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_swin_v2_classifier(
    folder: impl AsRef<Path>,
    swin: &SwinV2,
    head: &Linear,
    config: &SwinV2Config,
    class_names: &[String],
) -> Result<()> {
    let network = Network { encoder: swin.clone(), head: Head { linear: Some(head.clone()) } };
    let json = swin_v2_json(config, "Swinv2ForImageClassification")?;
    let (width, classes) = (config.sizes.output_width(), class_names.len());
    let mut entries = SwinNames::transformers("swinv2.").swin_v2("encoder.", config);
    entries.extend(linear("head.linear", "classifier", width, classes));
    write(folder.as_ref(), named(json, class_names), layout::save(&network, &entries))
}

/// Writes a folder that transformers loads as `HieraForImageClassification`: `head` reads the mean of
/// the features, once `norm` normed it.
///
/// # Errors
///
/// When the norm's epsilon is not the encoder's, of which transformers' class has one, or a file cannot
/// be written.
pub fn save_hiera_classifier(
    folder: impl AsRef<Path>,
    hiera: &Hiera,
    pooled: &Norm,
    head: &Linear,
    class_names: &[String],
) -> Result<()> {
    let (config, width) = (hiera.config(), hiera.config().output_width());
    ensure!(
        pooled.epsilon == config.norm_epsilon,
        "transformers' Hiera has one epsilon for all norms, and this classifier has {:?} after \
         {:?} in its encoder",
        pooled.epsilon,
        config.norm_epsilon
    );
    let head = PooledHead { norm: pooled.clone(), linear: head.clone() };
    let network = Network { encoder: hiera.clone(), head };
    let mut entries = HieraNames::transformers("hiera.").hiera("encoder.", config);
    entries.extend(norm("head.norm", "hiera.pooler.layernorm", width));
    entries.extend(linear("head.linear", "classifier", width, class_names.len()));
    let json = named(hiera_json(config, "HieraForImageClassification"), class_names);
    write(folder.as_ref(), json, layout::save(&network, &entries))
}

/// Writes a whole pre-trained model, `task` with its numbers, as the class of transformers for it.
/// Yields the name of the class; `None` if there is none.
///
/// # Errors
///
/// When the model has a part that transformers' class lacks, or a file cannot be written.
pub fn save_pretrained(
    folder: impl AsRef<Path>,
    task: &dyn Any,
    numbers: &dyn Any,
) -> Result<Option<&'static str>> {
    let folder = folder.as_ref();
    if let Some((task, config)) = pair::<MaeTask, MaeConfig>(task, numbers) {
        return save_mae(folder, &task.autoencoder(), config)
            .map(|()| Some("ViTMAEForPreTraining"));
    }
    if let Some((task, config)) = pair::<SimMim, SimMimConfig>(task, numbers) {
        return save_simmim(folder, task, config).map(|()| Some("ViTForMaskedImageModeling"));
    }
    if let Some((task, config)) = pair::<SimMim<Swin>, SimMimConfig<SwinConfig>>(task, numbers) {
        return save_swin_simmim(folder, task, config).map(|()| Some("SwinForMaskedImageModeling"));
    }
    if let Some((task, config)) = pair::<SimMim<SwinV2>, SimMimConfig<SwinV2Config>>(task, numbers)
    {
        let saved = save_swin_v2_simmim(folder, task, config);
        return saved.map(|()| Some("Swinv2ForMaskedImageModeling"));
    }
    if let Some((task, config)) = pair::<ImageGpt, ImageGptConfig>(task, numbers) {
        let saved = save_image_gpt(folder, task, config);
        return saved.map(|()| Some("ImageGPTForCausalImageModeling"));
    }
    if let Some((task, config)) = pair::<Beit, BeitConfig>(task, numbers) {
        let network = Network { encoder: task.encoder.clone(), head: task.head.clone() };
        let saved = save_beit(folder, &network, &config.encoder);
        return saved.map(|()| Some("BeitForMaskedImageModeling"));
    }
    if let Some((task, config)) = pair::<VideoMae, VideoMaeConfig>(task, numbers) {
        return save_videomae(folder, task, config).map(|()| Some("VideoMAEForPreTraining"));
    }
    if let Some((task, config)) = pair::<HieraMae, HieraMaeConfig>(task, numbers) {
        return save_hiera_mae(folder, task, config).map(|()| Some("HieraForPreTraining"));
    }
    Ok(None)
}

fn pair<'a, T: 'static, C: 'static>(
    task: &'a dyn Any,
    numbers: &'a dyn Any,
) -> Option<(&'a T, &'a C)> {
    task.downcast_ref().zip(numbers.downcast_ref())
}

/// Whether an encoder alone is written as a `ViTModel` or a `BeitModel`, which have classifiers that
/// read the class token.
///
/// # Errors
///
/// When the encoder has a part that every class lacks.
#[cfg(feature = "run")]
pub(crate) fn is_vit_or_beit(config: &VitConfig) -> Result<bool> {
    Ok(written(config)?.is_none())
}

/// Whether an encoder has parts that transformers' BEiT has and its ViT has not.
fn is_beit(config: &VitConfig) -> bool {
    config.relative_positions != RelativePositions::None
        || config.layer_scale.is_some()
        || config.qkv_bias == QkvBias::QueryValue
        || config.positions == Positions::None
}

/// A head that may be missing.
#[derive(Module, Debug)]
struct Head {
    linear: Option<Linear>,
}

/// A head on features that are normed once they are pooled.
#[derive(Module, Debug)]
struct PooledHead {
    norm: Norm,
    linear: Linear,
}

/// A body at the path `encoder.body`, with a mask token of zeros, and a head at `head.linear`.
fn with_head(body: VitBody, linear: Option<Linear>) -> Network<Vit, Head> {
    let device = body.patch_embed.weight.device();
    let mask_token = Param::from_tensor(Tensor::zeros([1, body.config().width], &device));
    Network { encoder: Vit { body, mask_token }, head: Head { linear } }
}

/// `json` with the names of the classes.
pub(super) fn named(mut json: Value, class_names: &[String]) -> Value {
    let names = || class_names.iter().enumerate();
    let of_id = names().map(|(id, name)| (id.to_string(), json!(name)));
    let ids = names().map(|(id, name)| (name.clone(), json!(id)));
    json["id2label"] = Value::Object(of_id.collect::<Map<_, _>>());
    json["label2id"] = Value::Object(ids.collect::<Map<_, _>>());
    json
}

/// Writes every parameter of `module` under its path in this crate, as one file of safetensors.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_parameters<M: Module>(path: impl AsRef<Path>, module: &M) -> Result<()> {
    let values = crate::checkpoint::parameters::values(module).into_iter().collect();
    let path = path.as_ref();
    crate::checkpoint::safetensors_file::write_safetensors(path, values).map_err(
        |error| match error {
            Error::Config(reason) => Error::checkpoint(path, reason),
            other => other,
        },
    )
}

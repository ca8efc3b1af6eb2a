//! The weights of an export.

use std::any::Any;
use std::path::Path;

use burn::module::Module;
use burn::nn::Linear;

use crate::checkpoint::{
    is_vit_or_beit, save_clip_encoder, save_convnext_v2, save_convnext_v2_classifier, save_hiera,
    save_hiera_classifier, save_parameters, save_pixel_gpt, save_pretrained, save_swin,
    save_swin_classifier, save_swin_v2, save_swin_v2_classifier, save_vit_classifier,
    save_vit_features,
};
use crate::encoder::{
    Backbone, ClipVit, ConvNextV2, Hiera, PixelGpt, Swin, SwinV2, TokenConvNextV2, Vit, VitBody,
};
use crate::error::{Error, Result};
use crate::eval::Pooling;
use crate::nn::Norm;
use crate::run::encoder_spec::EncoderSpec;
use crate::run::fine_tuned::FineTuned;

/// One file of all parameters.
pub(super) fn bare<M: Module>(folder: &Path, module: &M) -> Result<()> {
    save_parameters(folder.join("model.safetensors"), module)
}

/// The whole model of a pre-training run.
pub(super) fn whole(
    folder: &Path,
    task: &dyn Any,
    numbers: &dyn Any,
) -> Result<Option<&'static str>> {
    save_pretrained(folder, task, numbers)
}

/// An encoder alone; yields its class.
pub(super) fn encoder(
    folder: &Path,
    encoder: &dyn Any,
    spec: Option<&EncoderSpec>,
) -> Result<&'static str> {
    if let Some(body) = body_of(encoder) {
        return save_vit_features(folder, body);
    }
    if let Some(gpt) = encoder.downcast_ref::<PixelGpt>() {
        return save_pixel_gpt(folder, gpt, gpt.gpt.config()).map(|()| "ImageGPTModel");
    }
    if let Some(network) = convnext_of(encoder) {
        return save_convnext_v2(folder, network).map(|()| "ConvNextV2Model");
    }
    if let Some(clip) = encoder.downcast_ref::<ClipVit>() {
        return save_clip_encoder(folder, clip).map(|()| "VideoMAEModel");
    }
    if let Some(hiera) = encoder.downcast_ref::<Hiera>() {
        return save_hiera(folder, hiera).map(|()| "HieraModel");
    }
    match (encoder.downcast_ref::<Swin>(), encoder.downcast_ref::<SwinV2>(), spec) {
        (Some(swin), _, Some(EncoderSpec::Swin(config))) => {
            save_swin(folder, swin, config).map(|()| "SwinModel")
        }
        (_, Some(swin), Some(EncoderSpec::SwinV2(config))) => {
            save_swin_v2(folder, swin, config).map(|()| "Swinv2Model")
        }
        _ => Err(Error::config(
            "transformers has no class for this encoder: export a bare file of safetensors",
        )),
    }
}

/// A fine-tuned run as one class of transformers, if there is one for it.
pub(super) fn classifier<B: Backbone + Clone + 'static>(
    folder: &Path,
    tuned: &FineTuned<B>,
) -> Result<Option<&'static str>> {
    let (config, encoder) = (&tuned.config, &tuned.task.encoder as &dyn Any);
    let (head, names) = (&tuned.task.head, &config.class_names);
    // The only one whose features are normed after they are pooled.
    if let (Some(network), Some(norm), Pooling::Mean) =
        (convnext_of(encoder), &tuned.task.norm, config.tuning.pooling)
    {
        save_convnext_v2_classifier(folder, network, norm, head, names)?;
        return Ok(Some("ConvNextV2ForImageClassification"));
    }
    if let (Pooling::Mean, Some(hiera), Some(norm)) =
        (config.tuning.pooling, encoder.downcast_ref::<Hiera>(), &tuned.task.norm)
        && norm.epsilon == hiera.config().norm_epsilon
    {
        save_hiera_classifier(folder, hiera, norm, head, names)?;
        return Ok(Some("HieraForImageClassification"));
    }
    if config.tuning.normalized {
        return Ok(None);
    }
    match (config.tuning.pooling, body_of(encoder)) {
        (Pooling::ClassToken, Some(body)) if is_vit_or_beit(body.config())? => {
            return save_vit_classifier(folder, body, head, names).map(Some);
        }
        (Pooling::ClassToken | Pooling::Both | Pooling::Cells, _) | (Pooling::Mean, Some(_)) => {
            return Ok(None);
        }
        (Pooling::Mean, None) => {}
    }
    match (encoder.downcast_ref::<Swin>(), encoder.downcast_ref::<SwinV2>(), &config.encoder) {
        (Some(swin), _, Some(EncoderSpec::Swin(config))) => {
            save_swin_classifier(folder, swin, head, config, names)?;
            Ok(Some("SwinForImageClassification"))
        }
        (_, Some(swin), Some(EncoderSpec::SwinV2(config))) => {
            save_swin_v2_classifier(folder, swin, head, config, names)?;
            Ok(Some("Swinv2ForImageClassification"))
        }
        _ => Ok(None),
    }
}

fn body_of(encoder: &dyn Any) -> Option<&VitBody> {
    let vit = encoder.downcast_ref::<Vit>().map(|vit| &vit.body);
    vit.or_else(|| encoder.downcast_ref())
}

fn convnext_of(encoder: &dyn Any) -> Option<&ConvNextV2> {
    let token = encoder.downcast_ref::<TokenConvNextV2>().map(|token| &token.network);
    token.or_else(|| encoder.downcast_ref())
}

/// The parts of a classifier on an encoder's features.
#[derive(Module, Debug)]
struct ClassifierHead {
    norm: Option<Norm>,
    head: Linear,
}

/// A classifier beside its encoder: `classifier.safetensors`. Yields how it pools, in Python.
pub(super) fn head<B: Backbone + Clone + 'static>(
    folder: &Path,
    tuned: &FineTuned<B>,
) -> Result<String> {
    let (norm, head) = (tuned.task.norm.clone(), tuned.task.head.clone());
    let parts = ClassifierHead { norm, head };
    save_parameters(folder.join("classifier.safetensors"), &parts)?;
    let first = body_of(&tuned.task.encoder).map_or(0, |body| body.config().first_cell());
    Ok(match (tuned.config.tuning.pooling, first) {
        (Pooling::ClassToken, _) => "states[:, 0]".into(),
        (Pooling::Both, _) => format!("torch.cat([states[:, {first}:].mean(1), states[:, 0]], 1)"),
        (Pooling::Mean, 0) => "states.mean(1)".into(),
        (Pooling::Mean, _) => format!("states[:, {first}:].mean(1)"),
        (Pooling::Cells, _) => format!("states[:, {first}:].flatten(1)"),
    })
}

//! ConvNeXt V2.

use std::path::Path;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Device;

use super::convnext_json::{ConvNextJson, convnext_json};
use super::keep::named;
use super::write::write;
use super::{Family, Transformers, TransformersModel};
use crate::checkpoint::convnext_names::ConvNextNames;
use crate::checkpoint::layout;
use crate::checkpoint::report::{LoadOptions, Loaded};
use crate::checkpoint::vit_names::{linear, norm};
use crate::checkpoint::weights_file::{HostTensor, WeightsFile};
use crate::encoder::{ConvNextV2, ConvNextV2Config};
use crate::error::Result;
use crate::nn::Norm;

pub(super) const FAMILY: Family = Family {
    model_types: &["convnextv2"],
    architectures: &[
        ("ConvNextV2Model", convnext_v2),
        ("ConvNextV2ForImageClassification", convnext_v2),
    ],
    as_saved: str::to_string,
    by_key: &[("", "ConvNextV2Model")],
};

/// The epsilon of the norm of pooled features in the official code.
const EPSILON: f64 = 1e-6;

/// The prefix of the network's keys in a folder with a head.
const PREFIX: &str = "convnextv2.";

fn convnext_v2(
    folder: &Transformers,
    options: LoadOptions,
    device: &Device,
) -> Result<TransformersModel> {
    Ok(TransformersModel::ConvNextV2(folder.convnext_v2(options, device)?.into()))
}

/// The names that the keys of `file` have, and whether it has a norm of pooled features, which weights
/// from pre-training lack in the official code and in timm.
fn names_in(file: &WeightsFile) -> (ConvNextNames, bool) {
    let transformers = |prefix: &str| (ConvNextNames::transformers(prefix), true);
    match ConvNextNames::in_file(file) {
        Some((names, prefix)) if file.find(&ConvNextNames::transformers("").stem()).is_none() => {
            let has_norm = file.shape(&format!("{prefix}{}.weight", names.pooled_norm())).is_some();
            (names, has_norm)
        }
        Some((_, prefix)) if prefix.ends_with(PREFIX) => transformers(PREFIX),
        _ => transformers(""),
    }
}

impl Transformers {
    /// Loads a ConvNeXt V2, from any of its architectures, with the norm of its pooled features where
    /// there is one.
    ///
    /// # Errors
    ///
    /// As [`Transformers::load`].
    pub fn convnext_v2(
        &self,
        options: LoadOptions,
        device: &Device,
    ) -> Result<Loaded<ConvNextV2, ConvNextV2Config>> {
        let config = self.convnext_config()?;
        let entries = names_in(&self.file).0.network("", &config);
        self.fill(|c, w| c.init(w), config, &entries, None, options, device)
    }

    /// The sizes of the folder's network, for the images asked for.
    pub(super) fn convnext_config(&self) -> Result<ConvNextV2Config> {
        let json: ConvNextJson = self.parsed()?;
        let (_, has_norm) = names_in(&self.file);
        let mut config = json.convnext_v2(has_norm).map_err(|error| self.fault(error))?;
        if let Some(image) = self.image {
            config = config.with_image(image);
            config.validate().map_err(|error| self.fault(error))?;
        }
        Ok(config)
    }
}

/// Writes a folder that transformers loads as `ConvNextV2Model`. A network without a norm of its pooled
/// features, which that class has, is written with one that is the identity but for its division by
/// mean and deviation.
///
/// # Errors
///
/// When a file cannot be written.
pub fn save_convnext_v2(folder: impl AsRef<Path>, network: &ConvNextV2) -> Result<()> {
    let (config, names) = (network.config(), ConvNextNames::transformers(""));
    let mut tensors = layout::save(network, &names.network("", config));
    if config.pooled_norm.is_none() {
        let vector = |name: &str, value: f32| {
            let width = config.output_width();
            let tensor = HostTensor { shape: vec![width], values: vec![value; width] };
            (format!("{}.{name}", names.pooled_norm()), tensor)
        };
        tensors.extend([vector("weight", 1.0), vector("bias", 0.0)]);
    }
    let epsilon = config.pooled_norm.unwrap_or(EPSILON);
    write(folder.as_ref(), convnext_json(config, epsilon, "ConvNextV2Model"), tensors)
}

/// A network, the norm of its pooled features, and a linear layer to the classes.
#[derive(Module, Debug)]
struct Classifier {
    encoder: ConvNextV2,
    norm: Norm,
    head: Linear,
}

/// Writes a folder that transformers loads as `ConvNextV2ForImageClassification`: `head` reads the mean
/// of the features after `normed`.
///
/// # Errors
///
/// When a file cannot be written.
pub fn save_convnext_v2_classifier(
    folder: impl AsRef<Path>,
    network: &ConvNextV2,
    normed: &Norm,
    head: &Linear,
    class_names: &[String],
) -> Result<()> {
    let (encoder, head) = (network.clone(), head.clone());
    let config = ConvNextV2Config { pooled_norm: None, ..network.config().clone() };
    let names = ConvNextNames::transformers(PREFIX);
    let mut entries = names.network("encoder.", &config);
    entries.extend(norm("norm", &names.pooled_norm(), config.output_width()));
    entries.extend(linear("head", "classifier", config.output_width(), class_names.len()));
    let json = convnext_json(&config, normed.epsilon, "ConvNextV2ForImageClassification");
    let classifier = Classifier { encoder, norm: normed.clone(), head };
    write(folder.as_ref(), named(json, class_names), layout::save(&classifier, &entries))
}

//! A frozen teacher, from wherever it is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compare::network;
use super::matching::common_part;
use super::source::Source;
use crate::checkpoint::{HostTensor, WeightsFile, replaced};
use crate::data::ChannelStatistics;
use crate::encoder::{AnyBackbone, Backbone, BackboneConfig};
use crate::error::{Error, Result};
use crate::method::{Run, TeacherConfig};
use crate::nn::{InitialWeights, NamedParameter, named_parameters};
use crate::run::encoder_spec::EncoderSpec;
use crate::run::fine_tuned::{FineTunedConfig, is_fine_tuned};
use crate::train::RunFolder;

impl TeacherConfig {
    /// The encoder at a path: the folder of a run, fine-tuned or not, a folder of transformers, or a
    /// file of published weights. No weight is read.
    ///
    /// # Errors
    ///
    /// When there is none, or it is neither a ViT, a Swin, a ConvNeXt V2 nor a Hiera.
    pub fn of(path: &Path) -> Result<Self> {
        let Kept { network, statistics, .. } = Kept::open(path)?;
        Ok(Self::new(network).with_statistics(statistics).with_folder(Some(path.into())))
    }

    /// The network at a path, which must be this teacher's, on a plain device.
    pub(crate) fn load(&self, path: &Path, run: &Run) -> Result<AnyBackbone> {
        let fault = |reason: String| Error::checkpoint(path, reason);
        let Kept { network, statistics, weights } = Kept::open(path)?;
        if network != self.network {
            let wanted = &self.network;
            return Err(fault(format!(
                "holds {network:?}, but the method's teacher is {wanted:?}"
            )));
        }
        let used = self.statistics.as_ref().unwrap_or(&run.data.statistics);
        if let Some(own) = statistics.filter(|own| own != used) {
            return Err(fault(format!(
                "was trained with {own:?}, but the method's teacher reads images normalized with \
                 {used:?} (teacher.statistics)"
            )));
        }
        let device = run.device.clone().without_autodiff();
        let mut values = weights.read(&device)?;
        let fresh = network.init(&mut InitialWeights::new(0, &device));
        let parameters = named_parameters(&fresh);
        let ours: BTreeSet<String> = parameters.iter().map(|found| found.path.clone()).collect();
        let theirs: BTreeSet<String> = values.keys().cloned().collect();
        let part = common_part(&ours, &theirs);
        let part = part.ok_or_else(|| fault("has no weights of an encoder".into()))?;
        let mut taken = HashMap::new();
        for NamedParameter { path, shape, .. } in &parameters {
            let within = path.strip_prefix(part.ours).map(|rest| format!("{}{rest}", part.theirs));
            match within.and_then(|within| values.remove(&within)) {
                Some(value) if value.shape == *shape => taken.insert(path.clone(), value),
                None if path.ends_with("mask_token") => None,
                _ => return Err(fault(format!("lacks weights of its encoder, such as {path}"))),
            };
        }
        let teacher = replaced(fresh, taken);
        run.progress.note(&format!("teacher: {} of {}", teacher.describe(), path.display()));
        Ok(teacher)
    }
}

/// An encoder whose weights are not read yet.
struct Kept {
    network: BackboneConfig,
    statistics: Option<ChannelStatistics>,
    weights: Weights,
}

enum Weights {
    Source(Box<Source>),
    /// The file of a fine-tuned run.
    FineTuned(PathBuf),
}

impl Kept {
    fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::checkpoint(path, "there is no such file or folder with a teacher"));
        }
        let folder = RunFolder::new(path);
        let (network, statistics, weights) = if is_fine_tuned(&folder) {
            let FineTunedConfig { encoder, statistics, .. } = FineTunedConfig::of(&folder)?;
            let (checkpoint, _) = folder.require_latest_and_damaged()?;
            let weights = Weights::FineTuned(checkpoint.weights());
            (encoder.and_then(of_spec), Some(statistics), weights)
        } else {
            let source = Source::open(path, None)?;
            let numbers = &source.kind().numbers;
            let sizes = [network(numbers), network(&numbers["beit"])];
            let found = sizes.into_iter().find_map(of_sizes);
            (found, source.statistics()?, Weights::Source(Box::new(source)))
        };
        let network = network.ok_or_else(|| {
            let reason = "holds an encoder that is neither a ViT, a Swin, a ConvNeXt V2 nor a Hiera: no \
                          teacher";
            Error::checkpoint(path, reason)
        })?;
        Ok(Self { network, statistics, weights })
    }
}

impl Weights {
    /// All values by the paths of their parameters.
    fn read(self, device: &Device) -> Result<BTreeMap<String, HostTensor>> {
        match self {
            Self::Source(source) => {
                let image = source.kind().image;
                Ok(source.contents(image, device)?.1.values)
            }
            Self::FineTuned(file) => {
                Ok(WeightsFile::open_burn(&file)?.floats()?.into_iter().collect())
            }
        }
    }
}

fn of_spec(spec: EncoderSpec) -> Option<BackboneConfig> {
    match spec {
        EncoderSpec::Vit(config) | EncoderSpec::MaskedVit(config) => {
            Some(BackboneConfig::Vit(config))
        }
        EncoderSpec::Swin(config) => Some(BackboneConfig::Swin(config)),
        EncoderSpec::SwinV2(config) => Some(BackboneConfig::SwinV2(config)),
        EncoderSpec::ConvNextV2(config) | EncoderSpec::TokenConvNextV2(config) => {
            Some(BackboneConfig::ConvNextV2(config))
        }
        EncoderSpec::Hiera(config) => Some(BackboneConfig::Hiera(config)),
        EncoderSpec::ClipVit(_)
        | EncoderSpec::ResNet { .. }
        | EncoderSpec::ImageGpt { .. }
        | EncoderSpec::Method { .. } => None,
    }
}

/// The kind of encoder that has these sizes.
fn of_sizes(sizes: &Value) -> Option<BackboneConfig> {
    fn read<C: DeserializeOwned>(sizes: &Value) -> Option<C> {
        serde_json::from_value(sizes.clone()).ok()
    }
    let vit = read(sizes).map(BackboneConfig::Vit);
    let swin = || read(sizes).map(BackboneConfig::Swin);
    let swin_v2 = || read(sizes).map(BackboneConfig::SwinV2);
    let convnext = || read(sizes).map(BackboneConfig::ConvNextV2);
    let hiera = || read(sizes).map(BackboneConfig::Hiera);
    vit.or_else(swin).or_else(swin_v2).or_else(convnext).or_else(hiera)
}

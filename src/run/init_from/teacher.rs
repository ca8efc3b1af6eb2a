//! A frozen teacher, from wherever it is kept.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compare::network;
use super::matching::common_part;
use super::source::Source;
use crate::checkpoint::replaced;
use crate::encoder::{AnyBackbone, Backbone, BackboneConfig};
use crate::error::{Error, Result};
use crate::method::{Run, TeacherConfig};
use crate::nn::{InitialWeights, named_parameters};

impl TeacherConfig {
    /// The encoder at a path: the folder of a run, a folder of transformers, or a file of published
    /// weights. No weight is read.
    ///
    /// # Errors
    ///
    /// When there is none, or it is neither a ViT nor a Swin.
    pub fn of(path: &Path) -> Result<Self> {
        let (source, network) = opened(path)?;
        let statistics = source.statistics()?;
        Ok(Self::new(network).with_statistics(statistics).with_folder(Some(path.into())))
    }

    /// The network at a path, which must be this teacher's, on a plain device.
    pub(crate) fn load(&self, path: &Path, run: &Run) -> Result<AnyBackbone> {
        let fault = |reason: String| Error::checkpoint(path, reason);
        let (source, found) = opened(path)?;
        if found != self.network {
            let wanted = &self.network;
            return Err(fault(format!("holds {found:?}, but the method's teacher is {wanted:?}")));
        }
        let used = self.statistics.as_ref().unwrap_or(&run.data.statistics);
        if let Some(own) = source.statistics()?.filter(|own| own != used) {
            return Err(fault(format!(
                "was trained with {own:?}, but the method's teacher reads images normalized with \
                 {used:?} (teacher.statistics)"
            )));
        }
        let (image, device) = (source.kind().image, run.device.clone().without_autodiff());
        let (_, mut contents) = source.contents(image, &device)?;
        let fresh = self.network.init(&mut InitialWeights::new(0, &device));
        let ours = named_parameters(&fresh).into_iter().map(|parameter| parameter.path);
        let ours: BTreeSet<String> = ours.collect();
        let theirs: BTreeSet<String> = contents.values.keys().cloned().collect();
        let part = common_part(&ours, &theirs);
        let part = part.ok_or_else(|| fault("has no weights of an encoder".into()))?;
        let mut values = HashMap::new();
        for path in &ours {
            let within = path.strip_prefix(part.ours).map(|rest| format!("{}{rest}", part.theirs));
            match within.and_then(|within| contents.values.remove(&within)) {
                Some(value) => values.insert(path.clone(), value),
                None if path.ends_with("mask_token") => None,
                None => return Err(fault(format!("lacks weights of its encoder, such as {path}"))),
            };
        }
        let teacher = replaced(fresh, values);
        run.progress.note(&format!("teacher: {} of {}", teacher.describe(), path.display()));
        Ok(teacher)
    }
}

/// What is at a path, and the sizes of its encoder.
fn opened(path: &Path) -> Result<(Source, BackboneConfig)> {
    if !path.exists() {
        return Err(Error::checkpoint(path, "there is no such file or folder with a teacher"));
    }
    let source = Source::open(path, None)?;
    let sizes = network(&source.kind().numbers);
    let network = read(sizes).map(BackboneConfig::Vit);
    let network = network.or_else(|| read(sizes).map(BackboneConfig::Swin));
    let network = network.or_else(|| read(sizes).map(BackboneConfig::SwinV2));
    let network = network.ok_or_else(|| {
        Error::checkpoint(path, "holds an encoder that is neither a ViT nor a Swin: no teacher")
    })?;
    Ok((source, network))
}

fn read<C: DeserializeOwned>(sizes: &Value) -> Option<C> {
    serde_json::from_value(sizes.clone()).ok()
}

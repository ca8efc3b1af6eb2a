//! What a folder or a file holds, said without using it.

use std::fmt::Write;
use std::path::Path;

use burn::tensor::Device;
use serde::Serialize;
use serde_json::Value;

use super::fine_tuned::is_fine_tuned;
use crate::checkpoint::{LoadOptions, LoadReport, Transformers, WeightsFile};
use crate::error::{Error, Result};
use crate::file::read_json;
use crate::train::RunFolder;

/// What was found at a path.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Inspection {
    /// A pre-training run.
    Run(RunFacts),
    /// A fine-tuned run.
    FineTuned(RunFacts),
    /// A model of transformers, or weights whose model is told by their shapes.
    Model(ModelFacts),
    /// Weights of a model that this crate does not know.
    Weights {
        /// Why the model is not known.
        reason: String,
        /// Each key with its shape.
        keys: Vec<(String, Vec<usize>)>,
    },
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunFacts {
    /// Its `config.json`.
    pub config: Value,
    /// Epochs that the newest whole checkpoint has done.
    pub epochs_done: usize,
    /// Epochs that it was to do.
    pub epochs: Option<u64>,
    /// Steps that it has done.
    pub steps: usize,
    /// The epoch with the smallest validation loss, with that loss.
    pub best: Option<(usize, f64)>,
    /// The losses of training and of validation in the last epoch.
    pub last: Option<(f64, f64)>,
    /// Every checkpoint, oldest first.
    pub checkpoints: Vec<CheckpointFacts>,
}

/// A checkpoint of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckpointFacts {
    /// Its folder's name.
    pub name: String,
    /// What is wrong with it; `None` if it is whole.
    pub fault: Option<String>,
}

/// Published weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelFacts {
    /// The class of transformers that they are loaded as.
    pub architecture: String,
    /// Whose names the keys have.
    pub layout: String,
    /// What was assumed, where no configuration says it.
    pub assumed: Option<String>,
    /// Keys that were found in the model.
    pub matched: usize,
    /// Keys of the model that the weights lack.
    pub missing: Vec<String>,
    /// Keys that the model has no use for.
    pub unused: Vec<String>,
}

/// Tells what the folder or the file at `path` holds.
///
/// # Errors
///
/// When there is nothing, or neither a run nor weights.
pub fn inspect(path: &Path, device: &Device) -> Result<Inspection> {
    if !path.exists() {
        return Err(Error::checkpoint(path, "there is no such file or folder"));
    }
    let folder = RunFolder::new(path);
    if is_fine_tuned(&folder) {
        return run(&folder).map(Inspection::FineTuned);
    }
    if path.is_dir() && !folder.all()?.is_empty() {
        return run(&folder).map(Inspection::Run);
    }
    let loaded = Transformers::open(path).and_then(|opened| {
        let model = opened.load(LoadOptions::default(), device)?;
        let LoadReport { form, matched, missing, unused, .. } = model.report().clone();
        Ok(Inspection::Model(ModelFacts {
            architecture: opened.architecture().into(),
            layout: form,
            assumed: opened.assumed().map(String::from),
            matched: matched.len(),
            missing,
            unused,
        }))
    });
    let reason = match loaded {
        Ok(found) => return Ok(found),
        Err(reason) => reason,
    };
    let Ok(file) = WeightsFile::open(path) else { return Err(reason) };
    let shape = |key: &str| (key.to_string(), file.shape(key).unwrap_or_default());
    let keys = file.keys().map(shape).collect();
    Ok(Inspection::Weights { reason: reason.to_string(), keys })
}

fn run(folder: &RunFolder) -> Result<RunFacts> {
    let config: Value = read_json(&folder.path().join("config.json"))?;
    let (mut newest, mut checkpoints) = (None, Vec::new());
    for (path, opened) in folder.all()? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fault = opened.as_ref().err().map(ToString::to_string);
        checkpoints.push(CheckpointFacts { name, fault });
        newest = opened.ok().or(newest);
    }
    let snapshot = newest.as_ref().map(|checkpoint| checkpoint.snapshot());
    let history = snapshot.map(|snapshot| &snapshot.history);
    let epochs = snapshot.and_then(|snapshot| snapshot.fingerprint["recipe"]["epochs"].as_u64());
    Ok(RunFacts {
        config,
        epochs_done: snapshot.map_or(0, |snapshot| snapshot.epoch),
        epochs,
        steps: snapshot.map_or(0, |snapshot| snapshot.step),
        best: history.and_then(|h| h.best()).map(|epoch| (epoch.epoch, epoch.valid_loss)),
        last: history.and_then(|h| h.last()).map(|epoch| (epoch.train_loss, epoch.valid_loss)),
        checkpoints,
    })
}

impl Inspection {
    /// The facts for people, line by line.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Run(facts) => {
                let text = |field: &str| facts.config[field].as_str().unwrap_or("").to_string();
                let (method, variant) = (text("method"), text("variant"));
                let on = if variant.is_empty() { variant } else { format!(" on {variant}") };
                let mut lines = vec![format!("a pre-training run of {method}{on}")];
                lines.push(format!("numbers: {}", facts.config["numbers"]));
                lines.extend(facts.lines());
                lines
            }
            Self::FineTuned(facts) => {
                let title = facts.config["title"].as_str().unwrap_or("an encoder");
                let names = facts.config["class_names"].as_array().map_or(0, Vec::len);
                let mut lines = vec![format!("a fine-tuned run of {title}, {names} classes")];
                lines.push(format!("pooling: {}", facts.config["tuning"]["pooling"]));
                lines.extend(facts.lines());
                lines
            }
            Self::Model(facts) => facts.lines(),
            Self::Weights { reason, keys } => {
                let mut lines =
                    vec![format!("weights of an unknown model, {} tensors", keys.len())];
                lines.push(reason.clone());
                lines.extend(some(keys, |(key, shape)| format!("{key} {shape:?}")));
                lines
            }
        }
    }
}

impl RunFacts {
    fn lines(&self) -> Vec<String> {
        let mut done = format!("{} epochs done", self.epochs_done);
        if let Some(epochs) = self.epochs {
            let _ = write!(done, " of {epochs}");
        }
        let _ = write!(done, ", {} steps", self.steps);
        let mut lines = vec![
            format!("data: {}", self.config["data"]),
            format!("seed: {}", self.config["seed"]),
        ];
        lines.push(done);
        if let Some((training, validation)) = self.last {
            lines.push(format!("last losses: training {training:.4}, validation {validation:.4}"));
        }
        if let Some((epoch, loss)) = self.best {
            lines.push(format!("best: epoch {epoch}, validation loss {loss:.4}"));
        }
        lines.extend(self.checkpoints.iter().map(|CheckpointFacts { name, fault }| match fault {
            None => format!("checkpoint {name}: whole"),
            Some(fault) => format!("checkpoint {name}: damaged ({fault})"),
        }));
        lines
    }
}

impl ModelFacts {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("weights of a {}", self.architecture),
            format!("layout: {}", self.layout),
            format!("{} keys matched", self.matched),
        ];
        lines.extend(self.assumed.clone());
        for (what, keys) in [("missing", &self.missing), ("unused", &self.unused)] {
            if !keys.is_empty() {
                lines.push(format!("{} keys {what}:", keys.len()));
                lines.extend(some(keys, String::clone));
            }
        }
        lines
    }
}

/// The first of `all` in lines of their own, and how many more there are.
fn some<T>(all: &[T], line: impl Fn(&T) -> String) -> Vec<String> {
    const SHOWN: usize = 20;
    let mut lines: Vec<_> = all.iter().take(SHOWN).map(|one| format!("  {}", line(one))).collect();
    if all.len() > SHOWN {
        lines.push(format!("  ... and {} more", all.len() - SHOWN));
    }
    lines
}

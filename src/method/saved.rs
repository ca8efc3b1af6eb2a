//! What a run says of itself, and what it leaves to be loaded.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DataFacts, InitFrom, Method, MethodVisitor, Methods};
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, DataOptions, DataSpec, ImageData};
use crate::error::{Error, Result};
use crate::file::read_json;
use crate::nn::InitialWeights;
use crate::train::{Checkpoint, RunFolder};

/// The version of the files that runs leave.
const FORMAT: u64 = 2;

/// A run's `config.json`: everything needed to build the model again and feed it the same images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "M: Method")]
pub struct RunConfig<M> {
    format: u64,
    /// [`Method::NAME`].
    method: String,
    /// [`Method::VARIANT`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    variant: String,
    /// The method.
    pub numbers: M,
    /// Where the images came from; `None` of data sets in memory.
    #[serde(default)]
    pub data: Option<DataSpec>,
    /// How they were opened: their channels, what became of damaged ones, and how many were used.
    #[serde(default)]
    pub data_options: DataOptions,
    /// How they were normalized.
    pub statistics: ChannelStatistics,
    /// What was done to them in training.
    pub augmentation: Augmentation,
    /// Seed of weights, order, crops and masks.
    pub seed: u64,
    /// The weights that it began with; `None` is fresh ones.
    #[serde(default)]
    pub init_from: Option<InitFrom>,
    /// The SHA-256 of these weights.
    #[serde(default)]
    pub initial_weights: Option<String>,
}

/// A trained run.
#[derive(Debug)]
pub struct LoadedRun<M: Method> {
    /// The configuration of the run.
    pub config: RunConfig<M>,
    /// The task with its weights: the averaged ones where the run kept them.
    pub task: M::Task,
    /// Which checkpoint they are of, and which newer ones are damaged, line by line.
    pub notes: Vec<String>,
}

impl<M: Method> RunConfig<M> {
    /// The configuration of a run of `method`.
    pub(crate) fn new(method: &M, data: &ImageData, augmentation: Augmentation, seed: u64) -> Self {
        Self {
            format: FORMAT,
            method: M::NAME.into(),
            variant: M::VARIANT.into(),
            numbers: method.clone(),
            data: data.origin.clone(),
            data_options: data.options.clone(),
            statistics: data.statistics.clone(),
            augmentation,
            seed,
            init_from: None,
            initial_weights: None,
        }
    }

    /// Reads the configuration of the run in `folder`.
    ///
    /// # Errors
    ///
    /// When it is missing, of another method or another version, or breaks a rule; names the file.
    pub fn of(folder: &RunFolder) -> Result<Self> {
        Self::beside(folder, folder.latest()?.as_ref())
    }

    /// As [`of`](Self::of), where the newest checkpoint is open already.
    fn beside(folder: &RunFolder, newest: Option<&Checkpoint>) -> Result<Self> {
        Self::check_method(folder)?;
        let config: Self = folder.config_beside(newest)?;
        let path = folder.path().join("config.json");
        config.validate().map_err(|error| error.in_file(&path))?;
        Ok(config)
    }

    /// Refuses runs of another method and of another version.
    fn check_method(folder: &RunFolder) -> Result<()> {
        let (name, variant) = method_of(folder)?;
        let path = folder.path().join("config.json");
        if (&*name, &*variant) != (M::NAME, M::VARIANT) {
            let on = |variant: &str| match variant {
                "" => String::new(),
                variant => format!(" on {variant}"),
            };
            let (found, wanted) = (on(&variant), on(M::VARIANT));
            let reason = format!("is a run of {name}{found}, not of {}{wanted}", M::NAME);
            return Err(Error::checkpoint(path, reason));
        }
        Ok(())
    }

    /// Checks every rule that the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.numbers.validate()?;
        self.augmentation.validate()?;
        self.statistics.check(self.numbers.image())
    }

    /// What the method knows of the images.
    pub fn facts(&self) -> DataFacts {
        DataFacts::new(self.statistics.clone())
    }

    /// What of it decides a run's bits: all but where files lie, and what would become of damaged
    /// ones. Weights to begin with are told by their checksum.
    pub(crate) fn identity(&self) -> Result<Value> {
        let json = serde_json::to_value(self);
        let mut json = json.map_err(|error| Error::config(error.to_string()))?;
        let paths = M::PATHS.iter().map(|path| format!("/numbers{path}"));
        for path in paths.chain([
            "/data".into(),
            "/data_options/on_bad_image".into(),
            "/init_from/source".into(),
        ]) {
            let (within, name) = path.rsplit_once('/').unwrap_or_default();
            let within = json.pointer_mut(within).and_then(Value::as_object_mut);
            within.map(|within| within.remove(name));
        }
        Ok(json)
    }
}

impl RunFolder {
    /// Loads the run of the method `M` from its newest whole checkpoint.
    ///
    /// # Errors
    ///
    /// When there is no checkpoint, the run is of another method, or its files do not fit each
    /// other.
    pub fn load<M: Method>(&self, device: &Device) -> Result<LoadedRun<M>> {
        // A run of another method or version is told first, whatever its checkpoints are.
        if self.path().join("config.json").exists() {
            RunConfig::<M>::check_method(self)?;
        }
        // Opened once: opening reads all files of the checkpoint to compare their checksums.
        let (checkpoint, damaged) = self.require_latest_and_damaged()?;
        let config = RunConfig::<M>::beside(self, Some(&checkpoint))?;
        let task = config.numbers.init(&config.facts(), &mut InitialWeights::new(0, device))?;
        let task = checkpoint.load(task)?;
        let mut notes: Vec<_> = damaged.iter().map(|error| format!("warning: {error}")).collect();
        notes.push(format!("its weights come from {}", checkpoint.path().display()));
        Ok(LoadedRun { config, task, notes })
    }

    /// Calls `visitor` with the method, one of the list `L`, that the run is of.
    ///
    /// # Errors
    ///
    /// When the folder holds no run, when its method is not in the list, and when the visitor
    /// fails.
    pub fn visit<L: Methods, V: MethodVisitor>(&self, visitor: V) -> Result<V::Output> {
        let (name, variant) = method_of(self)?;
        L::visit(&name, &variant, visitor)
    }
}

/// The name and the variant of a run's method.
pub(crate) fn method_of(folder: &RunFolder) -> Result<(String, String)> {
    let path = folder.path().join("config.json");
    let saved: Value = read_json(&path)?;
    if saved["format"] != FORMAT {
        let reason = match saved.get("task") {
            Some(_) => {
                "was written by an earlier version of burn-mim, whose runs cannot be read any \
                        more: train again, or go on with the version that wrote it"
                    .to_string()
            }
            None => format!("does not belong to a run: its `format` must be {FORMAT}"),
        };
        return Err(Error::checkpoint(path, reason));
    }
    let text = |field: &str| saved[field].as_str().unwrap_or_default().to_string();
    Ok((text("method"), text("variant")))
}

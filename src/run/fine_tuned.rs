//! A fine-tuned run: what it says of itself, and its encoder with the classifier, read back.

use std::any::Any;
use std::marker::PhantomData;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoder_spec::EncoderSpec;
use super::loaded::{BackboneVisitor, LoadedBackbone, Random};
use crate::data::{ChannelStatistics, DataOptions, DataSpec};
use crate::encoder::Backbone;
use crate::error::{Error, Result, ensure};
use crate::eval::{Classification, FineTuning, Labels};
use crate::file::read_json;
use crate::grid::ImageShape;
use crate::method::Methods;
use crate::nn::InitialWeights;
use crate::train::RunFolder;

/// The version of the files that fine-tuned runs leave.
const FORMAT: &str = "fine-tuned 1";

/// What the `format` of all versions begins with.
const KIND: &str = "fine-tuned";

/// A fine-tuned run's `config.json`: everything needed to build its encoder and its classifier
/// again and feed them the same images, without the run or the file that the encoder came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FineTunedConfig {
    pub(super) format: String,
    /// What the encoder is; `None` of an encoder of a caller's own type.
    pub encoder: Option<EncoderSpec>,
    /// A short description of the encoder that was fine-tuned.
    pub title: String,
    /// A checksum of the weights that were fine-tuned.
    pub start: String,
    /// The images that it reads.
    pub image: ImageShape,
    /// How they are normalized.
    pub statistics: ChannelStatistics,
    /// The classes' names by label.
    pub class_names: Vec<String>,
    /// How it was fine-tuned, with the pooling of its features.
    pub tuning: FineTuning,
    /// How many of the labelled training images it learned from.
    pub labels: Labels,
    /// Where the images came from; `None` of data sets in memory.
    #[serde(default)]
    pub data: Option<DataSpec>,
    /// How they were opened.
    pub data_options: DataOptions,
    /// [`ImageData::identity`](crate::data::ImageData::identity) of the images.
    pub data_identity: String,
    /// Images per batch.
    pub batch_size: usize,
    /// Seed of the classifier, the order and the crops.
    pub seed: u64,
}

/// A fine-tuned run: its encoder with its classifier.
pub struct FineTuned<B: Backbone> {
    /// The configuration of the run.
    pub config: FineTunedConfig,
    /// The encoder and the classifier, on a plain device.
    pub task: Classification<B>,
    /// The run.
    pub folder: RunFolder,
    /// Which checkpoint the weights are of, and which newer ones are damaged, line by line.
    pub notes: Vec<String>,
    random: Random<B>,
}

/// Generic code that works with a fine-tuned encoder of any type.
pub trait FineTunedVisitor {
    /// The result.
    type Output;

    /// Works with `tuned`.
    ///
    /// # Errors
    ///
    /// Any error of the visitor's own.
    fn visit<B: Backbone + Clone + 'static>(self, tuned: FineTuned<B>) -> Result<Self::Output>;
}

impl FineTunedConfig {
    pub(super) const FORMAT: &str = FORMAT;

    /// Reads the configuration of the fine-tuned run in `folder`.
    ///
    /// # Errors
    ///
    /// When it is missing, of another version or of no fine-tuned run, or breaks a rule; names the
    /// file.
    pub fn of(folder: &RunFolder) -> Result<Self> {
        let path = folder.path().join("config.json");
        let said = format_of(folder)?;
        if said != FORMAT {
            let reason = match said.starts_with(KIND) {
                true => format!("has the format {said:?}; this version reads {FORMAT:?}"),
                false => format!("is not of a fine-tuned run, whose `format` is {FORMAT:?}"),
            };
            return Err(Error::checkpoint(path, reason));
        }
        let config: Self = folder.config()?;
        config.validate().map_err(|error| error.in_file(&path))?;
        Ok(config)
    }

    /// Checks every rule that the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        let classes = self.class_names.len();
        ensure!(classes >= 2, "class_names must name at least 2 classes, got {classes}");
        self.labels.validate()?;
        self.tuning.validate()?;
        self.statistics.check(self.image)
    }

    /// What decides the run's bits: all but names and where files lie.
    pub(super) fn identity(&self) -> Result<Value> {
        let json = serde_json::to_value(self);
        let mut json = json.map_err(|error| Error::config(error.to_string()))?;
        if let Some(fields) = json.as_object_mut() {
            for field in ["title", "data"] {
                fields.remove(field);
            }
        }
        Ok(json)
    }
}

impl<B: Backbone + Clone + 'static> FineTuned<B> {
    /// The probability of every class, `[batch, classes]`.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, normalized by the run's statistics
    pub fn probabilities(&self, images: Tensor<4>) -> Tensor<2> {
        softmax(self.task.logits(images), 1)
    }

    /// The encoder without the classifier.
    pub fn into_encoder(self) -> LoadedBackbone<B> {
        let Self { config, task, folder, notes, random } = self;
        let title = format!("fine-tuned {}", config.title);
        let encoder = task.encoder;
        LoadedBackbone {
            statistics: Some(config.statistics),
            run: Some(folder),
            notes,
            spec: config.encoder,
            random,
            ..LoadedBackbone::new(encoder, config.image, title, |_| {
                Err(Error::config("an encoder that is made in one way alone"))
            })
        }
    }

    /// Loads the fine-tuned run in `folder`, whose encoder is of the type and the shape of
    /// `encoder`: for encoders that no file describes.
    ///
    /// # Errors
    ///
    /// When there is no checkpoint, or the weights are not of such an encoder.
    pub fn load_with(folder: &RunFolder, encoder: LoadedBackbone<B>) -> Result<Self> {
        let config = FineTunedConfig::of(folder)?;
        Self::fill(folder, config, encoder)
    }

    fn fill(
        folder: &RunFolder,
        config: FineTunedConfig,
        encoder: LoadedBackbone<B>,
    ) -> Result<Self> {
        let LoadedBackbone { backbone, random, .. } = encoder;
        let device = backbone.devices().into_iter().next();
        let device = device.ok_or_else(|| Error::config("an encoder without parameters"))?;
        let backbone = backbone.with_drop_path(config.tuning.drop_path);
        let weights = &mut InitialWeights::new(0, &device);
        let task = config.tuning.task(backbone, config.class_names.len(), weights)?;
        let (checkpoint, damaged) = folder.require_latest_and_damaged()?;
        let task = checkpoint.load(task)?;
        let mut notes: Vec<_> = damaged.iter().map(|error| format!("warning: {error}")).collect();
        notes.push(format!("its weights come from {}", checkpoint.path().display()));
        Ok(Self { config, task, folder: folder.clone(), notes, random })
    }
}

impl RunFolder {
    /// Loads the fine-tuned run in this folder and hands it to `visitor`. Methods are of the list
    /// `L`.
    ///
    /// # Errors
    ///
    /// When the folder holds no fine-tuned run, its encoder is of a caller's own type or of a method
    /// that is not in the list, its files do not fit each other, and when the visitor fails.
    pub fn visit_fine_tuned<L: Methods, V: FineTunedVisitor>(
        &self,
        device: &Device,
        visitor: V,
    ) -> Result<V::Output> {
        let config = FineTunedConfig::of(self)?;
        let Some(spec) = config.encoder.clone() else {
            let reason = "its encoder is of a type that no file describes: load it with \
                          `FineTuned::load_with`";
            return Err(Error::checkpoint(self.path(), reason));
        };
        spec.visit::<L, _>(device, Fill { folder: self, config, visitor })
    }

    /// Loads the fine-tuned run in this folder, whose encoder is of the type `B`.
    ///
    /// # Errors
    ///
    /// As [`visit_fine_tuned`](Self::visit_fine_tuned), and when the encoder is of another type.
    pub fn load_fine_tuned<L: Methods, B: Backbone + Clone + 'static>(
        &self,
        device: &Device,
    ) -> Result<FineTuned<B>> {
        self.visit_fine_tuned::<L, _>(device, Only(PhantomData))
    }
}

/// Whether there is a fine-tuned run, of whatever version, in `folder`.
pub(super) fn is_fine_tuned(folder: &RunFolder) -> bool {
    format_of(folder).is_ok_and(|format| format.starts_with(KIND))
}

fn format_of(folder: &RunFolder) -> Result<String> {
    let saved: Value = read_json(&folder.path().join("config.json"))?;
    Ok(saved["format"].as_str().unwrap_or_default().to_string())
}

/// Gives a fresh encoder the weights of the run.
struct Fill<'a, V> {
    folder: &'a RunFolder,
    config: FineTunedConfig,
    visitor: V,
}

impl<V: FineTunedVisitor> BackboneVisitor for Fill<'_, V> {
    type Output = V::Output;

    fn visit<B: Backbone + Clone + 'static>(self, encoder: LoadedBackbone<B>) -> Result<V::Output> {
        self.visitor.visit(FineTuned::fill(self.folder, self.config, encoder)?)
    }
}

/// Takes a run whose encoder is of one type.
struct Only<B>(PhantomData<B>);

impl<T: Backbone + Clone + 'static> FineTunedVisitor for Only<T> {
    type Output = FineTuned<T>;

    fn visit<B: Backbone + Clone + 'static>(self, tuned: FineTuned<B>) -> Result<FineTuned<T>> {
        let title = tuned.config.title.clone();
        let wanted: Result<Box<FineTuned<T>>, _> = (Box::new(tuned) as Box<dyn Any>).downcast();
        let wanted = wanted.map_err(|_| {
            Error::config(format!("an encoder of another type than was asked for: {title}"))
        });
        wanted.map(|tuned| *tuned)
    }
}

impl<B: Backbone> std::fmt::Debug for FineTuned<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FineTuned")
            .field("config", &self.config)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

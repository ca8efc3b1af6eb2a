//! A run as one document: everything that decides what it does, in TOML or JSON.
//!
//! Somebody writes a [`Draft`], with the fields they care about; [`Draft::resolve`] makes the whole
//! [`RunDocument`] of it; and every run leaves its own as `config.toml`, which repeats it to the bit.

mod draft;
mod knobs;
mod resolve;
mod seed;
mod source;
mod tree;

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

pub use draft::Draft;
pub use knobs::Knobs;

use crate::data::augment::Augmentation;
use crate::data::{DataOptions, DataSpec, ImageData};
use crate::error::{Error, Result};
use crate::image::ChannelStatistics;
use crate::method::{InitFrom, Method, RefineStage, Run};
use crate::train::{Budget, Precision, Recipe};

/// The version of the documents.
const FORMAT: u64 = 1;

/// The name of no preset: what is absent then has the default of its field.
const NO_PRESET: &str = "none";

/// Everything that decides what a run does, but for the machine it runs on.
///
/// In TOML:
///
/// ```toml
/// method = "mae"
/// preset = "mae_vit_base_patch16_224" # numbers, recipe, augmentation and batch by a name
/// data = "folder:photos"
/// image_size = [160, 224]             # height and width; or one number
/// batch_size = 64
///
/// [recipe]
/// epochs = 100                        # what is absent is the preset's
///
/// [numbers.mask]
/// strategy = "block"
/// ratio = 0.6
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "M: Method")]
#[non_exhaustive]
pub struct RunDocument<M> {
    /// The version of the document, 1.
    format: u64,
    /// [`Method::NAME`].
    method: String,
    /// [`Method::VARIANT`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    variant: String,
    /// The preset whose values absent fields have; `none` of documents that have every field.
    preset: String,
    /// Where the images are; `None` of images in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataSpec>,
    /// Where the run leaves its files; by default `runs/METHOD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
    /// [`Run::seed`].
    #[serde(with = "seed")]
    pub seed: u64,
    /// [`Run::batch_size`].
    pub batch_size: usize,
    /// [`Run::precision`].
    pub precision: Precision,
    /// [`Run::workers`].
    pub workers: usize,
    /// [`Run::probe`].
    pub probe: usize,
    /// [`Run::budget`]; the recipe's epochs where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// How the images are opened.
    pub data_options: DataOptions,
    /// How the images are normalized; measured where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<ChannelStatistics>,
    /// [`Run::init_from`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<InitFrom>,
    /// [`Run::refine`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refine: Option<RefineStage>,
    /// The method.
    pub numbers: M,
    /// What is done to the training images.
    pub augmentation: Augmentation,
    /// How the weights move.
    pub recipe: Recipe,
}

impl<M: Method> RunDocument<M> {
    /// The document of `run` by `method`, which has every field but the folder.
    pub fn of(run: &Run, method: &M) -> Self {
        Self {
            format: FORMAT,
            method: M::NAME.into(),
            variant: M::VARIANT.into(),
            preset: NO_PRESET.into(),
            data: run.data.origin.clone(),
            out: None,
            seed: run.seed,
            batch_size: run.batch_size,
            precision: run.precision,
            workers: run.workers,
            probe: run.probe,
            budget: run.budget,
            data_options: run.data.options.clone(),
            statistics: Some(run.data.statistics.clone()),
            init_from: run.init_from.clone(),
            refine: run.refine.clone(),
            numbers: method.clone(),
            augmentation: run.augmentation.unwrap_or_else(|| method.augmentation()),
            recipe: run.recipe.clone().unwrap_or_else(|| method.recipe()),
        }
    }

    /// The run on `data`, its images, that leaves its files in `out`.
    ///
    /// # Errors
    ///
    /// When the images have another number of channels than the method reads.
    pub fn run(&self, data: ImageData, out: impl Into<PathBuf>, device: &Device) -> Result<Run> {
        let (has, reads) = (data.shape.channels, self.numbers.image().channels);
        if has != reads {
            return Err(Error::config(format!(
                "the images have {has} channels, numbers.image and what is in it read {reads}: set \
                 data_options.channels or leave the image out"
            )));
        }
        let mut run = Run::new(data, out, device);
        run.recipe = Some(self.recipe.clone());
        run.augmentation = Some(self.augmentation);
        run.batch_size = self.batch_size;
        run.seed = self.seed;
        run.workers = self.workers;
        run.precision = self.precision;
        run.probe = self.probe;
        run.budget = self.budget;
        run.init_from = self.init_from.clone();
        run.refine = self.refine.clone();
        Ok(run)
    }

    /// The document as TOML, with every field that has a value.
    ///
    /// # Errors
    ///
    /// When the method's numbers hold what TOML cannot say, such as whole numbers above 2^63.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Error::config(format!("the document cannot be TOML: {error}")))
    }
}

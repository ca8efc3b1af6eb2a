//! Runs as folders for others: transformers' classes, or a bare file of weights.

mod readme;
mod write;

use std::path::Path;

use burn::tensor::Device;

use super::backbone::BackboneSource;
use super::encoder_spec::EncoderSpec;
use super::fine_tuned::{FineTuned, FineTunedVisitor, is_fine_tuned};
use super::loaded::{BackboneVisitor, LoadedBackbone};
use super::new_folder::new_folder;
use crate::config::config;
use crate::data::augment::{EvalView, Framing};
use crate::data::{ChannelStatistics, DataSpec};
use crate::encoder::{Backbone, VitConfig};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::grid::ImageShape;
use crate::method::{LoadedRun, Method, MethodVisitor, Methods};
use crate::train::RunFolder;

config! {
    /// What of a run is exported, and how.
    #[derive(Debug, PartialEq)]
    pub struct Export {
        /// The whole model of a pre-training run, with its decoder or head, in place of the encoder
        /// alone. Default: the encoder alone
        pub whole: bool = false,
        /// The checkpoint of the epoch with the smallest validation loss, in place of the newest.
        /// Default: the newest
        pub best: bool = false,
        /// One file of safetensors by this crate's names, `model.safetensors`, in place of a folder
        /// for transformers. Default: a folder for transformers
        pub bare: bool = false,
    }
}

/// What was exported.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Exported {
    /// The class of transformers that reads the folder; `None` of a bare file.
    pub class: Option<&'static str>,
    /// What is worth saying, a line each.
    pub notes: Vec<String>,
}

/// What the files beside the weights say.
struct Facts {
    title: String,
    /// What was trained, a line each: the method, the data, the checkpoint.
    history: Vec<String>,
    image: ImageShape,
    statistics: Option<ChannelStatistics>,
    framing: EvalView,
    class_names: Vec<String>,
    /// How a classifier beside an encoder reads its features.
    classifier: Option<String>,
    /// The block whose input the features of an Image GPT are.
    layer: Option<usize>,
}

impl Export {
    /// Exports the run, the fine-tuned run or the published weights in `source` to the new folder
    /// `out`. Methods are of the list `L`.
    ///
    /// ```text
    /// config.json, model.safetensors   what transformers' `from_pretrained` reads
    /// preprocessor_config.json         the size and the normalization of images
    /// classifier.safetensors           of a fine-tuned run that is of no class of transformers
    /// README.md                        what was trained on what, and how it is read there and here
    /// ```
    ///
    /// A fine-tuned run whose features are not normalized before the classifier
    /// ([`FineTuning::normalized`](crate::eval::FineTuning::normalized)) is a
    /// `...ForImageClassification` where ViTs read the class token and Swins the mean.
    ///
    /// # Errors
    ///
    /// When there is something in `out` already, the source cannot be loaded, transformers has no
    /// class for it (`bare` always works), and when a file cannot be written.
    pub fn run<L: Methods>(&self, source: &Path, out: &Path, device: &Device) -> Result<Exported> {
        let mut folder = RunFolder::new(source);
        if self.best {
            let none = || Error::checkpoint(source, "this run has no checkpoint of a whole epoch");
            folder = RunFolder::new(folder.best()?.ok_or_else(none)?.path());
        }
        new_folder(out, |partial| {
            let to = To { export: self, out: partial, folder: &folder, device };
            if is_fine_tuned(&folder) {
                return folder.visit_fine_tuned::<L, _>(device, to);
            }
            if folder.path().is_dir() && folder.latest()?.is_some() {
                return folder.visit::<L, _>(to);
            }
            // No encoder is made by these sizes, since there is a source.
            let random = VitConfig::new(ImageShape::square(3, 32), 4, 128, 6, 4);
            let source = BackboneSource::Folder(source.into());
            source.visit::<L, _>(None, &random, 0, device, to)
        })
    }
}

/// Where an export goes.
struct To<'a> {
    export: &'a Export,
    out: &'a Path,
    folder: &'a RunFolder,
    device: &'a Device,
}

/// A pre-training run.
impl MethodVisitor for To<'_> {
    type Output = Exported;

    fn visit<M: Method>(self) -> Result<Exported> {
        let run: LoadedRun<M> = self.folder.load::<M>(self.device)?;
        let mut facts = Facts {
            title: format!("{} {}", M::TITLE, M::encoder(&run.task).describe()),
            history: vec![
                format!("pre-trained with {} (burn-mim's method `{}`)", M::TITLE, M::NAME),
                of_data(run.config.data.as_ref()),
            ],
            image: run.config.numbers.image(),
            statistics: Some(run.config.statistics.clone()),
            framing: framing(run.config.data.as_ref()),
            class_names: Vec::new(),
            classifier: None,
            layer: None,
        };
        facts.history.extend(run.notes.iter().cloned());
        if !self.export.whole {
            return self.encoder(&run.into_encoder(self.folder), facts);
        }
        if self.export.bare {
            write::bare(self.out, &run.task)?;
            return self.finish(None, &facts);
        }
        let class = write::whole(self.out, &run.task, &run.config.numbers)?;
        let class = class.ok_or_else(|| {
            Error::config(format!(
                "transformers has no class for the whole model of {}: export its encoder, or a bare \
                 file of safetensors",
                M::TITLE
            ))
        })?;
        self.finish(Some(class), &facts)
    }
}

/// A fine-tuned run.
impl FineTunedVisitor for To<'_> {
    type Output = Exported;

    fn visit<B: Backbone + Clone + 'static>(self, tuned: FineTuned<B>) -> Result<Exported> {
        let config = &tuned.config;
        let mut facts = Facts {
            title: format!("fine-tuned {}", config.title),
            history: vec![
                format!("fine-tuned from {}", config.title),
                of_data(config.data.as_ref()),
                format!("{} classes", config.class_names.len()),
            ],
            image: config.image,
            statistics: Some(config.statistics.clone()),
            framing: framing(config.data.as_ref()),
            class_names: config.class_names.clone(),
            classifier: None,
            layer: None,
        };
        facts.history.extend(tuned.notes.iter().cloned());
        if self.export.bare {
            write::bare(self.out, &tuned.task)?;
            return self.finish(None, &facts);
        }
        if let Some(class) = write::classifier(self.out, &tuned)? {
            return self.finish(Some(class), &facts);
        }
        facts.classifier = Some(write::head(self.out, &tuned)?);
        self.encoder(&tuned.into_encoder(), facts)
    }
}

/// Published weights.
impl BackboneVisitor for To<'_> {
    type Output = Exported;

    fn visit<B: Backbone + Clone + 'static>(self, encoder: LoadedBackbone<B>) -> Result<Exported> {
        let facts = Facts {
            title: encoder.title.clone(),
            history: encoder.notes.clone(),
            image: encoder.image,
            statistics: encoder.statistics.clone(),
            framing: encoder.framing,
            class_names: Vec::new(),
            classifier: None,
            layer: None,
        };
        self.encoder(&encoder, facts)
    }
}

impl To<'_> {
    fn encoder<B: Backbone + Clone + 'static>(
        &self,
        encoder: &LoadedBackbone<B>,
        mut facts: Facts,
    ) -> Result<Exported> {
        if self.export.bare {
            write::bare(self.out, &encoder.backbone)?;
            return self.finish(None, &facts);
        }
        if let Some(EncoderSpec::ImageGpt { layer, .. }) = &encoder.spec {
            facts.layer = Some(*layer);
        }
        let class = write::encoder(self.out, &encoder.backbone, encoder.spec.as_ref())?;
        self.finish(Some(class), &facts)
    }

    /// Writes what stands beside the weights.
    fn finish(&self, class: Option<&'static str>, facts: &Facts) -> Result<Exported> {
        let mut notes = Vec::new();
        match &facts.statistics {
            Some(statistics) if class.is_some() && facts.layer.is_none() => {
                let (image, framing) = (facts.image, &facts.framing);
                crate::checkpoint::save_framed_preprocessor(self.out, image, statistics, framing)?;
            }
            Some(_) => {}
            None => notes.push(
                "nobody says how images are normalized, so there is no preprocessor_config.json"
                    .to_string(),
            ),
        }
        if facts.classifier.is_some() {
            notes.push(
                "transformers has no class for this classifier: it is beside the encoder, in \
                 classifier.safetensors, and README.md says how it is used"
                    .to_string(),
            );
        }
        let path = self.out.join("README.md");
        write_whole(&path, readme::readme(class, facts).as_bytes())
            .map_err(|error| Error::data(&path, error))?;
        Ok(Exported { class, notes })
    }
}

fn of_data(data: Option<&DataSpec>) -> String {
    match data {
        Some(data) => format!("on the images of `{data}`"),
        None => "on images in memory".into(),
    }
}

/// How images are framed for a model of `data`: images that all have the model's size as they are.
fn framing(data: Option<&DataSpec>) -> EvalView {
    let framing = match data {
        Some(
            DataSpec::Folder(_) | DataSpec::Clips(_) | DataSpec::Tar(_) | DataSpec::Parquet(_),
        ) => Framing::Center,
        _ => Framing::Whole,
    };
    EvalView { framing, ..EvalView::default() }
}

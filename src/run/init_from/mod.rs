//! Continued pre-training: a run that begins with the weights of another run, or with published
//! ones.
//!
//! Weights are told apart by the paths of the parameters they belong to. A task's own encoder is
//! found among them wherever it is kept, so this works for every method, of this crate or not.

mod beginning;
mod compare;
mod matching;
mod plan;
mod resize;
mod source;
mod teacher;

use burn::module::Module;
use burn::tensor::Device;
use serde_json::{Value, json};

use crate::checkpoint::{Contents, replaced};
use crate::data::ChannelStatistics;
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::method::{InitFrom, InitPart, Method, NormalizationOf};
pub(super) use beginning::Beginning;
use plan::{Matched, Plan};
use source::Source;

/// The weights that a run begins with, read, and what they say of themselves.
pub(super) struct Given {
    from: InitFrom,
    source: Source,
    contents: Contents,
    /// The source's numbers for the run's images.
    numbers: Value,
    /// The SHA-256 of the weights.
    pub(super) weights: String,
    /// How images are normalized, if the source says it and the run wants it.
    pub(super) statistics: Option<ChannelStatistics>,
    device: Device,
}

/// What became of the weights that a run began with.
#[derive(Debug)]
pub(super) struct Begun {
    /// The file that the run keeps of it.
    pub(super) report: Value,
    /// The same for people, line by line.
    pub(super) notes: Vec<String>,
}

impl InitFrom {
    /// The images that the source's model reads.
    ///
    /// # Errors
    ///
    /// When the source is missing or cannot be opened.
    pub fn image(&self) -> Result<ImageShape> {
        self.validate()?;
        Ok(Source::open(&self.source, None)?.kind().image)
    }

    /// The numbers of the method `M` for the source's weights, as far as they say: of a source of
    /// the same method all of them, of another one those of its encoder. `image` are the images of
    /// the run, if they are not the source's. No weight is read.
    ///
    /// A JSON object of the method's fields, to which the run's own choices are added.
    ///
    /// # Errors
    ///
    /// When the source is missing or cannot be opened.
    pub fn known_numbers<M: Method>(&self, image: Option<ImageShape>) -> Result<Value> {
        self.validate()?;
        let source = Source::open(&self.source, image)?;
        let kind = source.kind().clone();
        let numbers = source.numbers_for(image.unwrap_or(kind.image))?.1;
        let same =
            kind.method.is_some_and(|[name, variant]| name == M::NAME && variant == M::VARIANT);
        Ok(if same { numbers } else { json!({ "encoder": numbers["encoder"] }) })
    }

    /// The method `M` in the sizes of the source's weights, with the defaults of its other fields;
    /// `None` where it needs more than the source says, such as a tokenizer, or has another
    /// encoder. It is not validated: a mask of the paper's sizes may not fit a small image.
    ///
    /// # Errors
    ///
    /// As [`known_numbers`](Self::known_numbers).
    pub fn numbers<M: Method>(&self, image: Option<ImageShape>) -> Result<Option<M>> {
        Ok(serde_json::from_value(self.known_numbers::<M>(image)?).ok())
    }

    /// The SHA-256 of the source's weights.
    pub(super) fn checksum(&self) -> Result<String> {
        Source::open(&self.source, None)?.checksum()
    }
}

impl Given {
    /// Reads the weights for a run of `method`.
    pub(super) fn open<M: Method>(from: &InitFrom, method: &M, device: &Device) -> Result<Self> {
        from.validate()?;
        let source = Source::open(&from.source, Some(method.image()))?;
        let own = source.kind().image;
        // An encoder of images becomes one of clips; how far apart frames are changes no weight.
        let image = match (own.frames, method.image()) {
            (1, image) => image.frame(),
            (_, image) => ImageShape { stride: own.stride, ..image },
        };
        if own != image && !from.resize {
            return Err(Error::checkpoint(
                &from.source,
                format!(
                    "its weights are for images of {own}, and the run's are {image} (channels, \
                     height, width): set init_from.resize to true to resize what depends on it, or \
                     give the run images of {own}"
                ),
            ));
        }
        let (source, numbers) = source.numbers_for(image)?;
        let statistics = match from.normalization {
            NormalizationOf::Source if own.channels == image.channels => source.statistics()?,
            _ => None,
        };
        let (weights, device) = (source.checksum()?, device.clone().without_autodiff());
        let (source, contents) = source.contents(image, &device)?;
        Ok(Self { from: from.clone(), source, contents, numbers, weights, statistics, device })
    }

    /// Decides which parameter of `task` gets which weight.
    fn plan<M: Method>(&self, method: &M, task: &M::Task) -> Result<Plan> {
        let Self { from, contents, numbers, device, .. } = self;
        Matched { from, method, task, contents, numbers, device }.plan()
    }

    /// `task` with the weights of `plan`, whose parameters stay the task's own.
    fn put<T: Module>(self, task: T, plan: Plan) -> (T, Begun) {
        let report = &self.contents.report;
        let used = plan.values.len();
        let path = self.from.source.display();
        let mut notes = vec![format!(
            "begins with {} of {path} ({}): {used} parameters loaded, {} resized, {} fresh, {} of \
             the source unused",
            match plan.part {
                InitPart::All => "all weights",
                InitPart::Encoder => "the encoder's weights",
            },
            report.form,
            plan.resized.len(),
            plan.fresh.len(),
            plan.unused.len(),
        )];
        notes.extend(plan.resized.iter().take(3).map(|line| format!("resized {line}")));
        notes.extend(plan.notes.iter().cloned());
        notes.extend(self.source.notes(report));
        notes.push(match &self.statistics {
            Some(ChannelStatistics { mean, std }) => {
                format!("images are normalized as the source's: mean {mean:?}, std {std:?}")
            }
            None => "images are normalized with the statistics of the data".into(),
        });
        let json = json!({
            "source": self.from.source, "form": report.form, "weights": self.weights,
            "loaded": plan.part, "normalization": self.statistics, "notes": notes,
            "used": sorted(plan.values.keys()), "fresh": plan.fresh, "unused": plan.unused,
            "resized": plan.resized,
            "file": {
                "matched": report.matched, "missing": report.missing, "unused": report.unused,
            },
        });
        (replaced(task, plan.values), Begun { report: json, notes })
    }
}

fn sorted<'a>(paths: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut paths: Vec<_> = paths.collect();
    paths.sort();
    paths
}

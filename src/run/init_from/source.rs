//! A run or published weights, opened to begin another run with.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde_json::Value;

use crate::checkpoint::{Contents, Kind, LoadOptions, LoadReport, Transformers, WeightsFile};
use crate::data::ChannelStatistics;
use crate::error::{Error, Result};
use crate::grid::{ClipShape, ImageShape};
use crate::method::method_of;
use crate::run::published::{Found, open};

/// A source whose weights are not read yet.
#[allow(clippy::large_enum_variant, reason = "a run begins with one of them")]
pub(super) enum Source {
    Run { path: PathBuf, config: Value, kind: Kind, weights: PathBuf, notes: Vec<String> },
    Published { opened: Transformers, kind: Kind },
}

impl Source {
    /// Opens `path`. Where a source says how many pixels its images have but not their rows, they
    /// are those of `image`.
    pub(super) fn open(path: &Path, image: Option<ImageShape>) -> Result<Self> {
        if !path.exists() {
            return Err(Error::checkpoint(
                path,
                "there is no such file or folder to begin with (init_from.source)",
            ));
        }
        let folder = match open(path)? {
            Found::Published(opened) => return Self::published(*opened, image),
            Found::Run(folder) => folder,
        };
        let method = method_of(&folder)?.into();
        let config: Value = folder.config()?;
        let numbers = config["numbers"].clone();
        let (checkpoint, damaged) = folder.require_latest_and_damaged()?;
        let shape = image_of(&numbers).ok_or_else(|| {
            Error::checkpoint(path, "does not say in its config.json which images it reads")
        })?;
        let mut notes: Vec<_> = damaged.iter().map(|error| format!("warning: {error}")).collect();
        notes.push(format!("its weights come from {}", checkpoint.path().display()));
        Ok(Self::Run {
            path: path.to_path_buf(),
            config,
            kind: Kind { method: Some(method), numbers, image: shape },
            weights: checkpoint.weights(),
            notes,
        })
    }

    fn published(mut opened: Transformers, image: Option<ImageShape>) -> Result<Self> {
        if let Some(image) = image
            && opened.architecture().starts_with("ImageGPT")
        {
            let own = opened.kind()?.image;
            if own.height * own.width == image.height * image.width {
                opened = opened.with_image(image);
            }
        }
        let kind = opened.kind()?;
        Ok(Self::Published { opened, kind })
    }

    /// What its weights are the weights of.
    pub(super) fn kind(&self) -> &Kind {
        match self {
            Self::Run { kind, .. } | Self::Published { kind, .. } => kind,
        }
    }

    /// The numbers of the same model for other images.
    pub(super) fn numbers_for(self, image: ImageShape) -> Result<(Self, Value)> {
        if image == self.kind().image {
            let numbers = self.kind().numbers.clone();
            return Ok((self, numbers));
        }
        match self {
            Self::Run { ref kind, .. } => {
                let mut numbers = kind.numbers.clone();
                replace_image(&mut numbers, kind.image, image);
                Ok((self, numbers))
            }
            Self::Published { opened, kind } => {
                let opened = opened.with_image(image);
                let numbers = opened.kind()?.numbers;
                Ok((Self::Published { opened: opened.with_image(kind.image), kind }, numbers))
            }
        }
    }

    /// Reads all weights, as they are for the source's own images. Those of a Swin are read for
    /// `image`: how its tables change depends on its windows.
    pub(super) fn contents(self, image: ImageShape, device: &Device) -> Result<(Self, Contents)> {
        match self {
            Self::Run { ref kind, ref weights, ref path, .. } => {
                let floats = WeightsFile::open_burn(weights)?.floats()?;
                let report = LoadReport {
                    matched: floats.iter().map(|(key, _)| key.clone()).collect(),
                    form: format!("run {}", path.display()),
                    ..LoadReport::default()
                };
                let (kind, values) = (kind.clone(), floats.into_iter().collect());
                Ok((self, Contents { kind, values, report }))
            }
            Self::Published { mut opened, kind } => {
                let resize = kind.image != image;
                let options = LoadOptions { strict: false, resize };
                if resize && opened.architecture().starts_with("Swin") {
                    opened = opened.with_image(image);
                }
                let contents = opened.contents(options, device)?;
                contents.report.require_encoder(opened.path())?;
                Ok((Self::Published { opened, kind }, contents))
            }
        }
    }

    /// The SHA-256 of the weights.
    pub(super) fn checksum(&self) -> Result<String> {
        match self {
            Self::Run { weights, .. } => WeightsFile::open_burn(weights)?.checksum(),
            Self::Published { opened, .. } => opened.checksum(),
        }
    }

    /// How the source's images were normalized, if it says so.
    pub(super) fn statistics(&self) -> Result<Option<ChannelStatistics>> {
        match self {
            Self::Run { config, path, .. } => {
                let statistics = serde_json::from_value(config["statistics"].clone());
                let fault = |error| Error::checkpoint(path.join("config.json"), error);
                statistics.map(Some).map_err(fault)
            }
            Self::Published { opened, kind } => opened.statistics(kind.image.channels),
        }
    }

    /// Notes about the weights, line by line.
    pub(super) fn notes(&self, report: &LoadReport) -> Vec<String> {
        match self {
            Self::Run { notes, .. } => notes.clone(),
            Self::Published { opened, .. } => {
                let mut notes = report.lines(opened.path());
                notes.extend(opened.assumed().map(String::from));
                notes
            }
        }
    }
}

/// The images that the method of these numbers reads: those of its encoder, where they say so.
fn image_of(numbers: &Value) -> Option<ImageShape> {
    let fields = ["/encoder/image", "/encoder/sizes/image", "/encoder/encoder/image", "/image"];
    if let Some(clip) = clip_of(numbers) {
        return Some(clip);
    }
    let found = fields.iter().filter_map(|field| numbers.pointer(field));
    let mut found = found.filter_map(|image| serde_json::from_value(image.clone()).ok());
    found.next().or_else(|| {
        let nested = numbers.as_object()?.values();
        nested.filter_map(|field| serde_json::from_value(field["image"].clone()).ok()).next()
    })
}

/// The clips that the method of these numbers reads.
fn clip_of(numbers: &Value) -> Option<ImageShape> {
    let encoder = numbers.get("encoder")?;
    let clip: ClipShape = serde_json::from_value(encoder.get("clip")?.clone()).ok()?;
    let stride = encoder["stride"].as_u64().and_then(|stride| usize::try_from(stride).ok());
    Some(ImageShape { stride: stride.unwrap_or(1), ..clip.stacked() })
}

/// Replaces the images `from` of all parts by `to`, or the frames of clips.
fn replace_image(numbers: &mut Value, from: ImageShape, to: ImageShape) {
    let (from, to) = (from.frame(), to.frame());
    let same = |value: &Value| {
        serde_json::from_value::<ImageShape>(value.clone()).is_ok_and(|image| image == from)
    };
    match numbers {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if name == "image" && same(value) {
                    *value = serde_json::json!(to);
                } else {
                    replace_image(value, from, to);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| replace_image(value, from, to)),
        _ => {}
    }
}

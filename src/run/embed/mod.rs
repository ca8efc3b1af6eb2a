//! The features of any images, written as they are computed.

mod files;
mod rows;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::loaded::LoadedBackbone;
use super::new_folder::new_folder;
use crate::config::config;
use crate::data::{ChannelStatistics, ImageBatch, ImageCollate, ImageDataset, Loader, OnBadImage};
use crate::encoder::{Backbone, GridTokens};
use crate::error::{Error, Result, ensure};
use crate::eval::Pooling;
use crate::file::write_json;
use crate::train::{Interrupt, Ranks, weights_sha256};
use files::FeatureFiles;
use rows::{AboutRows, Rows};

/// What of an encoder's features is kept of each image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// The mean over all cells, `[images, width]`.
    #[default]
    Mean,
    /// The class token, `[images, width]`.
    ClassToken,
    /// Every cell, row by row, `[images, cells, width]`.
    Cells,
}

/// How the features of several layers become one array.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Joined {
    /// One after another in the last axis: `[images, layers · width]`, or `[images, cells, layers · width]`.
    #[default]
    Concatenated,
    /// In an axis of their own: `[images, layers, width]`, or `[images, layers, cells, width]`.
    Stacked,
}

/// The format of the features' file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureFormat {
    /// `features.npy`, and `labels.npy` where images have labels.
    #[default]
    Npy,
    /// `features.safetensors` with the tensors `features` and, where images have labels, `labels`.
    Safetensors,
    /// Both.
    Both,
}

config! {
    /// What is extracted of images, and how.
    #[derive(Debug, PartialEq)]
    pub struct Embed {
        /// What is kept of each image. Default: the mean over all cells
        pub kept: Kept = Kept::Mean,
        /// The layers whose features are kept, in this order: 0 for what goes into the first block,
        /// without a final norm. Default: none, which is the encoder's own features
        pub layers: Vec<usize> = Vec::new(),
        /// How the features of several layers become one array. Default: concatenated
        pub joined: Joined = Joined::Concatenated,
        /// The format. Default: npy
        pub format: FeatureFormat = FeatureFormat::Npy,
        /// What becomes of a file that cannot be read as an image. Default: it is an error
        pub on_bad_image: OnBadImage = OnBadImage::Error,
        /// Images per batch. Default: 32
        pub batch_size: usize = 32,
        /// Threads that read and prepare images ahead. Default: 1
        pub workers: usize = 1,
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Embedded {
    /// The shape of the features.
    pub shape: Vec<usize>,
    /// The faults of the images that were left out.
    pub skipped: Vec<String>,
    /// Images per second, files included.
    pub images_per_second: f64,
}

impl Embed {
    /// The features of `images` by `encoder`, in their order, in the new folder `out`:
    ///
    /// ```text
    /// features.npy           f32 [images, ...], see `Kept` and `Joined`
    /// features.safetensors   or this: the tensors `features`, and `labels`
    /// labels.npy             i64 [images], -1 where one has none; only where some have labels
    /// names.json             a list of the images' names, one for each row
    /// about.json             the encoder, the normalization, what is kept, the classes, what was left out
    /// ```
    ///
    /// Images are framed by [`LoadedBackbone::framing`] and normalized by the encoder's statistics,
    /// or else by `statistics`. Features go to disk batch by batch. The folder appears when all is
    /// in it: one that is stopped, or killed, leaves nothing under this name. `told` hears how many
    /// images are done.
    ///
    /// # Errors
    ///
    /// When there is something in `out` already, the encoder cannot give what is asked for, nobody
    /// knows how images are normalized, an image cannot be read, a file cannot be written, and when
    /// somebody asked to stop.
    pub fn run<B: Backbone + Clone>(
        &self,
        encoder: &LoadedBackbone<B>,
        images: &Arc<dyn ImageDataset>,
        out: &Path,
        options: EmbedOptions,
    ) -> Result<Embedded> {
        let done = self.run_by(&Ranks::default(), encoder, images, out, options)?;
        Ok(done.expect("a process that is alone is the first"))
    }

    /// The same by several processes that make the same call: each computes the features of every so
    /// many batches, and the first writes them all. It knows what was written.
    ///
    /// # Errors
    ///
    /// As [`Embed::run`]. A fault of one is one of all: on the others an [`Error::Process`].
    pub fn run_by<B: Backbone + Clone>(
        &self,
        ranks: &Ranks,
        encoder: &LoadedBackbone<B>,
        images: &Arc<dyn ImageDataset>,
        out: &Path,
        options: EmbedOptions,
    ) -> Result<Option<Embedded>> {
        let loader = self.validate_for(&encoder.backbone).and_then(|()| {
            let sizes = [self.batch_size, self.workers];
            encoder.images(images, options.statistics, self.on_bad_image, sizes, options.device)
        });
        let loader = ranks.together(loader)?;
        if ranks.ranks() > 1 {
            let facts = json!({"embed": self, "images": images.identity(),
                "weights": weights_sha256(&encoder.backbone)});
            ranks.agree("images, weights or settings", facts.to_string())?;
        }
        let numbers = (ranks.rank()..loader.batches()).step_by(ranks.ranks());
        let own = loader.part(0, numbers).map(|batch| {
            options.interrupt.check()?;
            self.rows(&encoder.backbone, batch?)
        });
        if !ranks.is_first() {
            ranks.together(Ok(()))?;
            return ranks.in_turns(own, |_| Ok(())).map(|()| None);
        }
        let mut begun = false;
        let done = new_folder(out, |folder| {
            begun = true;
            ranks.together(Ok(()))?;
            self.write(ranks, own, encoder, images, folder, &options)
        });
        // The others wait to hear whether there is a folder.
        if begun { done.map(Some) } else { ranks.together(done).map(Some) }
    }

    /// The features of a batch.
    fn rows<B: Backbone>(&self, encoder: &B, batch: ImageBatch) -> Result<Rows> {
        let ImageBatch { images, places, labels, faults } = batch;
        let features = images.map(|images| self.features(encoder, images)).transpose()?;
        let (shape, values) = features.unzip();
        let about = AboutRows { shape, places, labels, faults };
        Ok(Rows { about, values: values.unwrap_or_default() })
    }

    fn write<B: Backbone + Clone>(
        &self,
        ranks: &Ranks,
        own: impl Iterator<Item = Result<Rows>>,
        encoder: &LoadedBackbone<B>,
        images: &Arc<dyn ImageDataset>,
        folder: &Path,
        options: &EmbedOptions,
    ) -> Result<Embedded> {
        let started = Instant::now();
        let mut files: Option<FeatureFiles> = None;
        let (mut places, mut labels, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        ranks.in_turns(own, |Rows { about, values }| {
            skipped.extend(about.faults);
            labels.extend(about.labels);
            places.extend(about.places);
            let Some(shape) = about.shape else { return Ok(()) };
            let files = match &mut files {
                Some(files) => files,
                None => files.insert(FeatureFiles::new(folder, self.format, shape)?),
            };
            files.write(&values)?;
            (options.told)(places.len() + skipped.len());
            Ok(())
        })?;
        let Some(files) = files else {
            return Err(Error::config("none of the images can be read"));
        };
        let shape = files.finish(&labels)?;
        let names: Vec<String> = places.iter().map(|&place| images.name(place)).collect();
        write_json(&folder.join("names.json"), &names)?;
        let about = json!({
            "encoder": encoder.title, "image": encoder.image, "embed": self, "shape": shape,
            "statistics": encoder.statistics.as_ref().or(options.statistics),
            "framing": encoder.framing, "class_names": options.class_names, "skipped": skipped,
        });
        write_json(&folder.join("about.json"), &about)?;
        let images_per_second = places.len() as f64 / started.elapsed().as_secs_f64();
        Ok(Embedded { shape, skipped, images_per_second })
    }

    /// Checks that the encoder has what is asked for.
    fn validate_for<B: Backbone>(&self, encoder: &B) -> Result<()> {
        let layers = encoder.represented_layers();
        for layer in &self.layers {
            ensure!(
                layers > 0 && *layer <= layers,
                "the encoder ({}) has the layers 0 to {layers}, and layer {layer} is asked for",
                encoder.describe()
            );
        }
        ensure!(self.batch_size > 0, "the batch size must be at least 1, got 0");
        Ok(())
    }

    /// The features of a batch and the shape of those of one image.
    fn features<B: Backbone>(
        &self,
        encoder: &B,
        images: Tensor<4>,
    ) -> Result<(Vec<usize>, Vec<f32>)> {
        let layers = match self.layers.as_slice() {
            [] => vec![encoder.represent(images)],
            layers => encoder.represent_layers(images, layers),
        };
        match self.kept {
            Kept::Mean => self.join(layers, |layer| Pooling::Mean.of(layer)),
            Kept::ClassToken => self.join(layers, |layer| Pooling::ClassToken.of(layer)),
            Kept::Cells => self.join(layers, |layer| Ok(layer.tokens)),
        }
    }

    /// The arrays that `of` makes of each layer as one, the images first.
    fn join<const D: usize>(
        &self,
        layers: Vec<GridTokens>,
        of: impl Fn(GridTokens) -> Result<Tensor<D>>,
    ) -> Result<(Vec<usize>, Vec<f32>)> {
        let parts = layers.into_iter().map(of).collect::<Result<Vec<_>>>()?;
        let dims: Vec<_> = parts.iter().map(Tensor::dims).collect();
        let stacked = self.joined == Joined::Stacked && parts.len() > 1;
        let differs = |other: &[usize; D]| match stacked {
            true => *other != dims[0],
            false => other[..D - 1] != dims[0][..D - 1],
        };
        if let Some(other) = dims.iter().find(|other| differs(other)) {
            let [one, other] = [&dims[0][1..], &other[1..]];
            return Err(Error::config(format!(
                "the layers have features of different shapes, {one:?} and {other:?} an image: keep \
                 their means, concatenated, or ask for layers of one resolution"
            )));
        }
        let rows = dims[0][0];
        let mut shape = dims[0][1..].to_vec();
        if stacked {
            shape.insert(0, parts.len());
        } else if let Some(last) = shape.last_mut() {
            *last = dims.iter().map(|dims| dims[D - 1]).sum();
        }
        let flat = |part: Tensor<D>| {
            let each = part.dims()[1..].iter().product::<usize>();
            part.reshape([rows, each])
        };
        let data = match stacked {
            true => Tensor::cat(parts.into_iter().map(flat).collect(), 1).into_data(),
            false => Tensor::cat(parts, D - 1).into_data(),
        };
        Ok((shape, data.iter::<f32>().collect()))
    }
}

/// What an extraction needs besides the encoder and the images.
#[expect(missing_debug_implementations, reason = "holds a function")]
pub struct EmbedOptions<'a> {
    /// The device.
    pub device: &'a Device,
    /// How images are normalized where the encoder does not say it.
    pub statistics: Option<&'a ChannelStatistics>,
    /// The classes' names by label, for `about.json`.
    pub class_names: &'a [String],
    /// The flag by which others can stop it.
    pub interrupt: &'a Interrupt,
    /// Hears how many images are done.
    pub told: &'a dyn Fn(usize),
}

impl<B: Backbone + Clone> LoadedBackbone<B> {
    /// A loader of all `images` as the encoder reads them: framed by its [`framing`](Self::framing),
    /// normalized by its own statistics, or else by `statistics`. `sizes` are the images per batch
    /// and the threads that prepare them.
    ///
    /// # Errors
    ///
    /// When nobody knows how images are normalized; as [`Loader::new`].
    pub fn images(
        &self,
        images: &Arc<dyn ImageDataset>,
        statistics: Option<&ChannelStatistics>,
        on_bad_image: OnBadImage,
        sizes: [usize; 2],
        device: &Device,
    ) -> Result<Loader<ImageCollate>> {
        let statistics = self.statistics.as_ref().or(statistics).ok_or_else(|| {
            Error::config(
                "no preprocessor_config.json says how the encoder's images are normalized: give a \
                 mean and a standard deviation (--mean, --std)",
            )
        })?;
        let collate = ImageCollate::new(self.image, self.framing, statistics)?;
        collate.loader(images.clone(), on_bad_image, sizes, device)
    }
}

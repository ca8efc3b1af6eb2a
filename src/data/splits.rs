//! A source's splits, and what opening them makes of them.

use std::fmt;
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use md5::{Digest, Md5};

use crate::data::LabelMap;
use crate::data::loader::{Collate, Loader, LoaderConfig};
use crate::data::options::{Channels, DataOptions, OnBadImage, OpenProgress, OpenStep};
use crate::data::sample::{ImageDataset, Sample, SampleFile, data_error};
use crate::data::statistics::Look;
use crate::data::subset::Subset;
use crate::data::{BadImage, DataSpec};
use crate::error::{Error, Result};
use crate::file::hex;
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;

/// An opened data source: its splits and what is known of them.
///
/// The splits are plain burn data sets that say their labels, so any [`ImageDataset`] of yours
/// takes their place.
#[derive(Clone)]
pub struct ImageData {
    /// What to train on.
    pub train: Arc<dyn ImageDataset>,
    /// What to validate and test on.
    pub test: Arc<dyn ImageDataset>,
    /// The shape of the images; if sizes differ (in a folder), the shape of the first one.
    pub shape: ImageShape,
    /// The classes' names by label; empty in unlabelled data.
    pub class_names: Vec<String>,
    /// Classes of the test split that the training split lacks; their images have no label.
    pub unknown_classes: Vec<String>,
    /// Normalization statistics of the training split.
    pub statistics: ChannelStatistics,
    /// A hash of what tells this data from other data: of a folder the names and sizes of its
    /// files, of data in memory the values. It depends on no path and on none of the options.
    pub identity: String,
    /// How it was opened, with the number of channels that was found.
    pub options: DataOptions,
    /// What was opened; `None` of data sets in memory.
    pub origin: Option<DataSpec>,
    /// What is worth saying of it, a line each.
    pub notes: Vec<String>,
}

impl ImageData {
    /// The two splits as [`Splits::open`] opens them with the default options.
    ///
    /// # Errors
    ///
    /// As [`Splits::open`].
    pub fn new(
        train: Arc<dyn ImageDataset>,
        test: Arc<dyn ImageDataset>,
        class_names: Vec<String>,
    ) -> Result<Self> {
        Splits::new(train, test, class_names).open(&DataOptions::default(), &mut |_| {})
    }

    /// A loader of `split`, one of the two or a part of one; in training its order is within the window
    /// of shards that the data was opened with ([`DataOptions::shuffle_window`]).
    ///
    /// # Errors
    ///
    /// As [`Loader::new`].
    pub fn loader<C: Collate<Sample = Sample>>(
        &self,
        split: &Arc<dyn ImageDataset>,
        collate: C,
        config: LoaderConfig,
        device: &Device,
    ) -> Result<Loader<C>> {
        let loader = Loader::new(split.clone(), collate, config, device)?;
        match (self.options.shuffle_window, split.shards()) {
            (Some(window), Some(shards)) => loader.in_windows(&shards, window),
            _ => Ok(loader),
        }
    }
}

impl fmt::Debug for ImageData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageData")
            .field("train", &self.train.len())
            .field("test", &self.test.len())
            .field("shape", &self.shape)
            .field("class_names", &self.class_names)
            .field("statistics", &self.statistics)
            .field("identity", &self.identity)
            .field("options", &self.options)
            .finish()
    }
}

/// A training and a test split, before any image is read.
#[derive(Clone)]
pub struct Splits {
    /// What to train on.
    pub train: Arc<dyn ImageDataset>,
    /// What to validate and test on.
    pub test: Arc<dyn ImageDataset>,
    /// The classes' names by label; empty in unlabelled data.
    pub class_names: Vec<String>,
    /// Classes of the test split that the training split lacks; their images have no label.
    pub unknown_classes: Vec<String>,
    /// What is worth saying of them, a line each.
    pub notes: Vec<String>,
    /// How many shards are shuffled together where the options do not say it.
    pub(crate) window: Option<usize>,
    /// How many training images are looked at for channels and statistics.
    pub(crate) looked_at: usize,
}

impl Splits {
    /// How many samples the statistics are measured on.
    const STATISTICS_SAMPLES: usize = 1024;

    /// The splits `train` and `test` with classes of these names.
    pub fn new(
        train: Arc<dyn ImageDataset>,
        test: Arc<dyn ImageDataset>,
        class_names: Vec<String>,
    ) -> Self {
        let (notes, looked_at) = (Vec::new(), Self::STATISTICS_SAMPLES);
        let unknown_classes = Vec::new();
        Self { train, test, class_names, unknown_classes, notes, window: None, looked_at }
    }

    /// Takes the training images that are asked for, and looks at up to 1024 of them, evenly
    /// spaced, each once, for the shape of the first, the number of channels and the statistics.
    /// `progress` hears how many have been looked at.
    ///
    /// # Errors
    ///
    /// When a split is empty, an option is broken, or an image that is looked at cannot be read or
    /// cannot be brought to the channels of the others.
    pub fn open(
        self,
        options: &DataOptions,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<ImageData> {
        self.open_with(options, None, progress)
    }

    /// Opens the splits as [`Splits::open`] does, with known statistics, such as the statistics of
    /// a run that is resumed. Only the first image is read.
    ///
    /// # Errors
    ///
    /// As [`Splits::open`].
    pub fn open_measured(
        self,
        options: &DataOptions,
        statistics: ChannelStatistics,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<ImageData> {
        self.open_with(options, Some(statistics), progress)
    }

    /// What tells these splits from others, as [`ImageData::identity`] says it.
    pub(crate) fn identity(&self) -> String {
        identity(&*self.train, &*self.test, &self.class_names)
    }

    fn open_with(
        self,
        options: &DataOptions,
        statistics: Option<ChannelStatistics>,
        progress: &mut dyn FnMut(OpenProgress),
    ) -> Result<ImageData> {
        options.validate()?;
        let Self { mut train, test, class_names, unknown_classes, mut notes, window, looked_at } =
            self;
        if train.is_empty() || test.is_empty() {
            return Err(Error::config(format!(
                "both splits must hold images; there are {} to train and {} to test on",
                train.len(),
                test.len()
            )));
        }
        let identity = identity(&*train, &*test, &class_names);
        if let Some(count) = options.train_images {
            if count > train.len() {
                let there = train.len();
                notes.push(format!("{count} training images were asked for, there are {there}"));
            }
            train = Arc::new(Subset::balanced(train, count, options.subset_seed)?);
        }
        let look = match statistics {
            Some(statistics) => Look::known(&*train, statistics, options)?,
            None => Look::at(&*train, looked_at, options, &mut |done, total| {
                let (done, total) = (done as u64, Some(total as u64));
                progress(OpenProgress { step: OpenStep::Measure, done, total });
            })?,
        };
        notes.extend(note(&look));
        notes.extend(train.notes());
        let channels = look.shape.channels;
        let reference = train.name(look.reference);
        let bring = |images: Arc<dyn ImageDataset>| -> Arc<dyn ImageDataset> {
            let (options, reference) = (options.clone(), reference.clone());
            Arc::new(Brought { images, channels, reference, options })
        };
        Ok(ImageData {
            train: bring(train),
            test: bring(test),
            shape: look.shape,
            class_names,
            unknown_classes,
            statistics: look.statistics,
            identity,
            options: options
                .clone()
                .with_channels(Channels::Exactly(channels))
                .with_shuffle_window(options.shuffle_window.or(window)),
            origin: None,
            notes,
        })
    }
}

impl fmt::Debug for Splits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splits")
            .field("train", &self.train.len())
            .field("test", &self.test.len())
            .field("class_names", &self.class_names)
            .finish()
    }
}

/// What to say of the images that were looked at, where it is not what one would think.
fn note(look: &Look) -> Vec<String> {
    let mut notes = Vec::new();
    if look.converted > 0 {
        let [is, to] = if look.shape.channels == 1 { ["color", "gray"] } else { ["gray", "color"] };
        notes.push(format!(
            "{} of the {} training images looked at are {is} and are converted to {to}",
            look.converted, look.images
        ));
    }
    if look.bad > 0 {
        let all = look.images + look.bad;
        notes.push(format!(
            "{} of the {all} training images looked at cannot be read and are skipped",
            look.bad
        ));
    }
    notes
}

fn identity(train: &dyn ImageDataset, test: &dyn ImageDataset, class_names: &[String]) -> String {
    let mut hash = Md5::new();
    for part in [&[train.identity(), test.identity()], class_names].concat() {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// A data set whose images are brought to one number of channels, and to the depth that is asked for.
struct Brought {
    images: Arc<dyn ImageDataset>,
    channels: usize,
    /// An image that has so many.
    reference: String,
    options: DataOptions,
}

impl Dataset<Sample> for Brought {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        let read = self.images.get(index).map_err(|error| match self.options.on_bad_image {
            OnBadImage::Skip => DatasetError::new(BadImage(data_error(index, error))),
            OnBadImage::Error => error,
        });
        let Sample { image, label } = read?;
        if !image.can_have_channels(self.channels) {
            let reason = format!(
                "has {} channels, but the data set has {} (as {}); convert or remove it",
                image.shape().channels,
                self.channels,
                self.reference
            );
            return Err(DatasetError::new(Error::data(self.name(index), reason)));
        }
        let image = self.options.deep(image).with_channels(self.channels);
        let image = image.map_err(DatasetError::new)?;
        Ok(Sample { image, label })
    }

    fn len(&self) -> usize {
        self.images.len()
    }
}

impl ImageDataset for Brought {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        self.images.label(index)
    }

    fn label_map(&self, index: usize) -> Result<Option<LabelMap>> {
        self.images.label_map(index)
    }

    fn file(&self, index: usize) -> Result<Option<SampleFile>> {
        self.images.file(index)
    }

    fn shards(&self) -> Option<Vec<usize>> {
        self.images.shards()
    }

    fn name(&self, index: usize) -> String {
        self.images.name(index)
    }

    fn identity(&self) -> String {
        self.images.identity()
    }
}

#[cfg(test)]
#[path = "splits_tests.rs"]
mod tests;

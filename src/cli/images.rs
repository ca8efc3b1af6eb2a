//! The flags by which commands take images that are only looked at.

use std::path::PathBuf;
use std::sync::Arc;

use super::data;
use super::exit::say;
use crate::data::source::ImageList;
use crate::data::{ChannelStatistics, Channels, DataOptions, DataSpec, ImageDataset, OnBadImage};
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// Which images a command looks at.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(about = None, long_about = None)]
pub(super) struct Images {
    /// A folder, with every image below it, or one image; no labels
    #[arg(long, value_name = "PATH", required_unless_present = "data", conflicts_with = "data")]
    images: Option<PathBuf>,
    /// shapes | moving-shapes | cifar10[:DIR] | cifar100[:DIR] | idx:DIR | folder:DIR | clips:DIR | tar:DIR | parquet:DIR, with labels, in place of --images
    #[arg(long, value_parser = data::spec())]
    data: Option<DataSpec>,
    /// train | test: the split of --data
    #[arg(long, default_value = "test", value_parser = ["train", "test"])]
    split: String,
    /// error | skip: what becomes of a file that cannot be read as an image
    #[arg(long, default_value_t)]
    pub(super) on_bad_image: OnBadImage,
    /// Threads that read and prepare images ahead
    #[arg(long, default_value_t = 1, value_parser = super::numbers::workers)]
    pub(super) workers: usize,
    /// Images per batch
    #[arg(long, default_value_t = 32, value_parser = super::numbers::positive)]
    pub(super) batch_size: usize,
}

/// The images, with what is known of them.
pub(super) struct Opened {
    pub(super) images: Arc<dyn ImageDataset>,
    pub(super) class_names: Vec<String>,
    /// The statistics of the training images, where there are some.
    pub(super) statistics: Option<ChannelStatistics>,
}

impl Images {
    /// Opens them for a reader of `image`; with known `statistics` none are measured.
    pub(super) fn open(
        &self,
        image: ImageShape,
        statistics: Option<&ChannelStatistics>,
    ) -> Result<Opened> {
        if let Some(spec) = &self.data {
            let options = DataOptions::default()
                .with_channels(Channels::Exactly(image.channels))
                .with_on_bad_image(self.on_bad_image)
                .holding(spec, image);
            let data = data::open(spec, &options, statistics.cloned())?;
            let images = if self.split == "train" { data.train } else { data.test };
            let statistics = Some(data.statistics);
            return Ok(Opened { images, class_names: data.class_names, statistics });
        }
        let path = self.images.as_ref();
        let path = path.ok_or_else(|| Error::config("give images by --images or --data"))?;
        if image.frames > 1 {
            return Err(Error::config("clips are given by --data clips:DIR, not by --images"));
        }
        let list = ImageList::of(path, self.on_bad_image)?;
        for note in list.notes() {
            say(format_args!("note: {note}"));
        }
        Ok(Opened { images: Arc::new(list), class_names: Vec::new(), statistics: None })
    }
}

/// Says which images were left out, the first ones by name.
pub(super) fn say_skipped(skipped: &[String]) {
    const NAMED: usize = 20;
    skipped.iter().take(NAMED).for_each(|fault| say(format_args!("left out: {fault}")));
    if skipped.len() > NAMED {
        say(format_args!("... and {} more", skipped.len() - NAMED));
    }
}

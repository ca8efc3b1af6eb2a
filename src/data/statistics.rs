//! Channel statistics, measured instead of copied from a table.

use std::collections::BTreeMap;

use burn::data::dataset::Dataset;

use crate::data::options::{Channels, DataOptions, OnBadImage};
use crate::data::sample::{ImageDataset, Sample, data_error};
use crate::data::scan::scan;
use crate::data::sums::Sums;
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;

/// How many pixels are read for statistics, if they are enough for [`LEAST_IMAGES`].
const MOST_PIXELS: usize = 512 << 20;
/// How many images are read however large they are.
const LEAST_IMAGES: usize = 64;

impl ChannelStatistics {
    /// Mean and (population) standard deviation of each channel over `samples` evenly spaced
    /// samples of `dataset`, or over all of them when there are no more than that; over fewer, but
    /// no fewer than 64, where so many images of the first one's size have more than 512 megapixels.
    ///
    /// Values are those that a network reads before normalization ([`Image::values`](crate::data::Image::values)). Every pixel
    /// counts the same, so in data of mixed sizes larger images weigh more. The result does not
    /// depend on the number of threads. The standard deviation is never below one step of the
    /// values, such as 1/255.
    ///
    /// # Errors
    ///
    /// When the data set is empty, `samples` is 0, a sample cannot be read, or the samples differ
    /// in their number of channels.
    pub fn of(dataset: &dyn Dataset<Sample>, samples: usize) -> Result<Self> {
        let tally = Tally::of(dataset, samples, &DataOptions::default(), &mut |_, _| {})?;
        let mut kinds: Vec<_> =
            tally.kinds.iter().map(|(&channels, kind)| (kind, channels)).collect();
        kinds.sort_unstable_by_key(|(kind, _)| kind.first);
        if let [(first, one), (second, other), ..] = kinds.as_slice() {
            let reason = format!("has {other} channels, sample {} has {one}", first.first);
            return Err(Error::data(format!("sample {}", second.first), reason));
        }
        Ok(Self::of_sums(&kinds[0].0.sums))
    }

    fn of_sums(channels: &[Sums]) -> Self {
        Self {
            mean: channels.iter().map(|sums| sums.mean() as f32).collect(),
            std: channels.iter().map(|sums| sums.std() as f32).collect(),
        }
    }
}

/// Facts about a training split from reading some of its images, each once.
#[derive(Debug)]
pub(crate) struct Look {
    /// The first image's height and width, and the channels that all images are brought to.
    pub(crate) shape: ImageShape,
    /// The statistics of the images after conversion to those channels.
    pub(crate) statistics: ChannelStatistics,
    /// How many images were read.
    pub(crate) images: usize,
    /// How many of them were gray (one channel) and are converted to color, or the other way round.
    pub(crate) converted: usize,
    /// How many of them could not be read and were left out.
    pub(crate) bad: usize,
    /// The first image that has the common number of channels, or else the first of all.
    pub(crate) reference: usize,
}

impl Look {
    /// Reads `samples` evenly spaced samples of `dataset`, or all if there are no more. `progress`
    /// is called with the number that is done and the number that is to do.
    ///
    /// # Errors
    ///
    /// When the data set is empty, an image cannot be read, or two images cannot be brought to one
    /// number of channels; names them.
    pub(crate) fn at(
        dataset: &dyn ImageDataset,
        samples: usize,
        options: &DataOptions,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let tally = Tally::of(dataset, samples, options, progress)?;
        let channels = tally.channels(dataset, options.channels)?;
        let images = tally.kinds.values().map(|kind| kind.images).sum();
        let own = tally.kinds.get(&channels);
        let mut sums = vec![Sums::default(); channels];
        for kind in tally.kinds.values() {
            for (channel, sums) in sums.iter_mut().enumerate() {
                // A gray image has the same values in every channel.
                sums.merge(&kind.sums[channel % kind.sums.len()]);
            }
        }
        Ok(Self {
            shape: ImageShape { channels, ..tally.first },
            statistics: ChannelStatistics::of_sums(&sums),
            images,
            converted: tally.converted + images - own.map_or(0, |kind| kind.images),
            bad: tally.bad,
            reference: own.map_or(0, |kind| kind.first),
        })
    }

    /// Reads the first image of `dataset` that can be read, for its shape alone.
    pub(crate) fn known(
        dataset: &dyn ImageDataset,
        statistics: ChannelStatistics,
        options: &DataOptions,
    ) -> Result<Self> {
        let channels = statistics.mean.len();
        if let Channels::Exactly(wanted) = options.channels
            && wanted != channels
        {
            return Err(Error::config(format!(
                "the run's statistics are of {channels} channels, {wanted} were asked for"
            )));
        }
        for index in 0..dataset.len() {
            match dataset.get(index) {
                Ok(Sample { image, .. }) => {
                    let shape = ImageShape { channels, ..image.shape() };
                    let reference = index;
                    return Ok(Self {
                        shape,
                        statistics,
                        images: 1,
                        converted: 0,
                        bad: 0,
                        reference,
                    });
                }
                Err(_) if options.on_bad_image == OnBadImage::Skip => {}
                Err(error) => return Err(data_error(index, error)),
            }
        }
        Err(Error::config(format!("none of {} images can be read", dataset.len())))
    }
}

/// Sums over images, separately for each number of channels.
#[derive(Debug)]
struct Tally {
    first: ImageShape,
    kinds: BTreeMap<usize, Kind>,
    converted: usize,
    bad: usize,
}

/// The images with one number of channels.
#[derive(Debug)]
struct Kind {
    /// The first of these images.
    first: usize,
    images: usize,
    sums: Vec<Sums>,
}

impl Tally {
    fn of(
        dataset: &dyn Dataset<Sample>,
        samples: usize,
        options: &DataOptions,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let wanted = dataset.len().min(samples);
        progress(0, wanted);
        let look = |index| Seen::at(dataset, index, options);
        let is_fault = |seen: &Seen| matches!(seen, Seen::Fault(_));
        // The size of the first image decides how many more are read.
        let head = (wanted > 0).then(|| look(0));
        let places = places(dataset.len(), wanted, head.as_ref().and_then(Seen::shape));
        let rest = match &head {
            Some(head) if !is_fault(head) => &places[1..],
            _ => &[],
        };
        let rest = scan(rest, look, is_fault, &mut |done| progress(done + 1, places.len()));
        let (mut first, mut kinds) = (None, BTreeMap::<usize, Kind>::new());
        let (mut converted, mut bad) = (0, 0);
        for (index, seen) in places.into_iter().zip(head.into_iter().chain(rest)) {
            match seen {
                Seen::Fault(error) => return Err(error),
                Seen::Bad => bad += 1,
                Seen::Image { native, shape, sums } => {
                    converted += usize::from(shape.channels != native);
                    first.get_or_insert(shape);
                    kinds
                        .entry(shape.channels)
                        .or_insert_with(|| Kind::new(index, shape))
                        .add(&sums);
                }
            }
        }
        let Some(first) = first else {
            let reason = if bad > 0 { ": none of those looked at can be read" } else { "" };
            return Err(Error::config(format!(
                "no statistics can be taken of {samples} samples of a data set of {}{reason}",
                dataset.len()
            )));
        };
        Ok(Self { first, kinds, converted, bad })
    }

    /// The channels that all images are brought to.
    fn channels(&self, dataset: &dyn ImageDataset, wanted: Channels) -> Result<usize> {
        let kinds = || self.kinds.iter().map(|(&channels, kind)| (channels, kind.first));
        let channels = match wanted {
            Channels::Exactly(channels) => channels,
            // Gray counts least, so that a single color image decides.
            Channels::Auto if kinds().len() > 1 => {
                kinds().find(|&(channels, _)| channels != 1).map_or(1, |(channels, _)| channels)
            }
            Channels::Auto => kinds().next().map_or(1, |(channels, _)| channels),
        };
        let fits = |has: usize| has == channels || matches!((has, channels), (1, 3) | (3, 1));
        let Some((other, culprit)) = kinds().find(|&(has, _)| !fits(has)) else {
            return Ok(channels);
        };
        let like = match kinds().find(|&(has, _)| has == channels) {
            Some((_, like)) => format!("{} has {channels}", dataset.name(like)),
            None => format!("{channels} were asked for"),
        };
        let reason = format!(
            "has {other} channels, but {like}; only gray (1) and color (3) are converted into each \
             other, so keep such images apart or set the channels"
        );
        Err(Error::data(dataset.name(culprit), reason))
    }
}

impl Kind {
    fn new(first: usize, shape: ImageShape) -> Self {
        Self { first, images: 0, sums: vec![Sums::default(); shape.channels] }
    }

    fn add(&mut self, image: &[Sums]) {
        self.images += 1;
        self.sums.iter_mut().zip(image).for_each(|(sums, of_image)| sums.merge(of_image));
    }
}

/// The result of reading one image.
enum Seen {
    Image {
        /// The channels in the file.
        native: usize,
        shape: ImageShape,
        sums: Vec<Sums>,
    },
    /// The image cannot be read, and may be left out.
    Bad,
    Fault(Error),
}

impl Seen {
    fn shape(&self) -> Option<ImageShape> {
        match self {
            Self::Image { shape, .. } => Some(*shape),
            Self::Bad | Self::Fault(_) => None,
        }
    }

    fn at(dataset: &dyn Dataset<Sample>, index: usize, options: &DataOptions) -> Self {
        let image = match dataset.get(index) {
            Ok(sample) => options.deep(sample.image),
            Err(_) if options.on_bad_image == OnBadImage::Skip => return Self::Bad,
            Err(error) => return Self::Fault(data_error(index, error)),
        };
        let native = image.shape().channels;
        let image = match options.channels {
            Channels::Exactly(channels) if image.can_have_channels(channels) => {
                image.with_channels(channels)
            }
            _ => Ok(image),
        };
        match image {
            Ok(image) => {
                let shape = image.shape();
                Self::Image { native, shape, sums: Sums::of(&image) }
            }
            Err(error) => Self::Fault(error),
        }
    }
}

/// Evenly spaced places among `len`, at most `wanted`. Images of the size of `first` are limited to
/// `MOST_PIXELS` together, but to no fewer than 64 images.
fn places(len: usize, wanted: usize, first: Option<ImageShape>) -> Vec<usize> {
    let read = match first {
        Some(ImageShape { height, width, .. }) => {
            wanted.min((MOST_PIXELS / (height * width).max(1)).max(LEAST_IMAGES))
        }
        None => wanted,
    };
    (0..read).map(|nth| nth * len / read).collect()
}

#[cfg(test)]
#[path = "statistics_tests.rs"]
mod tests;

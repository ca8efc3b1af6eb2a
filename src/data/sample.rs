//! What a data set yields: an image and, where there is one, its label.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};

use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// A planar 8-bit image: `channels` planes of `height` × `width`, values 0..=255.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    shape: ImageShape,
    pixels: Vec<u8>,
}

impl Image {
    /// An image of `shape` from planar `pixels` (`[channels][height][width]`).
    ///
    /// # Errors
    ///
    /// When the number of values is not that of the shape.
    pub fn new(shape: ImageShape, pixels: Vec<u8>) -> Result<Self> {
        if pixels.len() != shape.values() {
            return Err(Error::config(format!(
                "an image of {shape} holds {} values, got {}",
                shape.values(),
                pixels.len()
            )));
        }
        Ok(Self { shape, pixels })
    }

    /// Channels, height and width.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// All values, planar.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// One channel's values, row-major.
    pub fn plane(&self, channel: usize) -> &[u8] {
        let area = self.shape.height * self.shape.width;
        &self.pixels[channel * area..][..area]
    }
}

/// One item of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The image, of any size the data set has.
    pub image: Image,
    /// Its class, an index into [`ImageData::class_names`]; `None` in unlabelled data.
    pub label: Option<usize>,
}

/// Mean and standard deviation of each channel, in units of the full range (0 = black, 1 = white).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ChannelStatistics {
    /// Mean per channel.
    pub mean: Vec<f32>,
    /// Standard deviation per channel, never 0.
    pub std: Vec<f32>,
}

impl ChannelStatistics {
    /// Those that leave pixels in [0, 1] as they are: what tokenizers read.
    pub fn none(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], std: vec![1.0; channels] }
    }
}

/// An opened data source: its splits and what is known of them.
///
/// The splits are plain burn data sets, so any `Dataset<Sample>` of yours takes their place.
#[derive(Clone)]
pub struct ImageData {
    /// What to train on.
    pub train: Arc<dyn Dataset<Sample>>,
    /// What to validate and test on.
    pub test: Arc<dyn Dataset<Sample>>,
    /// The shape of the images; where sizes differ (a folder), that of the first one.
    pub shape: ImageShape,
    /// The classes' names by label; empty in unlabelled data.
    pub class_names: Vec<String>,
    /// Normalisation statistics of the training split.
    pub statistics: ChannelStatistics,
}

impl ImageData {
    /// How many samples the statistics are measured on.
    const STATISTICS_SAMPLES: usize = 1024;

    /// The two splits with the shape of the first training image and statistics measured on up to
    /// 1024 evenly spaced training images.
    ///
    /// # Errors
    ///
    /// When a split is empty, or a training image that is looked at cannot be read or differs from
    /// the first one in its number of channels.
    pub fn new(
        train: Arc<dyn Dataset<Sample>>,
        test: Arc<dyn Dataset<Sample>>,
        class_names: Vec<String>,
    ) -> Result<Self> {
        if train.is_empty() || test.is_empty() {
            return Err(Error::config(format!(
                "both splits must hold images; there are {} to train and {} to test on",
                train.len(),
                test.len()
            )));
        }
        let shape = train.get(0).map_err(|error| data_error(0, error))?.image.shape();
        let statistics = ChannelStatistics::of(&*train, Self::STATISTICS_SAMPLES)?;
        Ok(Self { train, test, shape, class_names, statistics })
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
            .finish()
    }
}

/// The fault of reading sample `index`: this crate's own error as it was, a foreign one with the
/// sample's number.
pub(crate) fn data_error(index: usize, error: DatasetError) -> Error {
    match error.source().and_then(|source| source.downcast_ref()) {
        Some(Error::Data { path, reason }) => Error::data(path, reason),
        _ => Error::data(format!("sample {index}"), error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::MemoryDataset;

    #[test]
    fn opened_data_measures_its_training_split() {
        let shape = ImageShape::square(1, 1);
        let split = |pixels| Arc::new(MemoryDataset::new(shape, pixels, None).unwrap());
        let data = ImageData::new(split(vec![0, 255]), split(vec![9]), vec![]).unwrap();
        assert_eq!((data.shape, data.statistics.mean[0]), (shape, 0.5));
        assert!(format!("{data:?}").starts_with("ImageData { train: 2, test: 1, shape:"));
        let message = ImageData::new(split(vec![0]), split(vec![]), vec![]).unwrap_err();
        assert!(message.to_string().contains("there are 1 to train and 0 to test on"));
    }

    #[test]
    fn a_fault_keeps_its_file_and_a_foreign_one_gets_the_sample() {
        let own = DatasetError::new(Error::data("a.png", "is cut"));
        assert_eq!(data_error(3, own).to_string(), "a.png: is cut");
        let foreign = DatasetError::new(std::io::Error::other("on fire"));
        assert_eq!(data_error(3, foreign).to_string(), "sample 3: on fire");
    }
}

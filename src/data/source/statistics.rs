//! Channel statistics, measured instead of copied from a table.

use burn::data::dataset::Dataset;

use crate::data::sample::{ChannelStatistics, Sample, data_error};
use crate::error::{Error, Result};

/// The smallest standard deviation reported, one step of 8-bit values: dividing by it is safe.
const LEAST_STD: f64 = 1.0 / 255.0;

impl ChannelStatistics {
    /// Mean and (population) standard deviation of each channel over `samples` evenly spaced
    /// samples of `dataset`, or over all of them when there are no more than that.
    ///
    /// Every pixel counts the same, so in data of mixed sizes larger images weigh more. The sums
    /// are whole numbers: the result does not depend on any order of addition. The standard
    /// deviation is never below 1/255.
    ///
    /// # Errors
    ///
    /// When the data set is empty, `samples` is 0, a sample cannot be read, or the samples differ
    /// in their number of channels.
    pub fn of(dataset: &dyn Dataset<Sample>, samples: usize) -> Result<Self> {
        let read = dataset.len().min(samples);
        if read == 0 {
            return Err(Error::config(format!(
                "no statistics can be taken of {samples} samples of a data set of {}",
                dataset.len()
            )));
        }
        let mut channels: Vec<Sums> = Vec::new();
        for nth in 0..read {
            let index = nth * dataset.len() / read;
            let image = dataset.get(index).map_err(|error| data_error(index, error))?.image;
            let found = image.shape().channels;
            if nth == 0 {
                channels = vec![Sums::default(); found];
            } else if found != channels.len() {
                let reason = format!("has {found} channels, sample 0 has {}", channels.len());
                return Err(Error::data(format!("sample {index}"), reason));
            }
            for (channel, sums) in channels.iter_mut().enumerate() {
                sums.add(image.plane(channel));
            }
        }
        Ok(Self {
            mean: channels.iter().map(|sums| sums.mean() as f32).collect(),
            std: channels.iter().map(|sums| sums.std() as f32).collect(),
        })
    }
}

/// Exact sums over the 8-bit values of one channel.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: u64,
    values: u64,
    squares: u64,
}

impl Sums {
    fn add(&mut self, plane: &[u8]) {
        self.count += plane.len() as u64;
        for &value in plane {
            self.values += u64::from(value);
            self.squares += u64::from(value).pow(2);
        }
    }

    fn mean(&self) -> f64 {
        self.values as f64 / self.count as f64 / 255.0
    }

    fn std(&self) -> f64 {
        let square = self.squares as f64 / self.count as f64 / 255.0_f64.powi(2);
        (square - self.mean().powi(2)).max(0.0).sqrt().max(LEAST_STD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sample::Image;
    use crate::data::source::MemoryDataset;
    use crate::grid::ImageShape;

    fn set(shape: ImageShape, pixels: &[u8]) -> MemoryDataset {
        MemoryDataset::new(shape, pixels.to_vec(), None).unwrap()
    }

    #[test]
    fn two_channels_are_measured_apart() {
        let data = set(ImageShape::new(2, 1, 2), &[0, 255, 51, 51, 0, 255, 153, 153]);
        let statistics = ChannelStatistics::of(&data, 10).unwrap();
        assert_eq!(statistics.mean, [0.5, 0.4]);
        assert_eq!(statistics.std, [0.5, 0.2]);
    }

    #[test]
    fn a_constant_channel_has_the_least_std() {
        let data = set(ImageShape::square(1, 2), &[255; 4]);
        let statistics = ChannelStatistics::of(&data, 10).unwrap();
        assert_eq!((statistics.mean[0], statistics.std[0]), (1.0, 1.0 / 255.0));
    }

    #[test]
    fn fewer_samples_are_spaced_evenly() {
        let data = set(ImageShape::square(1, 1), &[255, 0, 0, 0, 0, 0]);
        assert_eq!(ChannelStatistics::of(&data, 2).unwrap().mean, [0.5]);
        let data = set(ImageShape::square(1, 1), &[255, 0, 0, 255, 0, 0]);
        assert_eq!(ChannelStatistics::of(&data, 2).unwrap().mean, [1.0]);
    }

    #[test]
    fn nothing_has_no_statistics() {
        let empty = set(ImageShape::square(1, 1), &[]);
        assert!(ChannelStatistics::of(&empty, 5).is_err());
        let one = set(ImageShape::square(1, 1), &[1]);
        let message = ChannelStatistics::of(&one, 0).unwrap_err().to_string();
        assert!(message.contains("0 samples of a data set of 1"), "{message}");
    }

    #[test]
    fn samples_of_other_channels_are_an_error() {
        let sample = |channels| {
            let image = Image::new(ImageShape::square(channels, 1), vec![0; channels]).unwrap();
            Sample { image, label: None }
        };
        let mixed = burn::data::dataset::InMemDataset::new(vec![sample(3), sample(1)]);
        let message = ChannelStatistics::of(&mixed, 2).unwrap_err().to_string();
        assert_eq!(message, "sample 1: has 1 channels, sample 0 has 3");
    }
}

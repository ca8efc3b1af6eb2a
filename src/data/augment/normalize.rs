//! From the values of an image to what a network reads.

use std::sync::Arc;

use crate::data::{Image, Pixels};
use crate::error::Result;
use crate::image::ChannelStatistics;

/// Turns values into `(value - mean) / std`; 8-bit values, divided by 255, by one look-up a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    tables: Arc<[[f32; 256]]>,
    statistics: ChannelStatistics,
}

impl Normalization {
    /// The normalization by each channel's mean and standard deviation.
    ///
    /// # Errors
    ///
    /// When there are not as many standard deviations as means or none at all, or one of them is not
    /// of values from 0 to 1.
    pub fn new(statistics: &ChannelStatistics) -> Result<Self> {
        statistics.check_values()?;
        let ChannelStatistics { mean, std } = statistics;
        let tables = mean.iter().zip(std).map(|(mean, std)| table(*mean, *std)).collect();
        Ok(Self { tables, statistics: statistics.clone() })
    }

    /// How many channels an image must have.
    pub fn channels(&self) -> usize {
        self.tables.len()
    }

    /// The normalized value of each byte, of each channel.
    pub(crate) fn tables(&self) -> &[[f32; 256]] {
        &self.tables
    }

    /// Writes the normalized values of one planar 8-bit image to `out`.
    ///
    /// # Shapes
    ///
    /// - pixels, out: `[channels * height * width]`
    ///
    /// # Panics
    ///
    /// When the lengths differ or are no multiple of the channels.
    pub fn write(&self, pixels: &[u8], out: &mut [f32]) {
        assert_eq!(pixels.len(), out.len(), "as many values are written as are read");
        let area = self.area(pixels.len());
        let planes = pixels.chunks_exact(area).zip(out.chunks_exact_mut(area));
        for ((pixels, out), table) in planes.zip(self.tables.iter()) {
            for (value, out) in pixels.iter().zip(out) {
                *out = table[usize::from(*value)];
            }
        }
    }

    /// Writes the normalized values of `image`, of whatever type, to `out`.
    ///
    /// # Panics
    ///
    /// As [`Normalization::write`].
    pub fn write_image(&self, image: &Image, out: &mut [f32]) {
        match image.pixels() {
            Pixels::U8(values) => self.write(values, out),
            Pixels::U16(_) | Pixels::F32(_) => {
                out.copy_from_slice(&image.values());
                self.apply(out);
            }
        }
    }

    /// Normalizes the values of one planar image in place.
    ///
    /// # Panics
    ///
    /// When their number is no multiple of the channels.
    pub fn apply(&self, values: &mut [f32]) {
        let ChannelStatistics { mean, std } = &self.statistics;
        let area = self.area(values.len());
        for (plane, (mean, std)) in values.chunks_exact_mut(area).zip(mean.iter().zip(std)) {
            plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
        }
    }

    /// Values of one channel among `values`.
    fn area(&self, values: usize) -> usize {
        let channels = self.channels();
        assert!(
            values.is_multiple_of(channels),
            "{values} values cannot be cut into {channels} channels"
        );
        (values / channels).max(1)
    }
}

fn table(mean: f32, std: f32) -> [f32; 256] {
    std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(mean: &[f32], std: &[f32]) -> ChannelStatistics {
        ChannelStatistics { mean: mean.to_vec(), std: std.to_vec() }
    }

    #[test]
    fn each_channel_has_its_own_mean_and_deviation() {
        let normalization = Normalization::new(&statistics(&[0.0, 0.5], &[1.0, 0.25])).unwrap();
        let mut out = [0.0; 6];
        normalization.write(&[0, 51, 255, 0, 51, 255], &mut out);
        assert_eq!(out, [0.0, 0.2, 1.0, -2.0, (0.2 - 0.5) / 0.25, 2.0]);
    }

    #[test]
    #[should_panic(expected = "5 values cannot be cut into 2 channels")]
    fn a_partial_plane_is_a_bug_of_the_caller() {
        let normalization = Normalization::new(&statistics(&[0.0; 2], &[1.0; 2])).unwrap();
        normalization.write(&[0; 5], &mut [0.0; 5]);
    }
}

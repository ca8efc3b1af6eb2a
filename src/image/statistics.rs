//! How pixels are normalized, and what such numbers must be.

use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// Mean and standard deviation of each channel, in units of the full range (0 = black, 1 = white).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelStatistics {
    /// Mean per channel.
    pub mean: Vec<f32>,
    /// Standard deviation per channel, never 0.
    pub std: Vec<f32>,
}

impl ChannelStatistics {
    /// The statistics that leave pixels in [0, 1] as they are, for tokenizers.
    pub fn none(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], std: vec![1.0; channels] }
    }

    /// Refuses statistics that are not of the channels of images of `shape`, or not of values from 0
    /// (black) to 1 (white).
    ///
    /// # Errors
    ///
    /// Names the counts, or the channel and its number.
    pub fn check(&self, shape: ImageShape) -> Result<()> {
        self.check_values()?;
        if self.mean.len() != shape.channels {
            return Err(Error::config(format!(
                "images of {} channels cannot be normalized with statistics of {}",
                shape.channels,
                self.mean.len()
            )));
        }
        Ok(())
    }

    /// Refuses statistics that are not of values from 0 to 1, whatever their channels.
    pub(crate) fn check_values(&self) -> Result<()> {
        let Self { mean, std } = self;
        if mean.is_empty() || mean.len() != std.len() {
            return Err(Error::config(format!(
                "normalization needs a mean and a standard deviation for each channel, got {} \
                 means and {} deviations",
                mean.len(),
                std.len()
            )));
        }
        for (channel, (mean, std)) in mean.iter().zip(std).enumerate() {
            let unit = "statistics are of values from 0 (black) to 1 (white), so divide those of \
                        8-bit values by 255";
            if !(0.0..=1.0).contains(mean) {
                return Err(Error::config(format!(
                    "channel {channel} has a mean of {mean}, outside [0, 1]: {unit}"
                )));
            }
            if !(*std > 0.0 && *std <= 1.0) {
                return Err(Error::config(format!(
                    "channel {channel} has a standard deviation of {std}, outside (0, 1]: {unit}"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_other_units_or_channels_are_refused_with_their_numbers() {
        let message = |mean: &[f32], std: &[f32]| {
            let statistics = ChannelStatistics { mean: mean.to_vec(), std: std.to_vec() };
            let shape = ImageShape::new(2, 4, 4);
            statistics.check(shape).err().map_or(String::new(), |error| error.to_string())
        };
        // ImageNet's first two channels, as fractions and as 8-bit values.
        assert_eq!(message(&[0.485, 0.456], &[0.229, 0.224]), "");
        assert_eq!(message(&[0.0, 1.0], &[1.0, 1.0 / 255.0]), "");
        let wrong = message(&[0.4, 116.28], &[0.2, 0.2]);
        assert!(wrong.contains("channel 1 has a mean of 116.28, outside [0, 1]"), "{wrong}");
        assert!(wrong.contains("divide those of 8-bit values by 255"), "{wrong}");
        assert!(message(&[-0.1, 0.5], &[0.2, 0.2]).contains("mean of -0.1"));
        assert!(message(&[f32::NAN, 0.5], &[0.2, 0.2]).contains("mean of NaN"));
        for std in [0.0, -0.2, 57.1, f32::INFINITY, f32::NAN] {
            let wrong = message(&[0.5, 0.5], &[std, 0.2]);
            let named = format!("channel 0 has a standard deviation of {std}, outside (0, 1]");
            assert!(wrong.contains(&named), "{wrong}");
        }
        assert!(
            message(&[0.5], &[0.2])
                .contains("2 channels cannot be normalized with statistics of 1")
        );
        assert!(message(&[0.5, 0.5], &[0.2]).contains("2 means and 1 deviations"));
        assert!(message(&[], &[]).contains("0 means"));
    }
}

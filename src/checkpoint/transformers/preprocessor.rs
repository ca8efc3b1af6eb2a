//! `preprocessor_config.json`: how the images of a model are normalized.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Transformers, config_file};
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;

/// The name of the file.
pub(super) const PREPROCESSOR: &str = "preprocessor_config.json";

/// The fields that are read.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[cfg_attr(not(feature = "data"), allow(dead_code, reason = "what frames images reads them"))]
pub(super) struct Preprocessor {
    do_normalize: bool,
    image_mean: Value,
    image_std: Value,
    do_rescale: bool,
    rescale_factor: f64,
    pub(super) do_resize: bool,
    pub(super) size: Option<Value>,
    pub(super) do_center_crop: Option<bool>,
    pub(super) crop_size: Option<Value>,
    /// A filter, by Pillow's number.
    pub(super) resample: Option<u64>,
    pub(super) image_processor_type: String,
    /// An Image GPT's colors in [−1, 1].
    pub(super) clusters: Option<Vec<Vec<f32>>>,
}

impl Default for Preprocessor {
    fn default() -> Self {
        Self {
            do_normalize: true,
            image_mean: Value::Null,
            image_std: Value::Null,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_resize: true,
            size: None,
            do_center_crop: None,
            crop_size: None,
            resample: None,
            image_processor_type: String::new(),
            clusters: None,
        }
    }
}

impl Transformers {
    /// The statistics by which `preprocessor_config.json` normalizes images of `channels` channels,
    /// in units of the full range; `None` if there is no such file, or it does not normalize.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or its numbers are for another number of channels.
    pub fn statistics(&self, channels: usize) -> Result<Option<ChannelStatistics>> {
        let Some(file) = self.preprocessor()? else { return Ok(None) };
        let path = self.folder.join(PREPROCESSOR);
        let statistics = file.statistics(channels);
        statistics.map_err(|reason| Error::checkpoint(path, reason))
    }

    /// The file, if there is one.
    pub(super) fn preprocessor(&self) -> Result<Option<Preprocessor>> {
        let path = self.folder.join(PREPROCESSOR);
        if !path.exists() {
            return Ok(None);
        }
        let json = config_file::read(&path)?;
        let parsed = config_file::parsed(&json);
        parsed.map(Some).map_err(|reason| Error::checkpoint(path, reason))
    }
}

impl Preprocessor {
    /// transformers computes `(pixel × factor − mean) / std` of pixels from 0 to 255; here they are
    /// from 0 to 1.
    fn statistics(&self, channels: usize) -> Result<Option<ChannelStatistics>, String> {
        if self.clusters.is_some() {
            // Colors are compared with a palette without normalization.
            return Ok(Some(ChannelStatistics::none(channels)));
        }
        let factor = if self.do_rescale { self.rescale_factor } else { 1.0 };
        if !(factor.is_finite() && factor > 0.0) {
            return Err(format!("rescale_factor is {factor}; it must be positive"));
        }
        let [mean, std] = if self.do_normalize {
            match (&self.image_mean, &self.image_std) {
                (Value::Null, Value::Null) => return Ok(None),
                (mean, std) => [("image_mean", mean), ("image_std", std)]
                    .map(|(name, value)| numbers(name, value, channels)),
            }
        } else {
            [Ok(vec![0.0; channels]), Ok(vec![1.0; channels])]
        };
        let full = |values: Vec<f64>| -> Vec<f32> {
            values.iter().map(|value| (value / (255.0 * factor)) as f32).collect()
        };
        let (mean, std) = (full(mean?), full(std?));
        if std.iter().any(|value| *value <= 0.0) {
            return Err(format!("image_std is {}; it must be positive", self.image_std));
        }
        Ok(Some(ChannelStatistics { mean, std }))
    }
}

/// One number for each channel; a single one is for all.
fn numbers(name: &str, value: &Value, channels: usize) -> Result<Vec<f64>, String> {
    let numbers: Option<Vec<f64>> = match value {
        Value::Array(values) => values.iter().map(Value::as_f64).collect(),
        single => single.as_f64().map(|value| vec![value]),
    };
    let text: String = value.to_string().chars().take(80).collect();
    let numbers = numbers.filter(|numbers| !numbers.is_empty());
    let numbers = numbers.ok_or_else(|| format!("{name} is {text}, not numbers"))?;
    let is_one = numbers.iter().all(|number| *number == numbers[0]);
    match numbers.len() {
        count if count == channels => Ok(numbers),
        // All numbers are the same: this is transformers' default, which it also uses for models of
        // another number of channels.
        _ if is_one => Ok(vec![numbers[0]; channels]),
        count => Err(format!("{name} has {count} numbers, the model reads {channels} channels")),
    }
}

/// Writes a `preprocessor_config.json` into `folder` by which transformers' `ViTImageProcessor`
/// resizes images to `image` and normalizes them with `statistics`, and [`Transformers::statistics`]
/// returns them.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_preprocessor(
    folder: impl AsRef<Path>,
    image: ImageShape,
    statistics: &ChannelStatistics,
) -> Result<()> {
    let path = folder.as_ref().join(PREPROCESSOR);
    let json = json!({
        "image_processor_type": "ViTImageProcessor",
        "do_resize": true,
        "size": { "height": image.height, "width": image.width },
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": statistics.mean,
        "image_std": statistics.std,
    });
    write_whole(&path, format!("{json:#}\n").as_bytes())
        .map_err(|error| Error::checkpoint(&path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &Value, channels: usize) -> Result<Option<ChannelStatistics>, String> {
        config_file::parsed::<Preprocessor>(json)?.statistics(channels)
    }

    #[test]
    fn means_are_in_units_of_the_full_range() {
        let json = json!({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.2, 0.1]});
        let found = of(&json, 3).unwrap().unwrap();
        assert_eq!((found.mean, found.std), (vec![0.5, 0.4, 0.3], vec![0.25, 0.2, 0.1]));
        let json = json!({"image_mean": 127.5, "image_std": 127.5, "do_rescale": false});
        let found = of(&json, 2).unwrap().unwrap();
        assert_eq!((found.mean, found.std), (vec![0.5; 2], vec![0.5; 2]));
        // Pixels from 0 to 2, of which 1 is taken: from −1 to 1.
        let json = json!({"image_mean": 1, "image_std": 1, "rescale_factor": 2.0 / 255.0});
        let found = of(&json, 1).unwrap().unwrap();
        assert_eq!((found.mean, found.std), (vec![0.5], vec![0.5]));
    }

    #[test]
    fn without_normalization_pixels_stay_as_they_are() {
        let json = json!({"do_normalize": false, "image_mean": [0.5], "image_std": [0.5]});
        assert_eq!(of(&json, 3).unwrap(), Some(ChannelStatistics::none(3)));
        assert_eq!(of(&json!({"size": 224}), 3).unwrap(), None);
    }

    #[test]
    fn numbers_that_cannot_be_are_named() {
        let json = json!({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.5, 0.5]});
        assert_eq!(
            of(&json, 4).unwrap_err(),
            "image_mean has 3 numbers, the model reads 4 channels"
        );
        let json = json!({"image_mean": "a", "image_std": 1});
        assert_eq!(of(&json, 3).unwrap_err(), "image_mean is \"a\", not numbers");
        let json = json!({"image_mean": 0, "image_std": 0});
        assert!(of(&json, 3).unwrap_err().contains("must be positive"));
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let statistics = ChannelStatistics { mean: vec![0.4914, 0.4822], std: vec![0.247, 0.2435] };
        save_preprocessor(folder.path(), ImageShape::square(2, 32), &statistics).unwrap();
        let json = config_file::read(&folder.path().join(PREPROCESSOR)).unwrap();
        assert_eq!(of(&json, 2).unwrap(), Some(statistics));
    }
}

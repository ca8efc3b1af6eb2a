//! Equal-shaped images held in memory, in one piece.

use std::num::NonZero;

use burn::data::dataset::{Dataset, DatasetError};
use md5::{Digest, Md5};

use crate::data::Pixels;
use crate::data::sample::{Image, ImageDataset, Sample};
use crate::error::{Error, Result};
use crate::file::hex;
use crate::grid::ImageShape;

/// A data set of images of one shape, all in one buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryDataset {
    shape: ImageShape,
    pixels: Pixels,
    white: u16,
    labels: Option<Vec<usize>>,
}

impl MemoryDataset {
    /// A data set of images of `shape`, one after the other in `pixels`
    /// (`[images][channels][height][width]`; a vector of `u8`, `u16` or `f32`, see [`Pixels`]), and
    /// their `labels`, one for each image.
    ///
    /// # Errors
    ///
    /// When the shape holds no values, when `pixels` is not a whole number of images, or when the
    /// number of labels differs from the number of images.
    pub fn new<T>(shape: ImageShape, pixels: Vec<T>, labels: Option<Vec<usize>>) -> Result<Self>
    where
        Pixels: From<Vec<T>>,
    {
        if shape.values() == 0 || !pixels.len().is_multiple_of(shape.values()) {
            return Err(Error::config(format!(
                "{} values are not a whole number of images of {shape} ({} values each)",
                pixels.len(),
                shape.values()
            )));
        }
        let images = pixels.len() / shape.values();
        if let Some(labels) = &labels
            && labels.len() != images
        {
            return Err(Error::config(format!("{images} images but {} labels", labels.len())));
        }
        Ok(Self { shape, pixels: pixels.into(), white: u16::MAX, labels })
    }

    /// The same 16-bit images with another value for white, as [`Image::with_white`] has it.
    pub fn with_white(mut self, white: NonZero<u16>) -> Self {
        self.white = white.get();
        self
    }

    /// The labels in order; `None` in unlabelled data.
    pub fn labels(&self) -> Option<&[usize]> {
        self.labels.as_deref()
    }
}

impl Dataset<Sample> for MemoryDataset {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        let values = self.shape.values();
        let pixels = self.pixels.part(index * values..(index + 1) * values);
        let image = Image::of(self.shape, pixels, self.white).map_err(DatasetError::new)?;
        Ok(Sample { image, label: self.labels.as_ref().map(|labels| labels[index]) })
    }

    fn len(&self) -> usize {
        self.pixels.len() / self.shape.values()
    }
}

impl ImageDataset for MemoryDataset {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        Ok(self.labels.as_ref().map(|labels| labels[index]))
    }

    fn identity(&self) -> String {
        let mut hash = Md5::new();
        hash.update(self.shape.to_string());
        self.pixels.bytes(|bytes| hash.update(bytes));
        if self.white != u16::MAX {
            hash.update(self.white.to_le_bytes());
        }
        for label in self.labels.iter().flatten() {
            hash.update((*label as u64).to_le_bytes());
        }
        hex(&hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_yields_its_own_pixels_and_label() {
        let shape = ImageShape::new(1, 1, 2);
        let set =
            MemoryDataset::new(shape, vec![1_u8, 2, 3, 4, 5, 6], Some(vec![7, 8, 9])).unwrap();
        assert_eq!(set.len(), 3);
        let sample = set.get(1).unwrap();
        assert_eq!(sample.image.bytes().unwrap(), [3, 4]);
        assert_eq!(sample.label, Some(8));
    }

    #[test]
    fn images_without_labels_are_unlabelled() {
        let set = MemoryDataset::new(ImageShape::square(1, 1), vec![4_u8], None).unwrap();
        assert_eq!(set.get(0).unwrap().label, None);
    }

    #[test]
    fn a_count_that_does_not_fit_names_both_sides() {
        let shape = ImageShape::new(1, 1, 2);
        let message = |pixels: Vec<u8>, labels| {
            MemoryDataset::new(shape, pixels, labels).unwrap_err().to_string()
        };
        assert_eq!(
            message(vec![0; 3], None),
            "invalid configuration: 3 values are not a whole number of images of 1×1×2 (2 values each)"
        );
        assert_eq!(
            message(vec![0; 4], Some(vec![0])),
            "invalid configuration: 2 images but 1 labels"
        );
        assert!(MemoryDataset::new(ImageShape::new(1, 0, 2), Vec::<u8>::new(), None).is_err());
    }

    #[test]
    #[should_panic]
    fn an_index_out_of_bounds_panics_as_burn_demands() {
        let set = MemoryDataset::new(ImageShape::square(1, 1), vec![4_u8], None).unwrap();
        let _ = set.get(1);
    }
}

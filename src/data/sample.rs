//! What a data set yields: an image and, where there is one, its label.

use std::error::Error as _;

use burn::data::dataset::{Dataset, DatasetError, InMemDataset};

use crate::data::BadImage;
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
    /// When the number of values differs from the number of values of the shape.
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

    /// Whether [`Image::with_channels`] can bring the image to `channels` channels.
    pub fn can_have_channels(&self, channels: usize) -> bool {
        self.shape.channels == channels
            || matches!((self.shape.channels, channels), (1, 3) | (3, 1))
    }

    /// The image with `channels` channels: gray is repeated three times to be color, and of color
    /// the luma is taken to be gray, 0.299 R + 0.587 G + 0.114 B (ITU-R 601-2, to the bit as
    /// Pillow's mode `L`). Images of other numbers of channels stay as they are.
    ///
    /// # Errors
    ///
    /// When the image has another number of channels and one of the two is neither 1 nor 3.
    pub fn with_channels(self, channels: usize) -> Result<Self> {
        let shape = ImageShape { channels, ..self.shape };
        let pixels = match (self.shape.channels, channels) {
            (has, wanted) if has == wanted => return Ok(self),
            (1, 3) => self.pixels.repeat(3),
            (3, 1) => {
                let (red, green, blue) = (self.plane(0), self.plane(1), self.plane(2));
                red.iter().zip(green).zip(blue).map(|((r, g), b)| luma([*r, *g, *b])).collect()
            }
            (has, wanted) => {
                return Err(Error::config(format!(
                    "an image of {has} channels cannot be brought to {wanted}; only gray (1) and \
                     color (3) are converted into each other"
                )));
            }
        };
        Self::new(shape, pixels)
    }
}

/// Luma in the fixed-point arithmetic of Pillow.
fn luma(rgb: [u8; 3]) -> u8 {
    let [r, g, b] = rgb.map(u32::from);
    // At most 255, as the weights sum to 2^16.
    ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
}

/// One item of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The image, of any size the data set has.
    pub image: Image,
    /// Its class, an index into [`ImageData::class_names`](crate::data::ImageData::class_names);
    /// `None` in unlabelled data.
    pub label: Option<usize>,
}

/// A data set of images that knows its labels without reading the images.
///
/// All methods have a default, so for your own `Dataset<Sample>` an empty `impl ImageDataset for
/// Mine {}` will do; say more where labels cost a decoded image each.
pub trait ImageDataset: Dataset<Sample> {
    /// The label of sample `index`; the default reads the whole sample for it.
    ///
    /// # Errors
    ///
    /// When the sample cannot be read.
    fn label(&self, index: usize) -> Result<Option<usize>> {
        Ok(self.get(index).map_err(|error| data_error(index, error))?.label)
    }

    /// What to call sample `index` in a message: its file where there is one.
    fn name(&self, index: usize) -> String {
        format!("sample {index}")
    }

    /// What is worth saying of the samples that were read so far, a line each; nothing by default.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// What tells this data from other data of its kind, without the place it lies in: names and
    /// sizes of files, or a hash of the contents. The default is the number of samples.
    fn identity(&self) -> String {
        format!("{} samples", self.len())
    }
}

impl ImageDataset for InMemDataset<Sample> {}

/// The fault of reading sample `index`: this crate's own error as it was, a foreign one with the
/// sample's number.
pub(crate) fn data_error(index: usize, error: DatasetError) -> Error {
    let source = error.source();
    let bad = source.and_then(|source| source.downcast_ref()).map(|BadImage(error)| error);
    match bad.or_else(|| source.and_then(|source| source.downcast_ref())) {
        Some(Error::Data { path, reason }) => Error::data(path, reason),
        _ => Error::data(format!("sample {index}"), error),
    }
}

/// Whether the sample behind `error` may be left out.
pub(crate) fn is_bad_image(error: &DatasetError) -> bool {
    error.source().is_some_and(|source| source.is::<BadImage>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gray_and_color_become_each_other_as_pillow_does_it() {
        // Image.new("RGB", (1, 1), color).convert("L").getpixel((0, 0)) of Pillow 13.
        let pillow = [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([255, 255, 255], 255),
            ([1, 2, 3], 2),
            ([10, 200, 30], 124),
            ([123, 45, 67], 71),
            ([250, 3, 199], 99),
        ];
        for (rgb, gray) in pillow {
            let color = Image::new(ImageShape::square(3, 1), rgb.to_vec()).unwrap();
            assert_eq!(color.with_channels(1).unwrap().pixels(), [gray], "{rgb:?}");
        }
        let gray = Image::new(ImageShape::new(1, 1, 2), vec![10, 20]).unwrap();
        let color = gray.clone().with_channels(3).unwrap();
        assert_eq!(color.pixels(), [10, 20, 10, 20, 10, 20]);
        assert_eq!(color.with_channels(1).unwrap(), gray);
        let message = gray.with_channels(4).unwrap_err().to_string();
        assert!(message.contains("an image of 1 channels cannot be brought to 4"), "{message}");
    }

    #[test]
    fn a_fault_keeps_its_file_and_a_foreign_one_gets_the_sample() {
        let own = DatasetError::new(Error::data("a.png", "is cut"));
        assert_eq!(data_error(3, own).to_string(), "a.png: is cut");
        let bad = DatasetError::new(BadImage(Error::data("a.png", "is cut")));
        assert!(is_bad_image(&bad));
        assert_eq!(data_error(3, bad).to_string(), "a.png: is cut");
        let foreign = DatasetError::new(std::io::Error::other("on fire"));
        assert_eq!(data_error(3, foreign).to_string(), "sample 3: on fire");
    }
}

//! What a data set yields: an image and, where there is one, its label.

use std::error::Error as _;
use std::num::NonZero;

use burn::data::dataset::{Dataset, DatasetError, InMemDataset};

use crate::data::{BadImage, LabelMap, Pixels};
use crate::error::{Error, Result};
use crate::grid::{ClipShape, ImageShape};

/// A planar image: `channels` planes of `height` × `width`, whose values have 8 bits, 16 bits, or are
/// floating-point numbers. A clip is one too: its frames lie one below the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    shape: ImageShape,
    pixels: Pixels,
    /// The 16-bit value that is shown as 1.
    white: u16,
}

impl Image {
    /// An image of `shape` from planar `pixels` (`[channels][height][width]`): a vector of `u8`,
    /// `u16` or `f32`.
    ///
    /// # Errors
    ///
    /// When the number of values differs from the number of values of the shape.
    pub fn new<T>(shape: ImageShape, pixels: Vec<T>) -> Result<Self>
    where
        Pixels: From<Vec<T>>,
    {
        Self::of(shape, pixels.into(), u16::MAX)
    }

    pub(super) fn of(shape: ImageShape, pixels: Pixels, white: u16) -> Result<Self> {
        if pixels.len() != shape.values() || !shape.check_frames() {
            return Err(Error::config(format!(
                "an image of {shape} holds {} values, got {}",
                shape.values(),
                pixels.len()
            )));
        }
        Ok(Self { shape, pixels, white })
    }

    /// A clip of `frames`, from the first to the last.
    ///
    /// # Errors
    ///
    /// When there are none, or one differs from the first in shape, kind of values or white, or is a
    /// clip itself.
    pub fn clip(frames: &[Self]) -> Result<Self> {
        let Some(first) = frames.first() else {
            return Err(Error::config("a clip of no frames"));
        };
        for (index, frame) in frames.iter().enumerate() {
            let alike = frame.shape == first.shape
                && frame.white == first.white
                && frame.pixels.kind() == first.pixels.kind();
            if !alike || frame.frames() != 1 {
                return Err(Error::config(format!(
                    "frame {index} of a clip is {} of {} values, the first one {} of {}",
                    frame.shape,
                    frame.pixels.kind(),
                    first.shape,
                    first.pixels.kind()
                )));
            }
        }
        let ImageShape { channels, height, width, .. } = first.shape;
        let plane = height * width;
        let planes = (0..channels)
            .flat_map(|channel| frames.iter().map(move |frame| (channel, frame)))
            .map(|(channel, frame)| frame.pixels.part(channel * plane..(channel + 1) * plane));
        let pixels = Pixels::joined(planes).expect("there is a frame, and frames have one kind");
        Self::of(ClipShape::new(first.shape, frames.len()).stacked(), pixels, first.white)
    }

    /// How many frames lie one below the other: 1 unless this is a [`clip`](Self::clip).
    pub fn frames(&self) -> usize {
        self.shape.frames
    }

    /// The shape of one frame.
    pub fn frame_shape(&self) -> ImageShape {
        self.shape.frame()
    }

    /// Frame `index` as an image.
    ///
    /// # Panics
    ///
    /// When there are not so many frames.
    pub fn frame(&self, index: usize) -> Self {
        assert!(index < self.frames(), "frame {index} of a clip of {}", self.frames());
        let shape = self.frame_shape();
        let plane = shape.height * shape.width;
        let planes = (0..shape.channels).map(|channel| {
            let start = (channel * self.frames() + index) * plane;
            self.pixels.part(start..start + plane)
        });
        let pixels = Pixels::joined(planes).unwrap_or_else(|| self.pixels.part(0..0));
        Self { shape, pixels, white: self.white }
    }

    /// The same 16-bit image with another value for white, such as 4095 where a sensor has 12 bits.
    /// Values beyond it are shown as white. Images of other values stay as they are.
    pub fn with_white(mut self, white: NonZero<u16>) -> Self {
        self.white = white.get();
        self
    }

    /// The same image in 8 bits: whole numbers as a share of white, and floating-point numbers from 0
    /// to 1, rounded. An image of 8 bits stays as it is.
    pub fn in_8_bits(self) -> Self {
        if matches!(self.pixels, Pixels::U8(_)) {
            return self;
        }
        let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        let pixels = Pixels::U8(self.values().into_iter().map(byte).collect());
        Self { pixels, ..self }
    }

    /// Channels, height and width.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// All values, planar.
    pub fn pixels(&self) -> &Pixels {
        &self.pixels
    }

    /// All values of an 8-bit image, planar.
    ///
    /// # Errors
    ///
    /// When the image has other values: nothing brings them to 8 bits without being asked.
    pub fn bytes(&self) -> Result<&[u8]> {
        match &self.pixels {
            Pixels::U8(values) => Ok(values),
            other => Err(Error::config(format!(
                "this is done with 8-bit images, got one of {} values; `--eight-bits` brings images to them",
                other.kind()
            ))),
        }
    }

    /// One channel's values of an 8-bit image, row-major.
    ///
    /// # Errors
    ///
    /// When the image has other values.
    pub fn plane(&self, channel: usize) -> Result<&[u8]> {
        let area = self.shape.height * self.shape.width;
        Ok(&self.bytes()?[channel * area..][..area])
    }

    /// All values, planar, as a network reads them before normalization: whole numbers are divided
    /// by white (255, 65535 or [`Image::with_white`]), others are taken as they are.
    pub fn values(&self) -> Vec<f32> {
        match &self.pixels {
            Pixels::U8(values) => values.iter().map(|&value| f32::from(value) / 255.0).collect(),
            Pixels::U16(values) => {
                let white = f32::from(self.white);
                values.iter().map(|&value| (f32::from(value) / white).min(1.0)).collect()
            }
            Pixels::F32(values) => values.clone(),
        }
    }

    /// The 16-bit value that is shown as 1.
    pub(super) fn white(&self) -> u16 {
        self.white
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
            (1, 3) => self.pixels.thrice(),
            (3, 1) => self.pixels.luma(),
            (has, wanted) => {
                return Err(Error::config(format!(
                    "an image of {has} channels cannot be brought to {wanted}; only gray (1) and \
                     color (3) are converted into each other"
                )));
            }
        };
        Self::of(shape, pixels, self.white)
    }
}

/// One item of a data set.
#[derive(Debug, Clone, PartialEq)]
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

    /// The class of every pixel of sample `index`, from 0 on; [`LabelMap::VOID`] for pixels of none.
    /// The default is that there is no such map.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    fn label_map(&self, _index: usize) -> Result<Option<LabelMap>> {
        Ok(None)
    }

    /// What to call sample `index` in a message: its file where there is one.
    fn name(&self, index: usize) -> String {
        format!("sample {index}")
    }

    /// The file of sample `index`, where images are kept as files; the default is that they are not.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    fn file(&self, _index: usize) -> Result<Option<SampleFile>> {
        Ok(None)
    }

    /// How many samples each of the shards has that the data lies in, one after the other; `None`,
    /// the default, of data that is in none.
    fn shards(&self) -> Option<Vec<usize>> {
        None
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

/// The file of an image, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleFile {
    /// The ending of its name, in lower case and without a dot: `jpg`.
    pub ending: String,
    /// All of its bytes.
    pub bytes: Vec<u8>,
}

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
#[path = "sample_tests.rs"]
mod tests;

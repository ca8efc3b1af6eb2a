//! How a source is opened: what is decided besides which source it is.

use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::data::sample::Image;
use crate::data::spec::DataSpec;
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// How a source is opened. A run keeps it in its configuration, so that whoever opens the run's
/// data again sees the same images.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataOptions {
    /// The number of channels that every image is brought to.
    pub channels: Channels,
    /// What becomes of a file that cannot be read as an image.
    pub on_bad_image: OnBadImage,
    /// How many training images to use, of every class alike; all of them with `None`.
    pub train_images: Option<usize>,
    /// Which training images these are; more of the same seed hold the fewer.
    pub subset_seed: u64,
    /// A folder with the label maps of a folder of images, under the same names as these with the
    /// ending `png`; with `None` they are looked for in folders `masks` beside folders `images`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masks: Option<PathBuf>,
    /// How many shards are shuffled together in training, of data in shards; all images are shuffled
    /// together with `None`. Shards that follow each other in a shuffled order are read at the same
    /// time, so a window is faster where reading from many places is slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle_window: Option<usize>,
    /// The value of 16-bit images that is white, such as 4095 where a sensor has 12 bits; 65535 with
    /// `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub white: Option<NonZero<u16>>,
    /// Whether images of 16 bits and of floating-point numbers are brought to 8 bits
    /// ([`Image::in_8_bits`]), for what is done in 8 bits alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub eight_bits: bool,
    /// How many frames a sample of clips has, 16 with `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<usize>,
    /// How many frames of a film a frame of a sample is after the one before it, 1 with `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
}

impl DataOptions {
    /// The same options with another number of channels.
    #[must_use]
    pub fn with_channels(mut self, channels: Channels) -> Self {
        self.channels = channels;
        self
    }

    /// The same options for `data`; clips of it have as many frames as a model that reads `image` needs,
    /// unless the options say how many.
    #[must_use]
    pub fn holding(self, data: &DataSpec, image: ImageShape) -> Self {
        let is_too_short = data.is_of_clips() && image.span() > self.frames();
        let needs = is_too_short.then(|| image.span());
        Self { frames: self.frames.or(needs), ..self }
    }

    /// The same options with another treatment of damaged files.
    #[must_use]
    pub fn with_on_bad_image(mut self, on_bad_image: OnBadImage) -> Self {
        self.on_bad_image = on_bad_image;
        self
    }

    /// The same options with another number of training images.
    #[must_use]
    pub fn with_train_images(mut self, train_images: Option<usize>) -> Self {
        self.train_images = train_images;
        self
    }

    /// The same options with a folder of label maps.
    #[must_use]
    pub fn with_masks(mut self, masks: Option<PathBuf>) -> Self {
        self.masks = masks;
        self
    }

    /// The same options with a number of shards that are shuffled together.
    #[must_use]
    pub fn with_shuffle_window(mut self, window: Option<usize>) -> Self {
        self.shuffle_window = window;
        self
    }

    /// The same options with another white of 16-bit images.
    #[must_use]
    pub fn with_white(mut self, white: Option<NonZero<u16>>) -> Self {
        self.white = white;
        self
    }

    /// The same options, where images are brought to 8 bits or not.
    #[must_use]
    pub fn with_eight_bits(mut self, eight_bits: bool) -> Self {
        self.eight_bits = eight_bits;
        self
    }

    /// The same options with another number of frames.
    #[must_use]
    pub fn with_frames(mut self, frames: Option<usize>) -> Self {
        self.frames = frames;
        self
    }

    /// The same options with another stride from frame to frame.
    #[must_use]
    pub fn with_stride(mut self, stride: Option<usize>) -> Self {
        self.stride = stride;
        self
    }

    /// How many frames a sample of clips has.
    pub fn frames(&self) -> usize {
        self.frames.unwrap_or(16)
    }

    /// How many frames of a film a frame of a sample is after the one before it.
    pub fn stride(&self) -> usize {
        self.stride.unwrap_or(1)
    }

    /// `image` with the white of these options, in 8 bits where they say so.
    pub(crate) fn deep(&self, image: Image) -> Image {
        let image = match self.white {
            Some(white) => image.with_white(white),
            None => image,
        };
        if self.eight_bits { image.in_8_bits() } else { image }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    ///
    /// When no training image is asked for, images without channels, a window of no shard, or clips of
    /// fewer than 2 frames.
    pub fn validate(&self) -> Result<()> {
        if self.train_images == Some(0) {
            return Err(Error::config("the training images to use must be at least 1, got 0"));
        }
        if self.shuffle_window == Some(0) {
            return Err(Error::config("the shards shuffled together must be at least 1, got 0"));
        }
        if self.frames() < 2 || self.stride() == 0 {
            return Err(Error::config(format!(
                "a clip takes at least 2 frames and a stride of at least 1, got {} and {}",
                self.frames(),
                self.stride()
            )));
        }
        if self.channels == Channels::Exactly(0) {
            return Err(Error::config("images need at least 1 channel, got 0"));
        }
        Ok(())
    }
}

/// The number of channels that every image is brought to; written as `auto` or as a number, in
/// quotation marks or without.
///
/// Gray becomes color by repeating it three times, color becomes gray as Pillow's mode `L` does it
/// (ITU-R 601-2). Images of other numbers of channels are never converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub enum Channels {
    /// Three if any of the images that are looked at has color, one if all of them are gray, and
    /// otherwise as many as they have.
    #[default]
    Auto,
    /// So many.
    Exactly(usize),
}

impl FromStr for Channels {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(channels)) if channels > 0 => Ok(Self::Exactly(channels)),
            _ => Err(Error::config(format!("unknown channels `{text}`, expected auto, 1 or 3"))),
        }
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Exactly(channels) => write!(f, "{channels}"),
        }
    }
}

/// As files have it: a number, or a word, which may be a number too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(usize),
    Word(String),
}

impl TryFrom<Written> for Channels {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Number(number) => number.to_string().parse(),
            Written::Word(word) => word.parse(),
        }
    }
}

impl From<Channels> for String {
    fn from(channels: Channels) -> Self {
        channels.to_string()
    }
}

/// What becomes of a file that cannot be read as an image: damaged, cut short, or a link that leads
/// nowhere. Written as `error` or `skip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadImage {
    /// It is an error that names the file.
    #[default]
    Error,
    /// It is left out and counted.
    Skip,
}

impl FromStr for OnBadImage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "error" => Ok(Self::Error),
            "skip" => Ok(Self::Skip),
            _ => Err(Error::config(format!("unknown policy `{text}`, expected error or skip"))),
        }
    }
}

impl fmt::Display for OnBadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Skip => "skip",
        })
    }
}

/// How far the opening of a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenProgress {
    /// What is being done.
    pub step: OpenStep,
    /// How much of it is done.
    pub done: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
}

/// What opening a source takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenStep {
    /// Bytes are downloaded.
    Download,
    /// Files are listed.
    List,
    /// Images are looked at for their channels and statistics.
    Measure,
    /// All images are read, to see whether they can be.
    Verify,
    /// Images are packed into shards.
    Pack,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_read_back_and_every_field_has_a_default() {
        let options = DataOptions::default()
            .with_channels(Channels::Exactly(3))
            .with_on_bad_image(OnBadImage::Skip)
            .with_train_images(Some(7));
        let json = serde_json::to_string(&options).unwrap();
        let number: Channels = serde_json::from_str("3").unwrap();
        assert_eq!(number, Channels::Exactly(3));
        assert!(json.contains(r#""channels":"3","on_bad_image":"skip""#), "{json}");
        assert_eq!(serde_json::from_str::<DataOptions>(&json).unwrap(), options);
        assert_eq!(serde_json::from_str::<DataOptions>("{}").unwrap(), DataOptions::default());
        let misspelt = serde_json::from_str::<DataOptions>(r#"{"chanels": "1"}"#).unwrap_err();
        assert!(misspelt.to_string().contains("unknown field `chanels`"), "{misspelt}");
    }

    #[test]
    fn wrong_words_and_numbers_are_told_the_right_ones() {
        assert_eq!("auto".parse::<Channels>().unwrap(), Channels::Auto);
        assert_eq!("12".parse::<Channels>().unwrap(), Channels::Exactly(12));
        for text in ["", "0", "rgb", "-1"] {
            let message = text.parse::<Channels>().unwrap_err().to_string();
            assert!(message.ends_with("expected auto, 1 or 3"), "{message}");
        }
        assert!("drop".parse::<OnBadImage>().unwrap_err().to_string().contains("error or skip"));
        let none = DataOptions::default().with_train_images(Some(0)).validate();
        assert!(none.unwrap_err().to_string().ends_with("must be at least 1, got 0"));
    }
}

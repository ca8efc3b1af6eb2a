//! Animated pictures: GIF, WebP and APNG.

use std::io::BufReader;
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, ImageDecoder, ImageError, Limits};

use crate::data::sample::Image;
use crate::data::source::clips::parts::Parts;
use crate::data::source::planes::planar;
use crate::data::source::{budget, regular};
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// The formats of animated pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Animation {
    Gif,
    WebP,
    Png,
}

impl Animation {
    /// The format that the first bytes of a file are of.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [b'G', b'I', b'F', b'8', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            _ => None,
        }
    }

    /// How many frames there are in the file `path`, by its parts' headers alone; 1 in a still picture.
    ///
    /// # Errors
    ///
    /// When the file is cut short or is not what its first bytes say.
    pub(super) fn count(self, path: &Path) -> Result<usize> {
        let (file, length) = regular::open(path)?;
        let mut parts = Parts::of(BufReader::new(file), length);
        let count = match self {
            Self::Gif => parts.gif(),
            Self::WebP => parts.webp(),
            Self::Png => parts.png(),
        };
        count.map_err(|error| fault(path, &error.to_string()))
    }

    /// The frames of the file `path`, whole pictures in RGB: transparency is dropped.
    ///
    /// # Errors
    ///
    /// When the file is no animation or its frames would take too much memory.
    pub(super) fn frames(self, path: &Path) -> Result<impl Iterator<Item = Result<Image>> + use<>> {
        let (file, length) = regular::open(path)?;
        let file = BufReader::new(file);
        let is_broken = |error: ImageError| fault(path, &error.to_string());
        let fits = |(width, height): (u32, u32)| {
            budget::of_frames(path, [width as usize, height as usize], 1, length)
        };
        let frames = match self {
            Self::Gif => {
                let decoder = GifDecoder::new(file).map_err(is_broken)?;
                fits(decoder.dimensions())?;
                decoder.into_frames()
            }
            Self::WebP => {
                let decoder = WebPDecoder::new(file).map_err(is_broken)?;
                fits(decoder.dimensions())?;
                decoder.into_frames()
            }
            Self::Png => {
                let mut limits = Limits::default();
                limits.max_alloc = Some(budget::limit(length));
                let decoder = PngDecoder::with_limits(file, limits).map_err(is_broken)?;
                fits(decoder.dimensions())?;
                decoder.apng().map_err(is_broken)?.into_frames()
            }
        };
        let path = path.to_path_buf();
        Ok(frames.map(move |frame| {
            let frame = frame.map_err(|error| fault(&path, &error.to_string()))?.into_buffer();
            let shape = ImageShape::new(3, frame.height() as usize, frame.width() as usize);
            Image::new(shape, planar(&frame, 4, 3, |value| value))
        }))
    }
}

fn fault(path: &Path, reason: &str) -> Error {
    Error::data(path, format!("cannot be read as an animation: {reason}"))
}

//! Clips in NumPy's format: one array of all frames in a file, `.npy`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::data::sample::Image;
use crate::data::source::npy::{self, Header, Kind};
use crate::data::source::{budget, regular};
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// The most channels that the last of three axes may be, of an array that is one image.
const CHANNELS: usize = 4;

/// An array `[frames, height, width]` or `[frames, height, width, channels]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    path: PathBuf,
    kind: Kind,
    pub(super) frames: usize,
    /// The shape of a frame.
    shape: ImageShape,
    /// Where the values begin.
    start: u64,
}

impl Array {
    /// The array in the file `path`; `None` where it is one image: it has two axes, or three of which
    /// the last has at most four places, its channels.
    ///
    /// # Errors
    ///
    /// When the file is cut short or holds no such array.
    pub(super) fn of(path: &Path) -> Result<Option<Self>> {
        let fault = |reason: String| fault(path, &reason);
        let (file, length) = regular::open(path)?;
        let mut bytes = Vec::new();
        let read = file.take(npy::HEADER as u64).read_to_end(&mut bytes);
        read.map_err(|error| Error::data(path, error))?;
        let cut = || fault("its header is cut short".into());
        let (header, rest) = npy::parts(&bytes).ok_or_else(cut)?;
        let Header { kind, axes } = npy::header_of(header).map_err(fault)?;
        let (frames, shape) = match axes[..] {
            [_, _] => return Ok(None),
            [_, _, channels] if channels <= CHANNELS => return Ok(None),
            [frames, height, width] => (frames, ImageShape::new(1, height, width)),
            [frames, height, width, channels] => (frames, ImageShape::new(channels, height, width)),
            _ => {
                let reason = format!(
                    "it has the shape {axes:?}; expected [frames, height, width, channels]"
                );
                return Err(fault(reason));
            }
        };
        let array = Self {
            path: path.into(),
            kind,
            frames,
            shape,
            start: (bytes.len() - rest.len()) as u64,
        };
        let size = array.size().and_then(|size| size.checked_mul(frames as u64));
        let there = length.saturating_sub(array.start);
        match size.filter(|size| *size <= there) {
            Some(_) => Ok(Some(array)),
            None => {
                Err(fault(format!("{there} bytes of values are too few for the shape {axes:?}")))
            }
        }
    }

    /// Bytes of a frame.
    fn size(&self) -> Option<u64> {
        let ImageShape { channels, height, width, .. } = self.shape;
        let values = channels.checked_mul(height)?.checked_mul(width)?;
        values.checked_mul(self.kind.bytes()).map(|bytes| bytes as u64)
    }

    /// The frames from `start` on, each `stride` frames after the one before it.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub(super) fn frames(
        &self,
        start: usize,
        stride: usize,
    ) -> Result<impl Iterator<Item = Result<Image>> + use<>> {
        let (mut file, length) = regular::open(&self.path)?;
        let array = self.clone();
        Ok((start..self.frames)
            .step_by(stride)
            .map(move |index| array.frame(&mut file, length, index)))
    }

    fn frame(&self, file: &mut File, length: u64, index: usize) -> Result<Image> {
        let ImageShape { channels, height, width, .. } = self.shape;
        // Every byte of a value is counted as a channel of a byte is.
        let channels_of_bytes = channels.saturating_mul(self.kind.bytes());
        budget::of_frames(
            &self.path,
            [height.saturating_mul(width), channels_of_bytes],
            1,
            length,
        )?;
        let size = self.size().unwrap_or(u64::MAX);
        let fault = |reason: String| fault(&self.path, &reason);
        let mut bytes = vec![0; size as usize];
        file.seek(SeekFrom::Start(self.start.saturating_add(size.saturating_mul(index as u64))))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| fault(error.to_string()))?;
        let planes = self.kind.planes(&bytes, channels).map_err(fault)?;
        Image::of(self.shape, planes.pixels, u16::MAX)
    }
}

fn fault(path: &Path, reason: &str) -> Error {
    Error::data(path, format!("cannot be read as a clip: {reason}"))
}

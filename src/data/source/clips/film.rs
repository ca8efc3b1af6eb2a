//! A film: a folder of frames, or a file that holds many.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::animation::Animation;
use super::array::Array;
use super::frames::Frames;
use super::video::{self, Video};
use crate::data::sample::Image;
use crate::data::source::decode::read_image;
use crate::data::source::walk::{is_hidden, is_image};
use crate::data::source::{npy, regular};
use crate::error::{Error, Result};
use crate::grid::span;

/// Bytes at the start of a file that say its format.
const START: u64 = 16;

/// A film that is not read yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Film {
    path: PathBuf,
    kind: Kind,
    /// How many frames there are: at least 2.
    pub(super) frames: usize,
    /// The size of its files in bytes.
    bytes: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// A folder of images.
    Folder,
    Animation(Animation),
    Array(Array),
    Video(Video),
}

impl Film {
    /// The film at `path`, with its frames counted and none of them read.
    ///
    /// # Errors
    ///
    /// When there is no film there, or one of a single frame.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let (kind, frames, bytes) = if path.is_dir() {
            let files = frames_in(path)?;
            let sizes = files.iter().map(|file| match file.metadata() {
                Ok(metadata) => Ok(metadata.len()),
                Err(error) => Err(Error::data(file, error)),
            });
            (Kind::Folder, files.len(), sizes.sum::<Result<u64>>()?)
        } else {
            let (_, bytes) = regular::open(path)?;
            let (kind, frames) = Self::file(path)?;
            (kind, frames, bytes)
        };
        match frames {
            0 => Err(Error::data(path, "holds no frames of a clip")),
            1 => Err(Error::data(path, "holds a single image; a clip has at least 2 frames")),
            _ => Ok(Self { path: path.into(), kind, frames, bytes }),
        }
    }

    /// The kind of a file, and how many frames it holds.
    fn file(path: &Path) -> Result<(Kind, usize)> {
        let name = path.file_name().unwrap_or_default();
        if !video::is_video(name) {
            if let Some(found) = Self::of_contents(path)? {
                return Ok(found);
            }
            if is_image(name) {
                let reason = "is a still image, and no clip: the frames of a clip lie in a folder of their own";
                return Err(Error::data(path, reason));
            }
        }
        let video = Video::of(path)?;
        let frames = video.frames;
        Ok((Kind::Video(video), frames))
    }

    /// The animation or array in a file; `None` when it is neither, or a single image.
    fn of_contents(path: &Path) -> Result<Option<(Kind, usize)>> {
        let (file, _) = regular::open(path)?;
        let mut start = Vec::new();
        let read = file.take(START).read_to_end(&mut start);
        read.map_err(|error| Error::data(path, error))?;
        if npy::is_npy(&start) {
            let array = Array::of(path)?;
            return Ok(array.map(|array| (Kind::Array(array.clone()), array.frames)));
        }
        let Some(animation) = Animation::of(&start) else { return Ok(None) };
        let frames = animation.count(path)?;
        Ok((frames > 1).then_some((Kind::Animation(animation), frames)))
    }

    /// Whether the image file `path` holds several frames.
    ///
    /// # Errors
    ///
    /// When the file is damaged.
    pub(super) fn holds_frames(path: &Path) -> Result<bool> {
        Self::of_contents(path).map(|found| found.is_some())
    }

    /// Up to `count` frames, each `stride` frames after the one before it, the first one at `start`.
    ///
    /// # Errors
    ///
    /// When the film cannot be opened.
    pub(super) fn frames(&self, start: usize, stride: usize, count: usize) -> Result<Frames> {
        let there = self.frames.saturating_sub(start).div_ceil(stride);
        let count = count.min(there);
        let path = &self.path;
        Ok(match &self.kind {
            Kind::Folder => {
                let files = frames_in(path)?.into_iter().skip(start).step_by(stride);
                let read = files.map(|file| {
                    let frame = read_image(&file);
                    (file, frame)
                });
                Frames::of_files(path, Box::new(read), count)
            }
            Kind::Animation(animation) => {
                Frames::of(path, Box::new(every(animation.frames(path)?, start, stride)), count)
            }
            Kind::Array(array) => Frames::of(path, Box::new(array.frames(start, stride)?), count),
            Kind::Video(video) => {
                let (frames, skipped) = video.frames(start, span(count, stride))?;
                Frames::of(path, Box::new(every(frames, skipped, stride)), count)
            }
        })
    }

    /// All frames, from the first to the last.
    ///
    /// # Errors
    ///
    /// When the film cannot be opened.
    pub(super) fn all(&self) -> Result<Frames> {
        let frames = self.frames(0, 1, usize::MAX)?;
        // Some codecs have more packets than pictures.
        Ok(if matches!(self.kind, Kind::Video(_)) { frames.or_fewer() } else { frames })
    }

    /// The size of its files in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The frames from `start` on, each `stride` frames after the one before it, and every error: `step_by`
/// would leave out those of the frames between.
fn every(
    frames: impl Iterator<Item = Result<Image>>,
    start: usize,
    stride: usize,
) -> impl Iterator<Item = Result<Image>> {
    frames.enumerate().filter_map(move |(at, frame)| {
        let is_wanted = at >= start && (at - start).is_multiple_of(stride);
        (is_wanted || frame.is_err()).then_some(frame)
    })
}

/// The images in a folder, as frames are numbered.
fn frames_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let fault = |error| Error::data(folder, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        if is_image(&name) && !is_hidden(&name) {
            files.push(folder.join(name));
        }
    }
    files.sort_by(|a, b| in_order(a.as_os_str(), b.as_os_str()));
    Ok(files)
}

/// The order of names with numbers in them: `frame2` before `frame10`.
pub(super) fn in_order(a: &OsStr, b: &OsStr) -> Ordering {
    let (mut left, mut right) = (a.as_encoded_bytes(), b.as_encoded_bytes());
    while let ([x, ..], [y, ..]) = (left, right) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let ((one, rest), (other, others)) = (number(left), number(right));
            (left, right) = (rest, others);
            one.len().cmp(&other.len()).then(one.cmp(other))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            x.cmp(y)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then(a.cmp(b))
}

/// The digits at the start, without zeros before them, and what follows.
fn number(name: &[u8]) -> (&[u8], &[u8]) {
    let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = name.split_at(digits);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (&digits[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_in_the_order_of_their_numbers() {
        let mut names =
            ["b1", "a10.png", "a2.png", "a02.png", "a1b20", "a1b3", "a"].map(OsStr::new);
        names.sort_by(|a, b| in_order(a, b));
        assert_eq!(names, ["a", "a1b3", "a1b20", "a02.png", "a2.png", "a10.png", "b1"]);
    }
}

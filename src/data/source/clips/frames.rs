//! The frames of a film, one after the other.

use std::path::{Path, PathBuf};

use crate::data::sample::Image;
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// The frames of a film, read one by one, from the first to the last. All have one size and one kind of
/// values.
///
/// After an error there is no further frame.
pub struct Frames {
    frames: Box<dyn Iterator<Item = (PathBuf, Result<Image>)>>,
    /// How many are to come.
    left: usize,
    /// Whether there may be fewer.
    is_open: bool,
    film: PathBuf,
    /// The file, shape and kind of values of the first one.
    first: Option<(PathBuf, ImageShape, &'static str)>,
    read: usize,
}

impl Frames {
    /// `count` frames of the film in the file `film`.
    pub(super) fn of(
        film: &Path,
        frames: Box<dyn Iterator<Item = Result<Image>>>,
        count: usize,
    ) -> Self {
        let path = film.to_path_buf();
        Self::of_files(film, Box::new(frames.map(move |frame| (path.clone(), frame))), count)
    }

    /// `count` frames of the film `film`, each with the file that it is in.
    pub(super) fn of_files(
        film: &Path,
        frames: Box<dyn Iterator<Item = (PathBuf, Result<Image>)>>,
        count: usize,
    ) -> Self {
        Self { frames, left: count, is_open: false, film: film.into(), first: None, read: 0 }
    }

    /// The same frames, of which there may be fewer: how many there are was an estimate.
    pub(super) fn or_fewer(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// The frame as the first one is, gray frames among those in color as these are.
    fn alike(&mut self, file: PathBuf, frame: Image) -> Result<Image> {
        let (shape, kind) = (frame.shape(), frame.pixels().kind());
        let Some((first, wanted, of_kind)) = &self.first else {
            self.first = Some((file, shape, kind));
            return Ok(frame);
        };
        let is_gray = shape.channels == 1 && wanted.channels == 3;
        let frame = if is_gray { frame.with_channels(3)? } else { frame };
        if frame.shape() != *wanted || kind != *of_kind {
            let number = self.read;
            let place =
                if file == self.film { format!("in its frame {number}, ") } else { String::new() };
            let reason = format!(
                "{place}is {shape} of {kind} values, and the first frame of the clip ({}) {wanted} of {of_kind}; \
                 all frames of a clip have one size",
                first.display()
            );
            return Err(Error::data(file, reason));
        }
        Ok(frame)
    }

    fn read(&mut self) -> Option<Result<Image>> {
        let Some((file, frame)) = self.frames.next() else {
            if self.is_open && self.read > 0 {
                return None;
            }
            let reason = format!("ends {} frames before it should; it may be cut short", self.left);
            return Some(Err(Error::data(&self.film, reason)));
        };
        Some(frame.and_then(|frame| self.alike(file, frame)))
    }
}

impl Iterator for Frames {
    type Item = Result<Image>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let frame = self.read();
        let is_read = matches!(frame, Some(Ok(_)));
        self.left = if is_read { self.left - 1 } else { 0 };
        self.read += 1;
        frame
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("film", &self.film).field("left", &self.left).finish()
    }
}

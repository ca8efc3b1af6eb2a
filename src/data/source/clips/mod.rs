//! Clips: films as folders of frames, animated pictures, arrays and video files.
//!
//! [`docs::clips`](crate::docs::clips) says what a film is, how a folder of them is laid out and what a
//! sample is: [`DataOptions::frames`] frames of a film, each [`DataOptions::stride`] frames after the one
//! before it. No film is held in memory as a whole.
//!
//! # Reading a film
//!
//! [`frames`] reads any film frame by frame:
//!
//! ```no_run
//! use std::path::Path;
//!
//! for frame in burn_mim::data::source::clips::frames(Path::new("street.mp4"))? {
//!     let frame = frame?;
//!     println!("{}", frame.shape());
//! }
//! # Ok::<(), burn_mim::Error>(())
//! ```

mod animation;
mod array;
mod dataset;
mod film;
mod frames;
mod listing;
mod parts;
mod video;

use std::path::Path;

pub use dataset::ClipDataset;
pub(crate) use dataset::splits;
pub use frames::Frames;

use crate::data::{DataOptions, ImageData};
use crate::error::Result;
use film::Film;

/// Opens the films below `folder`.
///
/// **Splits** and **classes** are told by folders as [`folder::open`](super::folder::open) tells them,
/// with a film in the place of an image: `train/run/film.mp4`, `train/run/film/0001.png`. Where there is
/// only a training split, or none, about a tenth of the films is held out, whole.
///
/// A folder whose images are stills is one film, unless videos lie beside them or it is `folder` itself;
/// otherwise each file is a film. Frames are counted here, without decoding them; what cannot be decoded is
/// an error when it is read, unless it is among the clips that are looked at.
///
/// # Errors
///
/// As [`folder::open`](super::folder::open), and when a film is damaged, is a still image, is shorter than
/// a sample, or is a video and there is no `ffmpeg`; names it.
pub fn open(folder: &Path) -> Result<ImageData> {
    let options = DataOptions::default();
    splits(folder, &options, &mut |_| {})?.open(&options, &mut |_| {})
}

/// All frames of the film at `path`, a folder of images or a file, from the first to the last.
///
/// # Errors
///
/// When there is no film, it is damaged, it has a single frame, or it is a video and there is no `ffmpeg`.
/// What is damaged in the middle is an error when its frame is read.
pub fn frames(path: &Path) -> Result<Frames> {
    Film::of(path)?.all()
}

//! Parts of films as samples.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};

use super::film::Film;
use super::listing::{Films, films};
use crate::data::sample::{Image, ImageDataset, Sample};
use crate::data::source::budget;
use crate::data::source::class_folders::ClassFolders;
use crate::data::source::layout::{Layout, Part};
use crate::data::source::noun::CLIPS;
use crate::data::source::walk::ImageFile;
use crate::data::{DataOptions, OpenProgress, Splits};
use crate::error::Result;
use crate::grid::span;

/// How many samples the statistics are measured on, each of which has many frames.
const LOOKED_AT: usize = 128;

/// Finds the splits in `folder`, and counts the frames of all films.
pub(crate) fn splits(
    folder: &Path,
    options: &DataOptions,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<Splits> {
    let window = Window { frames: options.frames(), stride: options.stride() };
    let Films { films, mut notes } = films(folder, window.span(), options.on_bad_image, progress)?;
    let file =
        |(path, film): &(PathBuf, Film)| ImageFile { path: path.clone(), size: film.bytes() };
    let layout = Layout::of(folder, CLIPS, films.iter().map(file).collect())?;
    let films: HashMap<_, _> =
        films.into_iter().map(|(path, film)| (folder.join(path), film)).collect();
    let classes = ClassFolders::of(&layout);
    let split = |part: &Part| {
        let film = |file: &ImageFile| {
            let film = films.get(&part.folder.join(&file.path))?;
            Some((film.clone(), classes.label(&file.path)))
        };
        ClipDataset::new(part.files.iter().filter_map(film).collect(), window, part.identity())
    };
    let (train, test) = (Arc::new(split(&layout.train)), Arc::new(split(&layout.test)));
    notes.extend(layout.notes.iter().cloned());
    notes.extend(classes.notes(&layout));
    let names = classes.names();
    let splits = Splits::new(train, test, names);
    Ok(Splits { notes, unknown_classes: classes.unknown, looked_at: LOOKED_AT, ..splits })
}

/// Which frames of a film a sample has.
#[derive(Debug, Clone, Copy)]
struct Window {
    frames: usize,
    stride: usize,
}

impl Window {
    /// From its first frame to its last.
    fn span(self) -> usize {
        span(self.frames, self.stride)
    }

    /// Where the parts of a film of so many frames begin, which are at least a span.
    fn starts(self, frames: usize) -> Vec<usize> {
        let (span, last) = (self.span(), frames - self.span());
        let mut starts: Vec<usize> = (0..=last).step_by(span).collect();
        if starts.last() != Some(&last) {
            starts.push(last);
        }
        starts
    }
}

/// Parts of films, decoded at each `get`.
#[derive(Debug)]
pub struct ClipDataset {
    films: Vec<(Film, Option<usize>)>,
    /// The film of each part, and its first frame.
    parts: Vec<(usize, usize)>,
    window: Window,
    identity: String,
}

impl ClipDataset {
    fn new(films: Vec<(Film, Option<usize>)>, window: Window, identity: String) -> Self {
        let parts = films.iter().enumerate().flat_map(|(place, (film, _))| {
            window.starts(film.frames).into_iter().map(move |start| (place, start))
        });
        Self { parts: parts.collect(), films, window, identity }
    }

    fn read(&self, index: usize) -> Result<Sample> {
        let (place, start) = self.parts[index];
        let (film, label) = &self.films[place];
        let Window { frames, stride } = self.window;
        let mut clip = Vec::new();
        for frame in film.frames(start, stride, frames)? {
            let frame = frame?;
            if clip.is_empty() {
                let shape = frame.shape();
                budget::of_frames(film.path(), [shape.width, shape.height], frames, film.bytes())?;
            }
            clip.push(frame);
        }
        Ok(Sample { image: Image::clip(&clip)?, label: *label })
    }
}

impl Dataset<Sample> for ClipDataset {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        self.read(index).map_err(DatasetError::new)
    }

    fn len(&self) -> usize {
        self.parts.len()
    }
}

impl ImageDataset for ClipDataset {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        Ok(self.films[self.parts[index].0].1)
    }

    fn name(&self, index: usize) -> String {
        let (film, start) = self.parts[index];
        let last = start + self.window.span() - 1;
        format!("{} (frames {start} to {last})", self.films[film].0.path().display())
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_one_after_the_other_and_the_last_ends_with_the_film() {
        let starts = |frames, stride, film| Window { frames, stride }.starts(film);
        assert_eq!(starts(4, 1, 12), [0, 4, 8]);
        assert_eq!(starts(4, 1, 13), [0, 4, 8, 9]);
        assert_eq!(starts(4, 2, 7), [0]);
        assert_eq!(starts(4, 2, 15), [0, 7, 8]);
        assert_eq!(starts(1, 5, 3), [0, 1, 2]);
    }
}

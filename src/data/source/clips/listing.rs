//! The films below a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::film::{Film, in_order};
use super::video;
use crate::data::options::{OnBadImage, OpenProgress, OpenStep};
use crate::data::scan::scan;
use crate::data::source::folder::{Wanted, listed};
use crate::data::source::walk::{ImageFile, extensions, is_image};
use crate::error::{Error, Result};

/// Files that are films, or frames of one.
const FILM_FILES: Wanted = Wanted {
    many: "images or videos",
    is: |name| is_image(name) || video::is_video(name),
    endings: || format!("{}, {}", extensions(), video::ENDINGS.join(", ")),
};

/// Films, and what is worth saying of others.
pub(super) struct Films {
    /// Each by its path below the folder of all.
    pub(super) films: Vec<(PathBuf, Film)>,
    pub(super) notes: Vec<String>,
}

/// The films below `folder` of which each has at least `least` frames.
pub(super) fn films(
    folder: &Path,
    least: usize,
    on_bad_image: OnBadImage,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<Films> {
    let (files, mut notes) = listed(folder, &FILM_FILES, on_bad_image, progress)?;
    let paths = candidates(folder, files);
    let places: Vec<usize> = (0..paths.len()).collect();
    let is_error = |film: &Result<Film>| film.is_err() && on_bad_image == OnBadImage::Error;
    let look = |place: usize| long_enough(Film::of(&folder.join(&paths[place]))?, least);
    let looked = scan(&places, look, is_error, &mut |done| {
        let (done, total) = (done as u64, Some(paths.len() as u64));
        progress(OpenProgress { step: OpenStep::Measure, done, total });
    });
    let (mut films, mut faults) = (Vec::new(), Vec::new());
    for (path, film) in paths.iter().zip(looked) {
        match film {
            Ok(film) => films.push((path.clone(), film)),
            Err(error) if on_bad_image == OnBadImage::Skip => faults.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    if let Some(first) = faults.first() {
        notes
            .push(format!("left out, as they are no clips: {} (the first: {first})", faults.len()));
    }
    if films.is_empty() {
        let reason = format!("holds no clips ({})", notes.last().map_or("", String::as_str));
        return Err(Error::data(folder, reason));
    }
    Ok(Films { films, notes })
}

fn long_enough(film: Film, least: usize) -> Result<Film> {
    if film.frames < least {
        let reason = format!(
            "has {} frames, and a sample takes {least}; ask for samples of fewer frames or of a \
             smaller stride (--set data_options.frames=N, --set data_options.stride=N), or skip \
             what is too short (--on-bad-image skip)",
            film.frames
        );
        return Err(Error::data(film.path(), reason));
    }
    Ok(film)
}

/// The paths of what should be films: folders of still images, and files.
fn candidates(root: &Path, files: Vec<ImageFile>) -> Vec<PathBuf> {
    let mut folders = BTreeMap::<PathBuf, Vec<PathBuf>>::new();
    for ImageFile { path, .. } in files {
        folders.entry(path.parent().map(PathBuf::from).unwrap_or_default()).or_default().push(path);
    }
    let mut films = Vec::new();
    for (folder, files) in folders {
        let is_video = |path: &PathBuf| path.file_name().is_some_and(video::is_video);
        let is_root = folder.as_os_str().is_empty();
        if is_root || files.iter().any(is_video) || !are_stills(root, &files) {
            films.extend(files);
        } else {
            films.push(folder);
        }
    }
    films.sort();
    films
}

/// Whether images of a folder are frames: the first that is no damaged file is a still.
fn are_stills(root: &Path, files: &[PathBuf]) -> bool {
    let mut files: Vec<_> = files.iter().collect();
    files.sort_by(|a, b| in_order(a.as_os_str(), b.as_os_str()));
    let mut holding = files.iter().map(|path| Film::holds_frames(&root.join(path)));
    holding.find_map(Result::ok).is_some_and(|holds| !holds)
}

//! Films: animations, arrays, folders of frames, and videos where there is an `ffmpeg`.

use std::path::Path;

use burn_mim::Result;
use burn_mim::data::source::clips::frames;
use burn_mim::data::{DataOptions, DataSpec};

use crate::campaign::{Seed, folder as files_of, fuzz};
use crate::films::{apng, folder, gif, has_ffmpeg, npy, video, webp};

/// The folder of a film that may be damaged beside a good one.
fn seed(write: impl Fn(&Path)) -> Seed {
    let dir = tempfile::tempdir().unwrap();
    for (split, class) in [("train", "a"), ("train", "b"), ("test", "a")] {
        folder(&dir.path().join(split).join(class).join("good"), 0..3, 6);
    }
    std::fs::create_dir(dir.path().join("train/c")).unwrap();
    write(&dir.path().join("train/c"));
    files_of(dir.path())
}

/// Reads all clips of two frames, and all frames of the film.
fn read(folder: &Path) -> Result<()> {
    let options = DataOptions::default().with_frames(Some(2));
    let data = DataSpec::Clips(folder.into()).open(&options, &mut |_| {})?;
    for index in 0..data.train.len() {
        data.train.get(index).map_err(|error| burn_mim::Error::data("a sample", error))?;
    }
    let films = std::fs::read_dir(folder.join("train/c")).unwrap();
    films
        .map(|film| frames(&film.unwrap().path()))
        .try_for_each(|film| film?.try_for_each(|frame| frame.map(drop)))
}

fn is_damaged(path: &Path) -> bool {
    path.starts_with("train/c")
}

#[test]
fn damaged_films_are_refused_or_read() {
    let array = |folder: &Path| {
        let values: Vec<u8> = (0..4 * 5 * 6 * 3).map(|at| (at % 251) as u8).collect();
        std::fs::write(folder.join("film.npy"), npy("(4, 5, 6, 3)", &values)).unwrap();
    };
    let seeds = [
        seed(|path| gif(&path.join("film.gif"), 4)),
        seed(|path| webp(&path.join("film.webp"), 4)),
        seed(|path| apng(&path.join("film.png"), 4)),
        seed(|path| folder(&path.join("film"), 0..4, 6)),
        seed(array),
    ];
    fuzz("clips", 120, &seeds, is_damaged, read);
}

#[test]
fn damaged_videos_are_refused_or_read() {
    if !has_ffmpeg() {
        return;
    }
    let names = ["film.mkv", "film.avi", "film.mov"];
    let seeds = names.map(|name| seed(|path| video(&path.join(name), 6)));
    fuzz("videos", 8, &seeds, is_damaged, read);
}

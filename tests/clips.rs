//! Films of every kind, good and bad, and the clips that are read from them.
#![cfg(all(feature = "data", feature = "flex"))]

#[path = "common/films.rs"]
mod films;

use std::fs;
use std::path::Path;

use burn_mim::data::source::clips::frames;
use burn_mim::data::{DataOptions, DataSpec, Image, ImageData, ImageDataset, OnBadImage};
use burn_mim::{ClipShape, ImageShape, Result};
use films::{apng, folder, gif, has_ffmpeg, npy, picture, video, webp};
use image::DynamicImage;

/// The red value of each frame's first pixel.
fn reds(frames: impl IntoIterator<Item = Image>) -> Vec<u8> {
    frames.into_iter().map(|frame| frame.plane(0).unwrap()[0]).collect()
}

fn all(path: &Path) -> Result<Vec<Image>> {
    frames(path)?.collect()
}

fn message(path: &Path) -> String {
    all(path).unwrap_err().to_string()
}

#[test]
fn every_kind_of_film_is_read_frame_by_frame() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    folder(&path("folder"), 0..12, 6);
    gif(&path("a.gif"), 12);
    webp(&path("a.webp"), 12);
    apng(&path("a.png"), 12);
    for name in ["folder", "a.gif", "a.webp", "a.png"] {
        let frames = all(&path(name)).unwrap();
        assert_eq!(reds(frames.clone()), (0..12).collect::<Vec<_>>(), "{name}");
        let green = frames[3].plane(1).unwrap();
        assert_eq!((frames[3].shape(), green[5]), (ImageShape::new(3, 4, 6), 45), "{name}");
    }
    let values: Vec<u8> = (0..3 * 2 * 5).collect();
    fs::write(path("gray.npy"), npy("(3, 2, 5)", &values)).unwrap();
    fs::write(path("color.npy"), npy("(3, 2, 1, 5)", &values)).unwrap();
    let (gray, color) = (all(&path("gray.npy")).unwrap(), all(&path("color.npy")).unwrap());
    assert_eq!((gray[1].shape(), reds(gray)), (ImageShape::new(1, 2, 5), vec![0, 10, 20]));
    assert_eq!(color[2].shape(), ImageShape::new(5, 2, 1));
    assert_eq!(color[2].bytes().unwrap(), [20, 25, 21, 26, 22, 27, 23, 28, 24, 29]);
}

#[test]
fn videos_are_read_from_any_frame_on() {
    if !has_ffmpeg() {
        return;
    }
    for name in ["a.mkv", "-b c.avi", "http:d.mov"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        video(&path, 30);
        folder(&dir.path().join("test/film"), 0..24, 6);
        let whole = all(&path).unwrap();
        assert_eq!(whole[0].shape(), ImageShape::new(3, 14, 18));
        assert_eq!(reds(whole), (0..30).map(|red| 2 * red).collect::<Vec<_>>());
        let parts = |frames, stride| {
            let options =
                DataOptions::default().with_frames(Some(frames)).with_stride(Some(stride));
            let train = open(dir.path(), &options).unwrap().train;
            clips_of(&*train).into_iter().map(|(reds, _)| reds).collect::<Vec<_>>()
        };
        let ends = |part: &Vec<u8>| (part[0], part[2]);
        let expected = [0, 14, 28, 42, 46].map(|first| (first, first + 4));
        let found: Vec<_> = parts(7, 1).iter().map(ends).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(parts(3, 10), [[0, 20, 40], [18, 38, 58]], "{name}");
    }
}

#[test]
fn a_video_that_is_damaged_is_named_and_not_read_in_part() {
    if !has_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (whole, path) = (dir.path().join("a.avi"), dir.path().join("b.avi"));
    video(&whole, 30);
    let bytes = fs::read(&whole).unwrap();
    let cases = [bytes[..bytes.len() / 2].to_vec(), bytes[..100].to_vec(), b"no video".to_vec()];
    for damaged in cases {
        fs::write(&path, damaged).unwrap();
        let message = message(&path);
        assert!(message.contains("b.avi: cannot be read as a video: "), "{message}");
        assert!(message.len() < 600, "{message}");
    }
}

#[test]
fn what_is_no_clip_is_named_and_told_what_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    folder(&path("one"), 3..4, 6);
    assert!(message(&path("one")).contains("one: holds a single image; a clip has at least 2"));
    assert!(message(&path("one/frame3.png")).contains("frame3.png: is a still image, and no clip"));
    fs::create_dir(path("none")).unwrap();
    assert!(message(&path("none")).contains("none: holds no frames"));
    assert!(message(&path("absent")).contains("absent: "));
    fs::write(path("short.npy"), npy("(3, 2, 5)", &[0; 29])).unwrap();
    assert!(message(&path("short.npy")).contains("short.npy: cannot be read as a clip: 29 bytes"));
    fs::write(path("still.npy"), npy("(9, 8, 3)", &[0; 216])).unwrap();
    assert!(message(&path("still.npy")).contains("still.npy: is a still image"));
}

#[test]
fn frames_that_differ_or_are_damaged_in_the_middle_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let film = dir.path().join("film");
    folder(&film, 0..5, 6);
    folder(&film, 5..6, 7);
    folder(&film, 6..8, 6);
    let mut read = frames(&film).unwrap();
    assert_eq!(read.by_ref().take(5).filter(Result::is_ok).count(), 5);
    let error = read.next().unwrap().unwrap_err().to_string();
    assert!(
        error.contains("frame5.png: is 3×4×7") && error.contains("frame0.png) 3×4×6"),
        "{error}"
    );
    assert!(read.next().is_none());
    // Gray among color is color, color among gray an error.
    let gray = DynamicImage::from(picture(5, 6)).into_luma8();
    gray.save(film.join("frame5.png")).unwrap();
    assert_eq!(all(&film).unwrap()[5].shape(), ImageShape::new(3, 4, 6));
    gray.save(film.join("frame0.png")).unwrap();
    assert!(message(&film).contains("frame1.png: is 3×4×6"), "{}", message(&film));
    let bytes = fs::read(film.join("frame4.png")).unwrap();
    gray.save(film.join("frame0.png")).unwrap();
    folder(&film, 0..1, 6);
    fs::write(film.join("frame4.png"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(message(&film).contains("frame4.png: cannot be read as an image"));
}

#[test]
fn animations_that_are_cut_anywhere_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    gif(&path("a.gif"), 5);
    webp(&path("a.webp"), 5);
    apng(&path("a.png"), 5);
    for name in ["a.gif", "a.webp", "a.png"] {
        let bytes = fs::read(path(name)).unwrap();
        for kept in [20, bytes.len() / 2, bytes.len() * 9 / 10, bytes.len() - 3] {
            fs::write(path(name), &bytes[..kept]).unwrap();
            let message = message(&path(name));
            assert!(message.contains(&format!("{name}: ")), "{message}");
        }
    }
}

/// Two classes of two films each, for training and for testing, of 20 frames or so.
fn films() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (split, first) in [("train", 0), ("test", 100)] {
        for (class, more) in [("run", 0), ("walk", 30)] {
            let path = dir.path().join(split).join(class);
            folder(&path.join("film"), first + more..first + more + 20, 6);
            gif(&path.join("other.gif"), 16);
        }
    }
    dir
}

fn open(folder: &Path, options: &DataOptions) -> Result<ImageData> {
    DataSpec::Clips(folder.into()).open(options, &mut |_| {})
}

fn clips_of(data: &dyn ImageDataset) -> Vec<(Vec<u8>, Option<usize>)> {
    let samples = (0..data.len()).map(|index| data.get(index).unwrap());
    let frames = |image: Image| reds((0..image.frames()).map(|at| image.frame(at)));
    samples.map(|sample| (frames(sample.image), sample.label)).collect()
}

#[test]
fn a_sample_is_a_part_of_a_film_with_the_label_of_its_folder() {
    let dir = films();
    let data = open(dir.path(), &DataOptions::default()).unwrap();
    assert_eq!(data.class_names, ["run", "walk"]);
    let found = clips_of(&*data.train);
    let ramp = |from: u8| (from..from + 16).collect::<Vec<u8>>();
    let expected = [(0, 0), (4, 0), (0, 0), (30, 1), (34, 1), (0, 1)];
    assert_eq!(found, expected.map(|(from, label)| (ramp(from), Some(label))));
    assert_eq!(
        (data.test.len(), data.shape),
        (6, ClipShape::new(ImageShape::new(3, 4, 6), 16).stacked())
    );
    let name = data.train.name(1);
    assert!(name.ends_with("film (frames 4 to 19)"), "{name}");
    let options = DataOptions::default().with_frames(Some(4)).with_stride(Some(5));
    let other = open(dir.path(), &options).unwrap();
    assert_eq!(
        clips_of(&*other.train)[..2],
        [(vec![0, 5, 10, 15], Some(0)), (vec![4, 9, 14, 19], Some(0))]
    );
    assert_eq!(other.identity, data.identity);
    assert!(data.verify(&mut |_| {}).is_empty());
}

#[test]
fn films_that_cannot_be_used_are_errors_or_left_out_and_counted() {
    let dir = films();
    let options = DataOptions::default();
    let skip = options.clone().with_on_bad_image(OnBadImage::Skip);
    let error = |options: &DataOptions| open(dir.path(), options).unwrap_err().to_string();
    let long = options.clone().with_frames(Some(18));
    assert!(
        error(&long).contains("other.gif: has 16 frames, and a sample takes 18"),
        "{}",
        error(&long)
    );
    let left = open(dir.path(), &skip.clone().with_frames(Some(18))).unwrap();
    assert_eq!(left.train.len(), 4);
    assert!(
        left.notes.iter().any(|note| note.contains("no clips: 4 (the first: ")),
        "{:?}",
        left.notes
    );
    // A still image beside films.
    picture(0, 6).save(dir.path().join("train/run/thumb.png")).unwrap();
    assert!(error(&options).contains("thumb.png: is a still image"), "{}", error(&options));
    assert_eq!(open(dir.path(), &skip).unwrap().train.len(), 6);
    fs::remove_file(dir.path().join("train/run/thumb.png")).unwrap();
    // A frame that is damaged is found when it is read, and its clip left out.
    fs::write(dir.path().join("train/walk/film/frame45.png"), b"\x89PNG\r\n\x1a\nno more").unwrap();
    let data = open(dir.path(), &skip).unwrap();
    let faults = data.verify(&mut |_| {});
    assert!(faults.len() == 2 && faults[0].contains("frame45.png: cannot be read"), "{faults:?}");
}

#[test]
fn folders_without_clips_and_options_that_make_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = |spec: DataSpec, options: DataOptions| {
        spec.open(&options, &mut |_| {}).unwrap_err().to_string()
    };
    let clips = || DataSpec::Clips(dir.path().into());
    let plain = DataOptions::default;
    assert!(
        error(clips(), plain()).contains("holds no images or videos; their names end in one of")
    );
    folder(dir.path(), 0..20, 6);
    assert!(error(clips(), plain()).contains("frame0.png: is a still image, and no clip"));
    let one = tempfile::tempdir().unwrap();
    folder(&one.path().join("film"), 0..20, 6);
    let message = error(DataSpec::Clips(one.path().into()), plain());
    assert!(message.contains("holds one clip only"), "{message}");
    assert!(error(clips(), plain().with_frames(Some(1))).contains("at least 2 frames"));
    assert!(error(DataSpec::Shapes, plain().with_frames(Some(8))).contains("for data of clips"));
    assert!(error(DataSpec::MovingShapes, plain().with_stride(Some(2))).contains("clips:DIR"));
    let packed = clips().pack(one.path(), Default::default(), &mut |_| {});
    assert!(packed.unwrap_err().to_string().contains("clips are not packed"));
}

//! A folder of images of any sizes, read when they are asked for.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use rand::seq::SliceRandom;

use crate::data::sample::{ImageDataset, Sample};
use crate::data::source::decode::read_image;
use crate::data::source::walk::{extensions, image_files};
use crate::data::{DataOptions, ImageData, Splits};
use crate::error::{Error, Result};
use crate::rng::{Purpose, stream};

/// What a test split may be called, most wanted first.
const TEST_FOLDERS: [&str; 4] = ["test", "val", "valid", "validation"];

/// The images in `folder`.
///
/// With a `train` folder and one of `test`, `val`, `valid`, `validation` (the first of these that
/// there is) in it, those are the splits. Otherwise every tenth image, drawn at random but always
/// the same ones, is held out. In each split, images in sub-folders are labelled by the first
/// sub-folder's name; images directly in it are unlabelled.
///
/// Grayscale images have 1 channel, all others 3, and all must have as many as the first one to
/// train on. Transparency is dropped, values are brought to 8 bits, EXIF orientation is applied.
/// Damaged images are errors when they are read, not here, unless the statistics look at them.
///
/// # Errors
///
/// When there are fewer than two images, when labelled and unlabelled images are mixed, or when the
/// test split has a class that the training split lacks.
pub fn open(folder: &Path) -> Result<ImageData> {
    splits(folder)?.open(&DataOptions::default(), &mut |_| {})
}

pub(crate) fn splits(folder: &Path) -> Result<Splits> {
    let train = folder.join("train");
    let test = TEST_FOLDERS.iter().map(|name| folder.join(name)).find(|path| path.is_dir());
    let (train, test, class_names) = match test {
        Some(test) if train.is_dir() => given_splits(&train, &test)?,
        _ => drawn_splits(folder)?,
    };
    let dataset = |files| Arc::new(FolderDataset { files });
    Ok(Splits::new(dataset(train), dataset(test), class_names))
}

/// Image files and their labels, decoded at each `get`.
#[derive(Debug, Clone)]
pub struct FolderDataset {
    files: Vec<LabelledFile>,
}

impl FolderDataset {
    /// The files in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }
}

impl Dataset<Sample> for FolderDataset {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        let file = &self.files[index];
        let image = read_image(&file.path).map_err(DatasetError::new)?;
        Ok(Sample { image, label: file.label })
    }

    fn len(&self) -> usize {
        self.files.len()
    }
}

impl ImageDataset for FolderDataset {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        Ok(self.files[index].label)
    }

    fn name(&self, index: usize) -> String {
        self.files[index].path.display().to_string()
    }
}

#[derive(Debug, Clone)]
struct LabelledFile {
    path: PathBuf,
    label: Option<usize>,
}

type Parts = (Vec<LabelledFile>, Vec<LabelledFile>, Vec<String>);

fn given_splits(train: &Path, test: &Path) -> Result<Parts> {
    let (train_files, classes) = labelled(train)?;
    let (mut test_files, test_classes) = labelled(test)?;
    if classes.is_empty() != test_classes.is_empty() {
        let is = |none: bool| if none { "is unlabelled" } else { "has class folders" };
        let (here, there) = (is(test_classes.is_empty()), is(classes.is_empty()));
        return Err(Error::data(test, format!("{here}, but {} {there}", train.display())));
    }
    let numbers: BTreeMap<_, _> = classes.iter().zip(0..).collect();
    for file in &mut test_files {
        if let Some(label) = file.label {
            let class = &test_classes[label];
            let number = numbers.get(class).ok_or_else(|| {
                Error::data(test.join(class), format!("is no class of {}", train.display()))
            })?;
            file.label = Some(*number);
        }
    }
    Ok((train_files, test_files, classes))
}

/// Nine tenths to train on and one, but at least one image, to test on.
fn drawn_splits(folder: &Path) -> Result<Parts> {
    let (files, classes) = labelled(folder)?;
    if let [only] = files.as_slice() {
        let reason = format!(
            "holds one image only ({}); one to train and one to test on are the least",
            only.path.display()
        );
        return Err(Error::data(folder, reason));
    }
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.shuffle(&mut stream(0, Purpose::Data, 0, 0));
    let mut held_out = vec![false; files.len()];
    for &index in &order[..(files.len() / 10).max(1)] {
        held_out[index] = true;
    }
    let mut is_test = held_out.into_iter();
    let (test, train) = files.into_iter().partition(|_| is_test.next() == Some(true));
    Ok((train, test, classes))
}

/// The images below `folder`, sorted, and the names of their classes, sorted; no names when the
/// images lie directly in it.
fn labelled(folder: &Path) -> Result<(Vec<LabelledFile>, Vec<String>)> {
    let files = image_files(folder)?;
    if files.is_empty() {
        let reason = format!("holds no images; their names end in one of: {}", extensions());
        return Err(Error::data(folder, reason));
    }
    let classes: Vec<Option<String>> = files.iter().map(|file| class_of(file)).collect();
    let flat = classes.iter().position(Option::is_none);
    let nested = classes.iter().position(Option::is_some);
    if let (Some(flat), Some(nested)) = (flat, nested) {
        let reason = format!(
            "mixes images with a class folder ({}) and without one ({})",
            files[nested].display(),
            files[flat].display()
        );
        return Err(Error::data(folder, reason));
    }
    let mut names = Vec::new();
    let labels = classes.into_iter().map(|class| {
        let class = class?;
        // The files are sorted, so a class's files follow each other.
        if names.last() != Some(&class) {
            names.push(class);
        }
        Some(names.len() - 1)
    });
    let join = |(path, label)| LabelledFile { path: folder.join::<&PathBuf>(path), label };
    let files = files.iter().zip(labels).map(join).collect();
    Ok((files, names))
}

/// The first folder of a relative path.
fn class_of(file: &Path) -> Option<String> {
    let mut parts = file.components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(class)), Some(_)) => Some(class.to_string_lossy().into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use image::{DynamicImage, ImageBuffer, Luma, Rgb};
    use std::fs;
    use tempfile::TempDir;

    fn colour(width: u32, height: u32, value: u8) -> DynamicImage {
        ImageBuffer::from_pixel(width, height, Rgb([value; 3])).into()
    }

    fn gray() -> DynamicImage {
        ImageBuffer::from_pixel(2, 2, Luma([5_u8])).into()
    }

    /// A folder with these image files.
    fn folder(files: &[(&str, DynamicImage)]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, image) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            image.save(path).unwrap();
        }
        dir
    }

    fn message(dir: &TempDir) -> String {
        open(dir.path()).unwrap_err().to_string()
    }

    fn labels(split: &dyn Dataset<Sample>) -> Vec<Option<usize>> {
        (0..split.len()).map(|index| split.get(index).unwrap().label).collect()
    }

    #[test]
    fn given_splits_are_labelled_by_their_folders() {
        let dir = folder(&[
            ("train/dog/1.png", colour(4, 3, 20)),
            ("train/cat/deep/er/2.jpg", colour(5, 5, 10)),
            ("val/dog/3.bmp", colour(2, 2, 30)),
        ]);
        let data = open(dir.path()).unwrap();
        assert_eq!(data.class_names, ["cat", "dog"]);
        assert_eq!(labels(&*data.train), [Some(0), Some(1)]);
        assert_eq!(labels(&*data.test), [Some(1)]);
        assert_eq!(data.shape, ImageShape::new(3, 5, 5));
        let second = data.train.get(1).unwrap().image;
        assert_eq!(second.shape(), ImageShape::new(3, 3, 4));
        assert!(second.pixels().iter().all(|&value| value == 20));
    }

    #[test]
    fn test_goes_before_val_and_its_classes_must_be_known() {
        let dir = folder(&[
            ("train/dog/1.png", colour(2, 2, 1)),
            ("val/dog/1.png", colour(2, 2, 1)),
            ("test/emu/1.png", colour(2, 2, 1)),
        ]);
        assert!(message(&dir).contains("test/emu: is no class of"), "{}", message(&dir));
    }

    #[test]
    fn a_drawn_split_holds_out_the_same_tenth_every_time() {
        let names: Vec<String> = (0..25).map(|number| format!("{number:02}.png")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), colour(1, 1, 0))).collect();
        let split = |dir: &TempDir| {
            let (train, test, classes) = drawn_splits(dir.path()).unwrap();
            assert!(classes.is_empty());
            let names = |files: Vec<LabelledFile>| -> Vec<_> {
                files.iter().map(|file| file.path.file_name().unwrap().to_owned()).collect()
            };
            (names(train), names(test))
        };
        let (train, test) = split(&folder(&files));
        assert_eq!((train.len(), test.len()), (23, 2));
        assert!(train.is_sorted() && test.iter().all(|name| !train.contains(name)));
        assert_eq!(split(&folder(&files)), (train, test));
    }

    #[test]
    fn the_least_folder_holds_two_images() {
        let two = folder(&[("a.png", colour(1, 1, 0)), ("b.png", colour(1, 1, 0))]);
        let data = open(two.path()).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (1, 1));
        assert_eq!(labels(&*data.train), [None]);

        let one = folder(&[("a.png", colour(1, 1, 0))]);
        assert!(message(&one).contains("holds one image only"), "{}", message(&one));
        let none = folder(&[]);
        fs::write(none.path().join("notes.txt"), "hello").unwrap();
        assert!(message(&none).contains("holds no images; their names end in one of: bmp, gif"));
    }

    #[test]
    fn labelled_and_unlabelled_images_do_not_mix() {
        let dir = folder(&[("a.png", colour(1, 1, 0)), ("cat/b.png", colour(1, 1, 0))]);
        assert!(message(&dir).contains("mixes images with a class folder (cat/b.png)"));
        let dir = folder(&[("train/a.png", colour(1, 1, 0)), ("test/cat/b.png", colour(1, 1, 0))]);
        assert!(message(&dir).contains("test: has class folders, but"), "{}", message(&dir));
        assert!(message(&dir).ends_with("train is unlabelled"), "{}", message(&dir));
    }

    #[test]
    fn an_image_of_other_channels_is_converted() {
        let dir = folder(&[
            ("train/a.png", colour(2, 2, 0)),
            ("test/b.png", gray()),
            ("test/c.png", colour(2, 2, 0)),
        ]);
        let data = open(dir.path()).unwrap();
        assert_eq!(data.test.get(0).unwrap().image.pixels(), [5; 12]);
        assert_eq!(data.test.name(0), dir.path().join("test/b.png").display().to_string());
    }

    #[test]
    fn a_damaged_image_is_named() {
        let dir = folder(&[("train/a.png", gray()), ("test/b.png", gray())]);
        fs::write(dir.path().join("test/b.png"), b"\x89PNG\r\n\x1a\n").unwrap();
        let data = open(dir.path()).unwrap();
        assert_eq!(data.shape, ImageShape::new(1, 2, 2));
        let message = data.test.get(0).unwrap_err().to_string();
        assert!(message.contains("test/b.png: cannot be read as an image"), "{message}");

        fs::write(dir.path().join("train/a.png"), b"").unwrap();
        assert!(self::message(&dir).contains("train/a.png: cannot be read as an image"));
    }
}

//! Folders as users have them: opened for training and for evaluation, through the public API.

mod common;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataset::{Dataset, DatasetError};
use burn_mim::data::augment::Augmentation;
use burn_mim::data::{
    Channels, DataOptions, DataSpec, Image, ImageData, ImageDataset, OnBadImage, Sample, Splits,
    Subset,
};
use burn_mim::eval::labelled_share;
use burn_mim::run::{Run, RunConfig};
use burn_mim::train::RunFolder;
use burn_mim::{ImageShape, MaeConfig};
use common::{IMAGE, device, mae, recipe};
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};
use tempfile::TempDir;

fn color(value: u8) -> DynamicImage {
    RgbImage::from_fn(16, 16, |x, y| Rgb([value, x as u8 * 9, (x * y) as u8])).into()
}

fn gray(value: u8) -> DynamicImage {
    GrayImage::from_fn(16, 16, |x, _| Luma([value + x as u8])).into()
}

fn save(root: &Path, name: &str, image: &DynamicImage) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

/// 16 images to train on, 8 of each class, and 4 to test on.
fn cats_and_dogs() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..20u8 {
        let (split, class) = (if number < 16 { "Train" } else { "Test" }, number % 2);
        let name = format!("{split}/{}/{number:02}.png", ["cat", "dog"][usize::from(class)]);
        save(dir.path(), &name, &color(number * 10));
    }
    dir
}

fn open(folder: &Path, options: &DataOptions) -> burn_mim::Result<ImageData> {
    DataSpec::Folder(folder.into()).open(options, &mut |_| {})
}

fn labels(images: &dyn ImageDataset) -> Vec<Option<usize>> {
    (0..images.len()).map(|index| images.label(index).unwrap()).collect()
}

#[test]
fn a_run_keeps_how_its_data_was_opened() {
    let (dir, out) = (cats_and_dogs(), tempfile::tempdir().unwrap());
    let options = DataOptions::default().with_train_images(Some(8));
    let data = open(dir.path(), &options).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (8, 4));
    let mut run = Run::new(data.clone(), out.path(), &device());
    (run.batch_size, run.workers) = (4, 0);
    (run.recipe, run.augmentation) = (Some(recipe(1)), Some(Augmentation::none()));
    run.pretrain(&mae(IMAGE)).unwrap();
    let config = RunConfig::<MaeConfig>::of(&RunFolder::new(out.path())).unwrap();
    assert_eq!(config.data_options, options.with_channels(Channels::Exactly(3)));
    let again = config.data.unwrap().open(&config.data_options, &mut |_| {}).unwrap();
    assert_eq!((again.identity, again.statistics), (data.identity, data.statistics));
    assert_eq!(labels(&*again.train), labels(&*data.train));
}

#[test]
fn labels_and_parts_are_had_of_images_that_cannot_be_read() {
    let dir = cats_and_dogs();
    let data = open(dir.path(), &DataOptions::default()).unwrap();
    for index in 0..data.train.len() {
        fs::write(data.train.name(index), b"no image any more").unwrap();
    }
    assert!(data.train.get(0).is_err());
    assert_eq!(labelled_share(&data.train, 0.5, 1).unwrap().len(), 8);
    let part = Subset::balanced(data.train.clone(), 6, 1).unwrap();
    let classes = labels(&part);
    assert_eq!(classes.iter().filter(|label| **label == Some(0)).count(), 3);
}

/// Counts how often each image is read.
struct Counting(Vec<AtomicUsize>);

impl Dataset<Sample> for Counting {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        self.0[index].fetch_add(1, Ordering::Relaxed);
        let image = Image::new(ImageShape::square(1, 1), vec![index as u8]).unwrap();
        Ok(Sample { image, label: Some(index % 2) })
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl ImageDataset for Counting {
    fn label(&self, index: usize) -> burn_mim::Result<Option<usize>> {
        Ok(Some(index % 2))
    }
}

#[test]
fn opening_reads_no_image_twice_and_none_of_the_test_split() {
    for train_images in [None, Some(50)] {
        let counting = |len| Arc::new(Counting((0..len).map(|_| AtomicUsize::new(0)).collect()));
        let (train, test) = (counting(200), counting(20));
        let options = DataOptions::default().with_train_images(train_images);
        Splits::new(train.clone(), test.clone(), vec![]).open(&options, &mut |_| {}).unwrap();
        let reads = |images: &Counting| images.0.iter().map(|n| n.load(Ordering::Relaxed)).max();
        assert_eq!((reads(&train), reads(&test)), (Some(1), Some(0)));
        let read: usize = train.0.iter().map(|n| n.load(Ordering::Relaxed)).sum();
        assert_eq!(read, train_images.unwrap_or(200));
    }
}

#[test]
fn a_gray_set_is_opened_for_an_encoder_of_colors_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..4u8 {
        save(dir.path(), &format!("train/{number}.png"), &gray(number));
        save(dir.path(), &format!("val/{number}.png"), &color(number));
    }
    let opened = |channels| open(dir.path(), &DataOptions::default().with_channels(channels));
    assert_eq!(opened(Channels::Auto).unwrap().shape.channels, 1);
    let data = opened(Channels::Exactly(3)).unwrap();
    assert_eq!((data.shape, data.statistics.mean.len()), (IMAGE, 3));
    assert_eq!(
        data.train.get(0).unwrap().image.plane(0).unwrap(),
        data.train.get(0).unwrap().image.plane(2).unwrap()
    );
    let message = opened(Channels::Exactly(4)).unwrap_err().to_string();
    assert!(message.contains("has 1 channels, but 4 were asked for"), "{message}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_never_opened_and_a_broken_link_is_named() {
    use std::os::unix::fs::symlink;
    let dir = cats_and_dogs();
    let train = dir.path().join("Train/cat");
    symlink("/dev/zero", train.join("zero.png")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(train.join("pipe.png")).status();
    let data = open(dir.path(), &DataOptions::default()).unwrap();
    assert_eq!(data.train.len(), 16);
    let count = if made.is_ok_and(|status| status.success()) { 2 } else { 1 };
    let expected = format!("not images, and left out: {count} pipes, devices or sockets");
    assert!(data.notes.contains(&expected), "{:?}", data.notes);

    symlink("gone", train.join("gone.png")).unwrap();
    let message = open(dir.path(), &DataOptions::default()).unwrap_err().to_string();
    assert!(message.contains("Train/cat/gone.png: is a link that leads nowhere"), "{message}");
    let skip = DataOptions::default().with_on_bad_image(OnBadImage::Skip);
    assert_eq!(open(dir.path(), &skip).unwrap().train.len(), 16);
}

#[cfg(unix)]
#[test]
fn a_folder_whose_name_is_no_text_is_opened() {
    use std::os::unix::ffi::OsStringExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(OsString::from_vec(b"caf\xe9".to_vec()));
    fs::rename(cats_and_dogs().keep(), &folder).unwrap();
    let mut text = OsString::from("folder:");
    text.push(&folder);
    let spec = DataSpec::from_os(&text).unwrap();
    let data = spec.open(&DataOptions::default(), &mut |_| {}).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (16, 4));
    let saved = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<DataSpec>(&saved).unwrap(), spec);
}

#[test]
fn no_training_image_is_refused_before_anything_is_opened() {
    let none = DataOptions::default().with_train_images(Some(0));
    let message = DataSpec::Shapes.open(&none, &mut |_| {}).unwrap_err().to_string();
    assert_eq!(
        message,
        "invalid configuration: the training images to use must be at least 1, got 0"
    );
}

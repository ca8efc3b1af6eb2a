//! Of [`super`].

use super::*;
use crate::data::Channels;
use crate::grid::ImageShape;
use image::{DynamicImage, ImageBuffer, Luma, Rgb};
use std::fs;
use tempfile::TempDir;

fn color(width: u32, height: u32, value: u8) -> DynamicImage {
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

/// A folder with images of one pixel.
fn pixels(names: &[&str]) -> TempDir {
    folder(&names.iter().map(|name| (*name, color(1, 1, 0))).collect::<Vec<_>>())
}

fn message(dir: &TempDir) -> String {
    open(dir.path()).unwrap_err().to_string()
}

fn labels(split: &dyn ImageDataset) -> Vec<Option<usize>> {
    (0..split.len()).map(|index| split.label(index).unwrap()).collect()
}

#[test]
fn given_splits_are_labelled_by_their_folders() {
    let dir = folder(&[
        ("train/dog/1.png", color(4, 3, 20)),
        ("train/cat/deep/er/2.jpg", color(5, 5, 10)),
        ("val/dog/3.bmp", color(2, 2, 30)),
    ]);
    let data = open(dir.path()).unwrap();
    assert_eq!(data.class_names, ["cat", "dog"]);
    assert_eq!(labels(&*data.train), [Some(0), Some(1)]);
    assert_eq!(labels(&*data.test), [Some(1)]);
    assert_eq!(data.test.get(0).unwrap().label, Some(1));
    assert_eq!(data.shape, ImageShape::new(3, 5, 5));
    let second = data.train.get(1).unwrap().image;
    assert_eq!(second.shape(), ImageShape::new(3, 3, 4));
    assert!(second.bytes().unwrap().iter().all(|&value| value == 20));
}

#[test]
fn images_without_a_class_and_classes_that_training_lacks_have_no_label() {
    let dir = pixels(&[
        "train/cat/1.png",
        "train/dog/2.png",
        "train/3.png",
        "val/cat/4.png",
        "val/emu/5.png",
    ]);
    let data = open(dir.path()).unwrap();
    assert_eq!(data.class_names, ["cat", "dog"]);
    assert_eq!(labels(&*data.train), [None, Some(0), Some(1)]);
    assert_eq!(labels(&*data.test), [Some(0), None]);
    assert_eq!(data.unknown_classes, ["emu"]);
    let notes = data.notes.join("\n");
    assert!(notes.contains("without a label: 1 images to train, 1 to test"), "{notes}");
    assert!(notes.contains("classes to test on that training lacks: emu"), "{notes}");

    let flat = pixels(&["train/cat/1.png", "train/dog/2.png", "val/3.png"]);
    assert_eq!(labels(&*open(flat.path()).unwrap().test), [None]);
    let unlabelled = open(pixels(&["train/1.png", "val/cat/2.png"]).path()).unwrap();
    assert_eq!((unlabelled.class_names.len(), labels(&*unlabelled.test)), (0, vec![None]));
}

#[test]
fn a_class_that_is_held_out_whole_is_a_class_all_the_same() {
    // The first eight bytes of md5("held out/rare/2.png") are in the lowest tenth.
    let names: Vec<_> = (0..30).map(|n| format!("{}/{n}.png", ["cat", "dog"][n % 2])).collect();
    let rare = "rare/2.png";
    let dir = pixels(&names.iter().map(String::as_str).chain([rare]).collect::<Vec<_>>());
    let data = open(dir.path()).unwrap();
    assert_eq!(data.class_names, ["cat", "dog", "rare"]);
    assert!(data.unknown_classes.is_empty());
    assert!(labels(&*data.test).contains(&Some(2)) && !labels(&*data.train).contains(&Some(2)));
    let said = "classes without an image to train on: rare".to_string();
    assert!(data.notes.contains(&said), "{:?}", data.notes);
}

#[test]
fn a_folder_without_images_says_what_is_in_it() {
    let none = folder(&[]);
    fs::write(none.path().join("notes.txt"), "hello").unwrap();
    let said = message(&none);
    assert!(said.contains("holds no images; their names end in one of: bmp, gif"), "{said}");
    assert!(said.ends_with("(not images, and left out: 1 .txt)"), "{said}");
}

#[test]
fn an_image_of_other_channels_is_converted() {
    let dir = folder(&[
        ("train/a.png", color(2, 2, 0)),
        ("test/b.png", gray()),
        ("test/c.png", color(2, 2, 0)),
    ]);
    let data = open(dir.path()).unwrap();
    assert_eq!(data.test.get(0).unwrap().image.bytes().unwrap(), [5; 12]);
    assert_eq!(data.test.name(0), dir.path().join("test/b.png").display().to_string());
    let options = DataOptions::default().with_channels(Channels::Exactly(1));
    let splits = splits(dir.path(), &options, &mut |_| {}).unwrap();
    assert_eq!(splits.open(&options, &mut |_| {}).unwrap().shape, ImageShape::new(1, 2, 2));
}

#[test]
fn a_damaged_image_is_named() {
    let dir = folder(&[("train/a.png", gray()), ("test/b.png", gray())]);
    fs::write(dir.path().join("test/b.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let data = open(dir.path()).unwrap();
    assert_eq!(data.shape, ImageShape::new(1, 2, 2));
    let message = data.test.get(0).unwrap_err().to_string();
    assert!(message.contains("test/b.png: cannot be read as an image"), "{message}");

    fs::write(dir.path().join("train/a.png"), b"\x89PNG").unwrap();
    assert!(self::message(&dir).contains("train/a.png: cannot be read as an image"));
}

#[test]
fn empty_files_are_found_before_any_image_is_read() {
    let dir = folder(&[("train/a.png", gray()), ("train/b.png", gray()), ("test/c.png", gray())]);
    fs::write(dir.path().join("test/c.png"), b"").unwrap();
    fs::write(dir.path().join("train/b.png"), b"").unwrap();
    let message = self::message(&dir);
    assert!(message.contains(".png: is an empty file, as are 1 more; remove it"), "{message}");
    let options = DataOptions::default().with_on_bad_image(OnBadImage::Skip);
    let data = splits(dir.path(), &options, &mut |_| {}).unwrap().open(&options, &mut |_| {});
    let faults = data.unwrap().verify(&mut |_| {});
    assert_eq!(faults.len(), 2);
    assert!(faults[1].ends_with("c.png: cannot be read as an image: the file is empty"));
}

#[test]
fn the_identity_is_of_names_and_sizes_and_not_of_the_place() {
    let names = ["train/cat/1.png", "train/dog/2.png", "val/cat/3.png"];
    let identity = |dir: &TempDir| open(dir.path()).unwrap().identity;
    let first = identity(&pixels(&names));
    assert_eq!(first, identity(&pixels(&names)));
    assert_ne!(first, identity(&pixels(&["train/cat/1.png", "train/dog/9.png", "val/cat/3.png"])));
    let larger = pixels(&names);
    color(30, 30, 9).save(larger.path().join("val/cat/3.png")).unwrap();
    assert_ne!(first, identity(&larger));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_an_error_or_left_out() {
    let dir = pixels(&["train/a.png", "test/b.png"]);
    std::os::unix::fs::symlink("nowhere", dir.path().join("train/gone.png")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("notes.txt")).unwrap();
    let said = message(&dir);
    assert!(said.contains("train/gone.png: is a link that leads nowhere (No such file"), "{said}");
    let options = DataOptions::default().with_on_bad_image(OnBadImage::Skip);
    let splits = splits(dir.path(), &options, &mut |_| {}).unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (1, 1));
    assert!(splits.notes.contains(&"skipped links that lead nowhere: 1".to_string()));
}

#[cfg(unix)]
#[test]
fn class_names_that_are_no_text_stay_as_many_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    for (number, class) in [&b"caf\xe9"[..], b"caf\xe8"].into_iter().enumerate() {
        for split in ["train", "test"] {
            let folder = dir.path().join(split).join(OsStr::from_bytes(class));
            fs::create_dir_all(&folder).unwrap();
            color(1, 1, number as u8).save(folder.join("1.png")).unwrap();
        }
    }
    let data = open(dir.path()).unwrap();
    assert_eq!(data.class_names, [r"caf\xe8", r"caf\xe9"]);
    assert_eq!(labels(&*data.test), [Some(0), Some(1)]);
}

#[test]
fn label_maps_lie_beside_the_images_or_in_a_tree_of_their_own() {
    let map = |value: u8| ImageBuffer::from_pixel(4, 3, Luma([value])).into();
    let dir = folder(&[
        ("d/images/train/a.png", color(4, 3, 20)),
        ("d/images/train/b.png", color(4, 3, 30)),
        ("d/images/val/c.jpg", color(4, 3, 10)),
        ("d/masks/train/a.png", map(2)),
        ("d/masks/val/c.png", map(255)),
        ("other/train/a.png", map(7)),
    ]);
    let open = |images: &str, masks: Option<&str>| {
        let masks = masks.map(|masks| dir.path().join(masks));
        let options = DataOptions::default().with_masks(masks);
        splits(&dir.path().join(images), &options, &mut |_| {}).unwrap()
    };
    let class = |images: &dyn ImageDataset, index| {
        images.label_map(index).unwrap().map(|map| map.classes()[0])
    };
    let data = open("d", None);
    assert_eq!((data.train.len(), data.test.len()), (2, 1));
    assert_eq!(class(&*data.train, 0), Some(2));
    assert_eq!(class(&*data.test, 0), Some(255));
    let missing = data.train.label_map(1).unwrap_err().to_string();
    assert!(missing.contains("b.png: is missing"), "{missing}");
    let data = open("d/images", Some("other"));
    assert_eq!(class(&*data.train, 0), Some(7));
    assert_eq!(class(&*open("d/images", None).train, 0), None);
}

use super::*;
use crate::data::OnBadImage;
use image::{ImageBuffer, ImageFormat, Rgb};
use std::fs::{self, File};
use std::io::Cursor;
use std::thread;

/// A picture of one color.
fn picture(color: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = ImageBuffer::from_pixel(5, 4, Rgb([color, 7, 9]));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn tar(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ::tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Samples of the keys `first`, `first + 1`, ... with their numbers as colors and as labels modulo 3.
fn numbered(first: u8, count: u8) -> Vec<u8> {
    let names: Vec<_> =
        (first..first + count).map(|n| (format!("{n:04}.png"), format!("{n:04}.cls"), n)).collect();
    let members: Vec<_> = names
        .iter()
        .flat_map(|(png, cls, n)| {
            [(png.as_str(), picture(*n)), (cls.as_str(), (n % 3).to_string().into_bytes())]
        })
        .collect();
    tar(&members)
}

fn folder(shards: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in shards {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

fn splits_of(dir: &tempfile::TempDir) -> Result<Splits> {
    splits(dir.path(), &mut |_| {})
}

fn colors(split: &dyn crate::data::ImageDataset) -> Vec<u8> {
    let color = |index| split.get(index).unwrap().image.bytes().unwrap()[0];
    (0..split.len()).map(color).collect()
}

fn labels(split: &dyn crate::data::ImageDataset) -> Vec<Option<usize>> {
    (0..split.len()).map(|index| split.label(index).unwrap()).collect()
}

#[test]
fn members_of_one_key_are_a_sample_in_the_order_of_the_shards() {
    let text = |text: &str| text.as_bytes().to_vec();
    let train = tar(&[
        ("./b.cls", text("1")),
        ("./b.PNG", picture(1)),
        ("./b.txt", text("a caption")),
        ("a/x.png", picture(2)),
        ("README", text("x")),
        ("._b.png", text("left by a system")),
        ("b.seg.png", text("of another kind")),
        ("a/x.json", text(r#"{"label": 0}"#)),
    ]);
    let dir = folder(&[
        ("train/1.tar", numbered(50, 2)),
        ("train/0.tar", train),
        ("val/0.tar", numbered(90, 1)),
        (CLASSES_FILE, text(r#"["cat", "dog", "owl"]"#)),
    ]);
    let splits = splits_of(&dir).unwrap();
    assert_eq!(colors(&*splits.train), [1, 2, 50, 51]);
    assert_eq!(labels(&*splits.train), [1, 0, 2, 0].map(Some));
    assert_eq!(colors(&*splits.test), [90]);
    assert_eq!(splits.class_names, ["cat", "dog", "owl"]);
    assert_eq!(splits.train.shards(), Some(vec![2, 2]));
    assert!(splits.train.name(1).ends_with("0.tar/a/x.png"), "{}", splits.train.name(1));
    assert_eq!(splits.notes, ["trained on the shards of train (2), tested on val (1)"]);
    let file = splits.train.file(0).unwrap().unwrap();
    assert_eq!((file.ending.as_str(), file.bytes), ("png", picture(1)));
}

const CLASSES_FILE: &str = "classes.json";

#[test]
fn folders_in_the_keys_are_classes_where_no_sample_has_a_label() {
    let dir = folder(&[
        ("train-0.tar", tar(&[("owl/1.png", picture(1)), ("img/cat/2.png", picture(2))])),
        ("train-1.tar", tar(&[("dog/1.png", picture(3)), ("4.png", picture(4))])),
        ("test-0.tar", tar(&[("cat/1.png", picture(5)), ("elk/1.png", picture(6))])),
    ]);
    let splits = splits_of(&dir).unwrap();
    assert_eq!(splits.class_names, ["cat", "dog", "owl"]);
    assert_eq!(labels(&*splits.train), [Some(2), Some(0), Some(1), None]);
    assert_eq!(labels(&*splits.test), [Some(0), None]);
    assert_eq!(splits.unknown_classes, ["elk"]);
    assert!(splits.notes.contains(&"without a label: 1 images to train, 1 to test".to_string()));
}

#[test]
fn a_tenth_is_held_out_by_the_keys_alone() {
    let dir = folder(&[("a.tar", numbered(0, 100)), ("b.tar", numbered(100, 60))]);
    let splits = splits_of(&dir).unwrap();
    let (train, test) = (colors(&*splits.train), colors(&*splits.test));
    assert!((8..=24).contains(&test.len()), "{}", test.len());
    assert_eq!(train.len() + test.len(), 160);
    assert_eq!(splits.train.shards().unwrap().iter().sum::<usize>(), train.len());
    let whole = fs::read(dir.path().join("b.tar")).unwrap();
    let other = folder(&[("x.tar", whole), ("y.tar", numbered(200, 50))]);
    let again = colors(&*splits_of(&other).unwrap().test);
    let of_b = |colors: Vec<u8>| -> Vec<u8> {
        colors.into_iter().filter(|color| (100..160).contains(color)).collect()
    };
    assert_eq!(of_b(again), of_b(test));
    let two = folder(&[("a.tar", numbered(0, 2))]);
    let splits = splits_of(&two).unwrap();
    assert_eq!([splits.train.len(), splits.test.len()], [1, 1]);
}

#[test]
fn faults_name_the_shard_and_the_key() {
    let text = |text: &str| text.as_bytes().to_vec();
    let good = || ("a.png", picture(1));
    for (members, expected) in [
        (vec![good(), ("b.cls", text("1"))], "sample b: there is a label and no image"),
        (vec![good(), ("a.png", picture(2))], "sample a: there are two members of this key"),
        (vec![good(), ("b.png", picture(2)), ("a.jpg", picture(2))], "sample a: there are two"),
        (vec![good(), ("a.cls", text("1")), ("b.png", picture(2))], "sample b: there is no label"),
        (vec![good(), ("a.cls", text("cat"))], "sample a: the label in .cls is `cat`"),
        (vec![good(), ("a.json", text("{"))], "sample a: its .json cannot be read"),
        (
            vec![
                good(),
                ("a.cls", text("1")),
                ("b.png", picture(2)),
                ("b.json", text(r#"{"label": "x"}"#)),
            ],
            "sample a: its label is a number, and others are names",
        ),
        (vec![good()], "holds 1 images; at least one to train on and one to test on"),
    ] {
        let dir = folder(&[("x.tar", tar(&members))]);
        let message = splits_of(&dir).err().unwrap().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("x.tar: sample") || expected.starts_with("holds"), "{message}");
    }
    let none = folder(&[("x.tar.gz", vec![])]);
    let message = splits_of(&none).err().unwrap().to_string();
    assert!(message.contains("whose names end in .tar (there are other files: .gz)"), "{message}");
}

#[test]
fn a_shard_cut_anywhere_or_joined_to_another_is_refused() {
    let whole = numbered(0, 3);
    let end = whole.len() - 1024;
    for kept in (0..end + 1024).step_by(256).chain([end - 1, end + 1]) {
        let dir = folder(&[("x.tar", whole[..kept].to_vec())]);
        let message = splits_of(&dir).err().map(|error| error.to_string());
        let message = message.unwrap_or_else(|| panic!("{kept} of {} were read", whole.len()));
        assert!(
            message.contains("x.tar: ") && message.contains("is cut")
                || message.contains("cannot be read"),
            "{message}"
        );
    }
    let dir = folder(&[("x.tar", [whole.clone(), whole].concat())]);
    let message = splits_of(&dir).err().unwrap().to_string();
    assert!(message.contains("bytes after its end, as archives that were joined do"), "{message}");
}

#[test]
fn the_index_is_made_once_and_again_for_another_shard() {
    let dir = folder(&[("x.tar", numbered(0, 20))]);
    let (shard, index) = (dir.path().join("x.tar"), dir.path().join("x.tar.index"));
    let identity = |dir| splits_of(dir).unwrap().train.identity();
    let first = identity(&dir);
    let made = fs::metadata(&index).unwrap().modified().unwrap();
    assert_eq!(identity(&dir), first);
    assert_eq!(fs::metadata(&index).unwrap().modified().unwrap(), made);
    let good = fs::read(&index).unwrap();
    assert_eq!(good.len(), 64 + 2 + 20 * 12);
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&index, &bad[..bad.len() - at % 3]).unwrap();
        assert_eq!(identity(&dir), first, "byte {at}");
        assert_eq!(fs::read(&index).unwrap(), good, "byte {at}");
    }
    // Another shard of the same size and time.
    let time = fs::metadata(&shard).unwrap().modified().unwrap();
    fs::write(&shard, numbered(50, 20)).unwrap();
    File::options().append(true).open(&shard).unwrap().set_modified(time).unwrap();
    let splits = splits_of(&dir).unwrap();
    assert!(colors(&*splits.train).iter().all(|color| *color >= 50));
}

#[test]
fn a_shard_that_changes_after_it_was_opened_is_an_error_that_names_it() {
    let dir = folder(&[("x.tar", numbered(0, 20))]);
    let shard = dir.path().join("x.tar");
    for other in [vec![0; 1 << 20], numbered(0, 3), vec![7; 1 << 20]] {
        fs::write(&shard, numbered(0, 20)).unwrap();
        let splits = splits_of(&dir).unwrap();
        fs::write(&shard, other).unwrap();
        let error = splits.train.get(splits.train.len() - 1).unwrap_err();
        let message = crate::data::sample::data_error(0, error).to_string();
        assert!(message.contains("x.tar: changed since it was opened"), "{message}");
    }
}

#[test]
fn a_broken_image_is_named_by_shard_and_member_or_left_out() {
    let mut members = vec![("bad.png", picture(1)[..30].to_vec())];
    let names: Vec<_> = (0..9).map(|n| format!("{n}.png")).collect();
    members.extend(names.iter().map(|name| (name.as_str(), picture(3))));
    let dir = folder(&[("train/x.tar", tar(&members)), ("val/x.tar", numbered(0, 1))]);
    let options = DataOptions::default();
    let open = |options: &DataOptions| splits_of(&dir).unwrap().open(options, &mut |_| {});
    let message = open(&options).unwrap_err().to_string();
    assert!(message.contains("x.tar/bad.png: cannot be read as an image"), "{message}");
    let data = open(&options.clone().with_on_bad_image(OnBadImage::Skip)).unwrap();
    assert!(data.train.get(0).is_err() && data.train.get(1).is_ok());
    assert_eq!(data.verify(&mut |_| {}).len(), 1);
}

#[test]
fn threads_read_at_once_and_more_shards_than_are_kept_open() {
    let names: Vec<_> = (0..70_u8).map(|n| format!("{n:02}.tar")).collect();
    let shards: Vec<_> =
        (0..70).map(|n| (names[n as usize].as_str(), numbered(2 * n, 2))).collect();
    let dir = folder(&shards);
    let splits = splits_of(&dir).unwrap();
    let alone = colors(&*splits.train);
    assert!(alone.is_sorted());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(colors(&*splits.train), alone));
        }
    });
}

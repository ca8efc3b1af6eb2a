//! Of [`super`]: the trees of sets in circulation.

use super::*;
use crate::data::source::noun::IMAGES;
use crate::rng::{Purpose, stream};
use rand::RngExt;
use std::collections::BTreeSet;

/// The layout of these paths in a folder called `root`.
fn layout(paths: &[&str]) -> Result<Layout> {
    let file = |path: &&str| ImageFile { path: path.into(), size: 1 };
    let mut files: Vec<_> = paths.iter().map(file).collect();
    files.sort();
    Layout::of(Path::new("root"), IMAGES, files)
}

fn paths(part: &Part) -> Vec<&str> {
    part.files.iter().map(|file| file.path.to_str().unwrap()).collect()
}

#[track_caller]
fn assert_splits(files: &[&str], train: (&str, &[&str]), test: (&str, &[&str])) {
    let found = layout(files).unwrap();
    assert_eq!((found.train.folder.to_str().unwrap(), &*paths(&found.train)), train);
    assert_eq!((found.test.folder.to_str().unwrap(), &*paths(&found.test)), test);
}

#[track_caller]
fn assert_refused(files: &[&str], expected: &str) {
    let message = layout(files).unwrap_err().to_string();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn splits_are_told_by_their_names() {
    for (train, test) in [
        ("train", "test"),
        ("Train", "Test"),
        ("TRAINING", "VALIDATION"),
        ("training", "testing"),
        ("trn", "dev"),
        ("train", "Eval"),
        ("train2017", "val2017"),
        ("training_set", "test_set"),
        ("TrainImages", "TestImages"),
        ("seg_train", "seg_test"),
        ("asl_alphabet_train", "asl_alphabet_test"),
        ("DIV2K_train_HR", "DIV2K_valid_HR"),
    ] {
        let files = [format!("{train}/cat/1.png"), format!("{test}/cat/2.png")];
        let folders = [train, test].map(|name| format!("root/{name}"));
        assert_splits(
            &[&files[0], &files[1]],
            (&folders[0], &["cat/1.png"]),
            (&folders[1], &["cat/2.png"]),
        );
    }
}

#[test]
fn splits_are_found_inside_folders_that_hold_nothing_else() {
    let train = ("root/data/set/train", &["1.png"][..]);
    assert_splits(
        &["data/set/train/1.png", "data/set/val/2.png"],
        train,
        ("root/data/set/val", &["2.png"]),
    );
    // Kaggle's habit of packing a folder into one of its own name, Tiny ImageNet's `images`.
    assert_splits(
        &[
            "seg_train/seg_train/sea/1.jpg",
            "seg_test/seg_test/sea/2.jpg",
            "seg_pred/seg_pred/3.jpg",
        ],
        ("root/seg_train/seg_train", &["sea/1.jpg"]),
        ("root/seg_test/seg_test", &["sea/2.jpg"]),
    );
    assert_splits(
        &["train/n1/images/1.jpg", "train/n2/images/2.jpg", "val/images/3.jpg"],
        ("root/train", &["n1/images/1.jpg", "n2/images/2.jpg"]),
        ("root/val/images", &["3.jpg"]),
    );
    // Classes in a folder of another name.
    let found = layout(&["101_ObjectCategories/ant/1.jpg", "101_ObjectCategories/bee/2.jpg"]);
    assert_eq!(found.unwrap().train.folder, Path::new("root/101_ObjectCategories"));
}

#[test]
fn a_class_may_have_the_name_of_a_split_inside_one() {
    assert_splits(
        &["train/bus/1.png", "train/train/2.png", "test/train/3.png"],
        ("root/train", &["bus/1.png", "train/2.png"]),
        ("root/test", &["train/3.png"]),
    );
}

#[test]
fn a_labelled_test_split_goes_before_an_unlabelled_one_and_test_before_val() {
    let train = ("root/train", &["a/1.png"][..]);
    let labelled = ["train/a/1.png", "val/a/2.png", "test/a/3.png"];
    assert_splits(&labelled, train, ("root/test", &["a/3.png"]));
    let flat = ["train/a/1.png", "val/a/2.png", "test/3.png", "extra/a/4.png", "5.png"];
    assert_splits(&flat, train, ("root/val", &["a/2.png"]));
    let notes = layout(&flat).unwrap().notes;
    assert_eq!(notes[0], "not used: extra, test; images beside the splits: 1");
    assert_eq!(notes[1], "trained on train, tested on val");
}

#[test]
fn what_could_be_two_things_is_refused() {
    assert_refused(
        &["Train/1.png", "train/2.png"],
        "root: Train and train would be the same split",
    );
    assert_refused(
        &["train/1.png", "test/2.png", "testing/3.png"],
        "root: test and testing would be the same split; rename or move one of them",
    );
    assert_refused(
        &["bus/1.png", "car/2.png", "train/3.png"],
        "root: train has the name of a split, but beside it are folders of images that are none \
         (bus, car): if it is a class",
    );
    assert_refused(
        &["images/train/1.png", "images/val/2.png", "labels/train/1.png", "labels/val/2.png"],
        "root: has folders with splits of their own inside (images); name one of them \
         (folder:root/images)",
    );
    assert_refused(
        &["test/cat/1.png", "test/dog/2.png"],
        "root/test: is a test split, and there is",
    );
    assert_refused(&["Train/cat/1.png"], "root/Train: holds one image only (root/Train/cat/1.png)");
}

#[test]
fn a_training_split_alone_is_split_and_its_classes_are_its_folders() {
    let files: Vec<_> =
        (0..100).map(|n| format!("Train/{}/{n:02}.png", ["cat", "dog"][n % 2])).collect();
    let found = layout(&files.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert_eq!(
        (&*found.train.folder, &*found.test.folder),
        (Path::new("root/Train"), Path::new("root/Train"))
    );
    assert_eq!(found.train.files.len() + found.test.files.len(), 100);
    assert!((3..=20).contains(&found.test.files.len()), "{}", found.test.files.len());
    assert!(
        found
            .train
            .files
            .iter()
            .all(|file| file.path.starts_with("cat") || file.path.starts_with("dog"))
    );
    assert!(found.notes[0].starts_with("no test split: "));
}

#[test]
fn another_file_moves_none_between_training_and_testing() {
    let names: Vec<_> = (0..200).map(|number| format!("{number:03}.png")).collect();
    let held_out = |names: &[&str]| {
        let found = layout(names).unwrap();
        paths(&found.test).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let before = held_out(&all);
    assert!((8..=35).contains(&before.len()), "{before:?}");
    for new in ["000a.png", "zzz.png", "0.png", "cat/1.png"] {
        let mut after = held_out(&[&all[..], &[new]].concat());
        after.retain(|name| name != new);
        assert_eq!(after, before, "{new}");
    }
    for gone in 0..20 {
        let rest: Vec<_> = all.iter().filter(|name| **name != all[gone]).copied().collect();
        let expected: Vec<_> = before.iter().filter(|name| *name != all[gone]).cloned().collect();
        assert_eq!(held_out(&rest), expected);
    }
}

#[test]
fn the_hash_of_a_path_is_what_the_documentation_says() {
    // hashlib.md5(b"held out/cat/1.png").digest()[:8], big-endian.
    assert_eq!(key(Path::new("cat/1.png")), 0x6e79014d28c9c01a);
}

#[test]
fn two_images_are_the_least_and_go_to_two_sides() {
    let found = layout(&["a.png", "b.png"]).unwrap();
    assert_eq!((found.train.files.len(), found.test.files.len()), (1, 1));
    assert_refused(&["a.png"], "root: holds one image only (root/a.png)");
}

#[test]
fn whatever_the_tree_no_image_is_on_both_sides_and_none_is_made_up() {
    const NAMES: [&str; 9] =
        ["train", "Train", "test", "val", "cat", "dog", "images", "seg_train", "seg_test"];
    let (mut split, mut refused) = (0, 0);
    for tree in 0..3000 {
        let mut rng = stream(1, Purpose::Data, 0, tree);
        let mut path = |number: usize| {
            let depth = rng.random_range(0..4);
            let folders =
                (0..depth).map(|_| format!("{}/", NAMES[rng.random_range(0..NAMES.len())]));
            folders.collect::<String>() + &format!("{number}.png")
        };
        let files: Vec<String> = (0..1 + tree as usize % 7).map(&mut path).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let Ok(found) = layout(&files) else {
            refused += 1;
            continue;
        };
        split += 1;
        let all = |part: &Part| -> BTreeSet<_> {
            part.files.iter().map(|file| part.folder.join(&file.path)).collect()
        };
        let (train, test) = (all(&found.train), all(&found.test));
        assert!(!train.is_empty() && !test.is_empty() && train.is_disjoint(&test), "{files:?}");
        let given: BTreeSet<_> = files.iter().map(|file| Path::new("root").join(file)).collect();
        assert!(train.is_subset(&given) && test.is_subset(&given), "{files:?}");
        if train.len() + test.len() < given.len() {
            assert!(found.notes.iter().any(|note| note.starts_with("not used: ")), "{files:?}");
        }
    }
    assert!(split > 300 && refused > 300, "{split} {refused}");
}

use super::*;
use crate::data::source::archive::pack;
use std::fs;

/// A record of one label and planes of constant red, green and blue.
fn record(label: &[u8], [red, green, blue]: [u8; 3]) -> Vec<u8> {
    let planes = [red, green, blue].map(|value| [value; 1024]).concat();
    [label, &planes].concat()
}

/// Small CIFAR-10 files: batch *n* holds one image of label *n* and red *n*.
fn write_cifar10(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for batch in 1..=5_u8 {
        let path = folder.join(format!("data_batch_{batch}.bin"));
        fs::write(path, record(&[batch], [batch, 100, 200])).unwrap();
    }
    let test = [record(&[9], [1, 2, 3]), record(&[0], [4, 5, 6])].concat();
    fs::write(folder.join("test_batch.bin"), test).unwrap();
}

fn open10(path: &Path) -> Result<ImageData> {
    cifar10(Some(path), &mut |_, _| {})
}

fn message(path: &Path) -> String {
    open10(path).unwrap_err().to_string()
}

#[test]
fn a_folder_or_the_one_around_it_is_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("cifar-10-batches-bin");
    write_cifar10(&inner);
    for path in [dir.path(), &inner] {
        let data = open10(path).unwrap();
        assert_eq!((data.train.len(), data.test.len(), data.shape), (5, 2, SHAPE));
        let sample = data.train.get(2).unwrap();
        assert_eq!(sample.label, Some(3));
        assert!(sample.image.plane(0).unwrap().iter().all(|&value| value == 3));
        assert!(sample.image.plane(2).unwrap().iter().all(|&value| value == 200));
        assert_eq!(data.test.get(1).unwrap().label, Some(0));
        assert_eq!(data.class_names[9], "truck");
        assert_eq!(data.statistics.mean[0], 3.0 / 255.0);
    }
}

#[test]
fn an_archive_is_read_like_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<(String, Vec<u8>)> = ["train.bin", "test.bin"]
        .iter()
        .map(|name| (format!("cifar-100-binary/{name}"), record(&[19, 99], [7, 8, 9])))
        .collect();
    let named: Vec<_> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let path = dir.path().join("c100.tar.gz");
    fs::write(&path, pack(&named)).unwrap();
    let data = cifar100(Some(&path), &mut |_, _| {}).unwrap();
    let sample = data.test.get(0).unwrap();
    assert_eq!(sample.label, Some(99));
    assert_eq!(sample.image.plane(1).unwrap()[0], 8);
    assert_eq!((data.class_names.len(), data.class_names[99].as_str()), (100, "worm"));

    fs::write(&path, pack(&named[..1])).unwrap();
    let message = cifar100(Some(&path), &mut |_, _| {}).unwrap_err().to_string();
    assert!(message.contains("c100.tar.gz/cifar-100-binary/test.bin: is missing"), "{message}");
}

#[test]
fn names_come_from_the_class_file_where_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    write_cifar10(dir.path());
    let file = dir.path().join("batches.meta.txt");
    fs::write(&file, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
    assert_eq!(open10(dir.path()).unwrap().class_names[9], "j");
    fs::write(&file, "a\nb\n").unwrap();
    assert!(message(dir.path()).contains("batches.meta.txt: names 2 classes, expected 10"));
}

#[test]
fn a_bad_file_is_named_with_what_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    write_cifar10(dir.path());
    let batch = dir.path().join("data_batch_2.bin");

    fs::write(&batch, vec![0; 3072]).unwrap();
    let found = message(dir.path());
    assert!(found.contains("data_batch_2.bin: holds 3072 bytes, expected"), "{found}");
    assert!(found.contains("records of 3073 bytes"), "{found}");

    fs::write(&batch, []).unwrap();
    assert!(message(dir.path()).contains("data_batch_2.bin: holds 0 bytes"));

    fs::write(&batch, [record(&[1], [0; 3]), record(&[10], [0; 3])].concat()).unwrap();
    assert!(message(dir.path()).contains("record 1 has label 10, expected 0..10"));

    fs::remove_file(&batch).unwrap();
    let found = message(dir.path());
    assert!(found.contains("data_batch_2.bin: is missing; the binary form"), "{found}");
    assert!(found.contains("test_batch.bin"), "{found}");

    fs::write(dir.path().join("data_batch_1"), []).unwrap();
    assert!(message(dir.path()).ends_with("this folder holds the Python form"));
    assert!(message(&dir.path().join("nowhere")).contains("neither a folder nor"));
}

#[test]
fn a_cached_copy_must_be_as_published() {
    let dir = tempfile::tempdir().unwrap();
    write_cifar10(dir.path());
    let message = |dir: &Path| CIFAR_10.read_cached(dir).unwrap_err().to_string();
    let found = message(dir.path());
    assert!(found.contains("5 images to train and 2 to test on are here"), "{found}");
    assert!(found.contains("50000 and 10000; this copy in the cache is damaged: delete"));
    // Files of your own may be a part of them, which is said.
    assert!(open10(dir.path()).unwrap().notes[0].starts_with("5 images to train and 2 to"));
    fs::remove_file(dir.path().join("data_batch_3.bin")).unwrap();
    let found = message(dir.path());
    assert!(found.contains("data_batch_3.bin: is missing"), "{found}");
    assert!(found.ends_with("and it is downloaded again"), "{found}");
}

#[test]
fn more_records_than_were_published_are_refused_by_the_files_size() {
    let dir = tempfile::tempdir().unwrap();
    write_cifar10(dir.path());
    let file = fs::File::options().write(true).open(dir.path().join("data_batch_4.bin"));
    // A hole of 100 GB takes no room.
    file.unwrap().set_len(100_000_000_000).unwrap();
    let found = message(dir.path());
    assert!(found.contains("data_batch_4.bin: holds 100000000000 bytes; 10000 records"));
}

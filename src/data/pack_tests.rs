use super::*;
use crate::data::ImageData;
use crate::data::source::{MemoryDataset, Shapes};
use crate::grid::ImageShape;
use image::{ImageBuffer, Rgb};
use std::collections::BTreeMap;

/// A folder of two classes with images of noise, one of which is gray.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (nth, class) in ["dog", "cat", "dog", "cat", "cat", "dog", "cat", "dog"].iter().enumerate()
    {
        let split = if nth < 6 { "train" } else { "val" };
        let path = dir.path().join(split).join(class);
        fs::create_dir_all(&path).unwrap();
        let pixel =
            |x: u32, y: u32| Rgb([x * y, x ^ y, x * 31 + nth as u32].map(|v| (v * 7) as u8));
        let image = DynamicImage::from(ImageBuffer::from_fn(30, 20, pixel));
        match nth {
            0 => DynamicImage::from(image.to_luma8()).save(path.join("0.PNG")).unwrap(),
            1 => image.save(path.join("1.b.jpg")).unwrap(),
            _ => image.save(path.join(format!("{nth}.png"))).unwrap(),
        }
    }
    dir
}

fn spec(folder: &tempfile::TempDir) -> DataSpec {
    DataSpec::Folder(folder.path().into())
}

fn pack(spec: &DataSpec, out: &Path, shard_bytes: u64) -> Result<Packed> {
    let options = PackOptions { shard_bytes, ..PackOptions::default() };
    spec.pack(out, options, &mut |_| {})
}

fn open(spec: &DataSpec) -> Result<ImageData> {
    spec.open(&DataOptions::default(), &mut |_| {})
}

fn assert_same(a: &ImageData, b: &ImageData) {
    assert_eq!(a.class_names, b.class_names);
    assert_eq!(a.statistics, b.statistics);
    for (a, b) in [(&a.train, &b.train), (&a.test, &b.test)] {
        assert_eq!(a.len(), b.len());
        for index in 0..a.len() {
            assert_eq!(a.get(index).unwrap(), b.get(index).unwrap());
        }
    }
}

/// All files below a folder but for locks, with their contents.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_none_or(|ending| ending != "index")
            && !path.ends_with(".lock")
        {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn a_folder_reads_back_with_its_images_labels_and_classes() {
    let (folder, out) = (folder(), tempfile::tempdir().unwrap());
    let packed = pack(&spec(&folder), out.path(), 8_000).unwrap();
    assert_eq!([packed.train, packed.test], [6, 2]);
    assert!(packed.shards > 2, "{packed:?}");
    let tar = DataSpec::Tar(out.path().into());
    let (read, original) = (open(&tar).unwrap(), open(&spec(&folder)).unwrap());
    assert_same(&read, &original);
    let file = read.train.file(0).unwrap().unwrap();
    let of_folder = original.train.file(0).unwrap().unwrap();
    assert_eq!(file, of_folder);
    // Shards are packed anew by another size, with the same samples.
    let again = tempfile::tempdir().unwrap();
    let packed = pack(&tar, again.path(), 1 << 30).unwrap();
    assert_eq!(packed.shards, 2);
    assert_same(&open(&DataSpec::Tar(again.path().into())).unwrap(), &original);
}

#[test]
fn images_that_are_no_files_become_png() {
    let dir = tempfile::tempdir().unwrap();
    let few = Shapes { seed: 3, len: 12, split: 0 };
    let image = burn::data::dataset::Dataset::get(&few, 5).unwrap().image;
    let file = png(&image).unwrap();
    let path = dir.path().join("a").with_extension(&file.ending);
    fs::write(&path, &file.bytes).unwrap();
    assert_eq!(crate::data::source::read_image(&path).unwrap(), image);
    let deep = MemoryDataset::new(ImageShape::square(1, 2), vec![7_u16; 4], None).unwrap();
    let image = burn::data::dataset::Dataset::get(&deep, 0).unwrap().image;
    assert!(png(&image).unwrap_err().contains("8-bit"), "{:?}", png(&image));
    let many = Image::new(ImageShape::new(4, 1, 1), vec![7_u8; 4]).unwrap();
    assert_eq!(png(&many).unwrap_err(), "has 4 channels; PNG files have 1 or 3");
}

#[test]
fn a_pack_that_broke_off_goes_on_to_the_same_bytes() {
    let (folder, whole, broken) =
        (folder(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    pack(&spec(&folder), whole.path(), 8_000).unwrap();
    // A folder in the place of a file that is to be written stands for a disk that cannot be.
    let in_the_way = broken.path().join("train/000001.tar.partial");
    fs::create_dir_all(&in_the_way).unwrap();
    let other = broken.path().join("train");
    let message = pack(&spec(&folder), broken.path(), 8_000).unwrap_err().to_string();
    assert!(message.contains("holds train already"), "{message}");
    fs::write(broken.path().join(UNFINISHED), fs::read(whole.path().join(FINISHED)).unwrap())
        .unwrap();
    fs::copy(whole.path().join(CLASSES), broken.path().join(CLASSES)).unwrap();
    let message = pack(&spec(&folder), broken.path(), 8_000).unwrap_err().to_string();
    assert!(message.contains("000001.tar.partial"), "{message}");
    assert!(other.join("000000.tar").is_file());
    let message = open(&DataSpec::Tar(broken.path().into())).unwrap_err().to_string();
    assert!(message.contains("was not packed to the end"), "{message}");
    fs::remove_dir(&in_the_way).unwrap();
    let packed = pack(&spec(&folder), broken.path(), 8_000).unwrap();
    assert_eq!([packed.train, packed.test], [6, 2]);
    let relative = |root: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
        let below = |path: PathBuf| path.strip_prefix(root).unwrap().to_path_buf();
        files(root).into_iter().map(|(path, bytes)| (below(path), bytes)).collect()
    };
    assert_eq!(relative(whole.path()), relative(broken.path()));
    // Once more: everything is there.
    assert_eq!(pack(&spec(&folder), broken.path(), 8_000).unwrap(), packed);
    let message = pack(&spec(&folder), broken.path(), 9_000).unwrap_err().to_string();
    assert!(message.contains("of other images or of another size"), "{message}");
}

#[test]
fn a_bad_image_is_named_or_left_out_and_counted() {
    let (folder, out) = (folder(), tempfile::tempdir().unwrap());
    let bad = folder.path().join("train/cat/3.png");
    let whole = fs::read(&bad).unwrap();
    fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    let message = pack(&spec(&folder), out.path(), 8_000).unwrap_err().to_string();
    assert!(message.contains("3.png: cannot be read as an image"), "{message}");
    let out = tempfile::tempdir().unwrap();
    let options = PackOptions { on_bad_image: OnBadImage::Skip, ..PackOptions::default() };
    let packed = spec(&folder).pack(out.path(), options, &mut |_| {}).unwrap();
    assert_eq!((packed.train, packed.left_out.len()), (5, 1));
    assert!(packed.left_out[0].contains("3.png"), "{packed:?}");
    assert_eq!(open(&DataSpec::Tar(out.path().into())).unwrap().train.len(), 5);
}

#[test]
fn what_does_not_fit_on_the_disk_is_refused_beforehand() {
    let message = check_room(Path::new("out"), 5_000_000_001, Some(2_000_000)).unwrap_err();
    let expected = "out: there is room for 2.0 MB, and about 5000.0 MB are needed";
    assert_eq!(message.to_string(), expected);
    assert!(check_room(Path::new("out"), 1, None).is_ok());
    #[cfg(unix)]
    assert!(room(tempfile::tempdir().unwrap().path()).is_some());
}

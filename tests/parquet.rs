//! Parquet files in the hub's layout as data: rows, splits, classes, and what is wrong with them.
#![cfg(feature = "parquet")]

use std::fs;
use std::io::Cursor;
use std::sync::Arc;
use std::thread;

use burn_mim::Result;
use burn_mim::data::{
    ChannelStatistics, DataOptions, DataSpec, ImageData, ImageDataset, PackOptions,
};
use image::{ImageBuffer, ImageFormat, Rgb};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const SCHEMA: &str = "message schema {
    optional group image { optional binary bytes; optional binary path (STRING); }
    optional int64 label;
}";
const NAMES: &str = r#"{"info": {"features": {"image": {"_type": "Image"},
    "label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}}}"#;

fn picture(color: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = ImageBuffer::from_pixel(5, 4, Rgb([color, 7, 9]));
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A file of these row groups of colors, `None` for an image that is not there; labels are the colors
/// modulo 3, and none for colors from 200 on.
fn file(groups: &[&[Option<u8>]], metadata: Option<&str>, compression: Compression) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let entry = metadata.map(|text| vec![KeyValue::new("huggingface".into(), text.to_string())]);
    let properties =
        WriterProperties::builder().set_compression(compression).set_key_value_metadata(entry);
    let mut bytes = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build())).unwrap();
    for colors in groups {
        let mut group = writer.next_row_group().unwrap();
        let there: Vec<_> =
            colors.iter().flatten().map(|color| ByteArray::from(picture(*color))).collect();
        let levels: Vec<i16> =
            colors.iter().map(|color| if color.is_some() { 2 } else { 1 }).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&there, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&[], Some(&vec![1; colors.len()]), None)
            .unwrap();
        column.close().unwrap();
        let labels: Vec<_> = colors.iter().map(|color| color.unwrap_or(0)).collect();
        let there: Vec<_> = labels.iter().filter(|n| **n < 200).map(|n| i64::from(n % 3)).collect();
        let levels: Vec<i16> = labels.iter().map(|label| i16::from(*label < 200)).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&there, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

fn colors_of(first: u8, count: u8) -> Vec<Option<u8>> {
    (first..first + count).map(Some).collect()
}

fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

/// What is in the folder, before any image but the first is read.
fn opened(spec: &DataSpec) -> Result<ImageData> {
    let statistics = ChannelStatistics::none(3);
    spec.open_measured(&DataOptions::default(), statistics, &mut |_| {})
}

fn splits_in(dir: &tempfile::TempDir) -> Result<ImageData> {
    opened(&DataSpec::Parquet(dir.path().into()))
}

fn colors(split: &dyn ImageDataset) -> Vec<u8> {
    let color = |index| split.get(index).unwrap().image.bytes().unwrap()[0];
    (0..split.len()).map(color).collect()
}

#[test]
fn rows_are_samples_with_the_classes_of_the_metadata() {
    for compression in
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())]
    {
        let train = file(&[&colors_of(1, 3), &colors_of(198, 4)], Some(NAMES), compression);
        let test = file(&[&colors_of(90, 2)], Some(NAMES), compression);
        let dir = folder(&[
            ("data/train-00000-of-00001.parquet", train),
            ("data/validation-00000-of-00001.parquet", test),
        ]);
        let splits = splits_in(&dir).unwrap();
        assert_eq!(colors(&*splits.train), [1, 2, 3, 198, 199, 200, 201]);
        assert_eq!(colors(&*splits.test), [90, 91]);
        let labels: Vec<_> = (0..7).map(|index| splits.train.label(index).unwrap()).collect();
        assert_eq!(labels, [Some(1), Some(2), Some(0), Some(0), Some(1), None, None]);
        assert_eq!(splits.class_names, ["cat", "dog", "owl"]);
        assert_eq!(splits.train.shards(), Some(vec![3, 4]));
        let file = splits.train.file(0).unwrap().unwrap();
        assert_eq!((file.ending.as_str(), file.bytes), ("png", picture(1)));
        assert!(splits.train.name(4).ends_with("00001.parquet/row 4"), "{}", splits.train.name(4));
    }
}

#[test]
fn without_metadata_columns_are_told_by_name_and_a_tenth_is_held_out() {
    let all = file(&[&colors_of(0, 60), &colors_of(60, 60)], None, Compression::SNAPPY);
    let dir = folder(&[("a.parquet", all)]);
    let splits = splits_in(&dir).unwrap();
    let (train, test) = (colors(&*splits.train), colors(&*splits.test));
    assert!((4..=24).contains(&test.len()), "{}", test.len());
    let mut both = [train, test].concat();
    both.sort_unstable();
    assert!(both.into_iter().eq(0..120));
    assert_eq!(splits.class_names, ["0", "1", "2"]);
    // The window is chosen where it is not asked for.
    let spec = DataSpec::Parquet(dir.path().into());
    let open = |options: DataOptions| spec.open(&options, &mut |_| {}).unwrap().options;
    assert_eq!(open(DataOptions::default()).shuffle_window, Some(16));
    let three = DataOptions::default().with_shuffle_window(Some(3));
    assert_eq!(open(three).shuffle_window, Some(3));
}

#[test]
fn threads_read_row_groups_at_once_and_more_than_are_kept() {
    let groups: Vec<_> = (0..60).map(|n| colors_of(3 * n, 3)).collect();
    let groups: Vec<&[_]> = groups.iter().map(Vec::as_slice).collect();
    let dir = folder(&[
        ("train.parquet", file(&groups, None, Compression::SNAPPY)),
        ("test.parquet", file(&[&colors_of(0, 1)], None, Compression::SNAPPY)),
    ]);
    let splits = splits_in(&dir).unwrap();
    let expected: Vec<u8> = (0..180).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(colors(&*splits.train), expected));
        }
    });
}

#[test]
fn faults_name_the_file_and_the_row() {
    let good = || file(&[&colors_of(1, 3)], Some(NAMES), Compression::SNAPPY);
    let message = |files: &[(&str, Vec<u8>)]| splits_in(&folder(files)).err().unwrap().to_string();
    let whole = good();
    for kept in (0..whole.len()).step_by(31) {
        let text = message(&[("a.parquet", whole[..kept].to_vec())]);
        assert!(text.contains("a.parquet: cannot be read as Parquet"), "{text}");
    }
    let other = NAMES.replace("owl", "elk");
    let other = file(&[&colors_of(1, 3)], Some(&other), Compression::SNAPPY);
    let text = message(&[("train.parquet", good()), ("val.parquet", other)]);
    assert!(text.contains("val.parquet: names other classes than"), "{text}");
    let few =
        file(&[&colors_of(1, 3)], Some(&NAMES.replace(r#", "owl""#, "")), Compression::SNAPPY);
    let text = message(&[("a.parquet", few)]);
    assert!(text.contains("has labels beyond the 2 classes"), "{text}");
    let text = message(&[("a.tar", vec![])]);
    assert!(text.contains("whose names end in .parquet (there are other files: .tar)"), "{text}");
    let gap = file(&[&[Some(1), None, Some(2)]], None, Compression::SNAPPY);
    let dir = folder(&[("train.parquet", gap), ("test.parquet", good())]);
    let splits = splits_in(&dir).unwrap();
    assert!(splits.train.get(0).is_ok() && splits.train.get(2).is_ok());
    let text = std::error::Error::source(&splits.train.get(1).unwrap_err()).unwrap().to_string();
    assert!(text.contains("train.parquet/row 1: has no image in it"), "{text}");
}

#[test]
fn shards_packed_from_parquet_hold_the_same_samples() {
    let dir = folder(&[
        ("train.parquet", file(&[&colors_of(1, 5)], Some(NAMES), Compression::SNAPPY)),
        ("test.parquet", file(&[&colors_of(9, 2)], Some(NAMES), Compression::SNAPPY)),
    ]);
    let out = tempfile::tempdir().unwrap();
    let spec = DataSpec::Parquet(dir.path().into());
    spec.pack(out.path(), PackOptions::default(), &mut |_| {}).unwrap();
    let splits = opened(&DataSpec::Tar(out.path().into())).unwrap();
    assert_eq!(colors(&*splits.train), [1, 2, 3, 4, 5]);
    assert_eq!(splits.class_names, ["cat", "dog", "owl"]);
    assert_eq!(splits.train.label(1).unwrap(), Some(2));
}

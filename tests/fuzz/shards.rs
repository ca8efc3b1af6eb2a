//! Tar files of images with their indices.

use std::path::Path;

use image::{DynamicImage, ImageFormat};
use tar::{Builder, EntryType, Header};

use crate::campaign::{Seed, fuzz};
use crate::images::{encoded, opened, picture};

fn header(size: usize, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// A shard of four small images with labels in members of the kind `label`; the last has a long name.
fn shard(folder: &str, label: &str) -> Vec<u8> {
    let small: DynamicImage = picture().thumbnail(4, 4);
    let image = encoded(&small, ImageFormat::Png);
    let mut archive = Builder::new(Vec::new());
    let long = "x".repeat(120);
    let mut add = |name: String, bytes: &[u8]| {
        archive.append_data(&mut header(bytes.len(), EntryType::Regular), name, bytes).unwrap();
    };
    for key in ["a", "b", "c", &long] {
        add(format!("{folder}{key}.png"), &image);
        match label {
            "cls" => add(format!("{folder}{key}.cls"), b"1"),
            "json" => add(format!("{folder}{key}.json"), br#"{"label": 1, "text": "a b"}"#),
            _ => {}
        }
    }
    // An extension of a header, as Python writes it.
    let extension = b"17 path=pax/long\n";
    let kind = EntryType::XHeader;
    archive.append(&header(extension.len(), kind), extension.as_slice()).unwrap();
    archive.append(&header(3, EntryType::Regular), b"abc".as_slice()).unwrap();
    archive.into_inner().unwrap()
}

fn seed(shards: &[(&str, Vec<u8>)]) -> Seed {
    shards.iter().map(|(name, bytes)| (name.into(), bytes.clone())).collect()
}

fn seeds() -> [Seed; 3] {
    let by_label = |label| [("train/0.tar", shard("", label)), ("val/0.tar", shard("", label))];
    let names = br#"["cat", "dog"]"#.to_vec();
    let mut numbers = seed(&by_label("cls"));
    numbers.push(("classes.json".into(), names));
    let folders = [("0.tar", shard("cat/", "")), ("1.tar", shard("dog/", ""))];
    [numbers, seed(&by_label("json")), seed(&folders)]
}

#[test]
fn damaged_tar_files_are_refused_or_read() {
    let read = |folder: &Path| opened(format!("tar:{}", folder.display()));
    fuzz("tar", 60, &seeds(), |_| true, read);
}

#[test]
fn damaged_indices_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let [seed, ..] = seeds();
    for (name, bytes) in &seed {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    opened(format!("tar:{}", dir.path().display())).unwrap();
    let is_index = |path: &Path| path.extension().is_some_and(|ending| ending == "index");
    let seed = crate::campaign::folder(dir.path());
    assert_eq!(seed.iter().filter(|(name, _)| is_index(name)).count(), 2);
    let read = |folder: &Path| opened(format!("tar:{}", folder.display()));
    fuzz("tar-index", 40, &[seed], is_index, |folder| {
        let faults = read(folder).err();
        assert!(faults.is_none(), "an index that is damaged costs nothing: {faults:?}");
        Ok(())
    });
}

/// A Parquet file of the hub's layout.
#[cfg(feature = "parquet")]
fn table(compression: parquet::basic::Compression) -> Vec<u8> {
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let schema = "message schema {
        optional group image { optional binary bytes; }
        optional int64 label;
    }";
    let names =
        r#"{"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}"#;
    let entry = KeyValue::new("huggingface".into(), names.to_string());
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_key_value_metadata(Some(vec![entry]))
        .build();
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
    let small: DynamicImage = picture().thumbnail(4, 4);
    let image = ByteArray::from(encoded(&small, ImageFormat::Png));
    for _ in 0..2 {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let images = [image.clone(), image.clone(), image.clone()];
        column.typed::<ByteArrayType>().write_batch(&images, Some(&[2; 3]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[1, 0], Some(&[1, 0, 1]), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

#[cfg(feature = "parquet")]
#[test]
fn damaged_parquet_files_are_refused_or_read() {
    use parquet::basic::Compression;

    let kinds =
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())];
    let seeds =
        kinds.map(|kind| seed(&[("train.parquet", table(kind)), ("val.parquet", table(kind))]));
    let read = |folder: &Path| opened(format!("parquet:{}", folder.display()));
    fuzz("parquet", 60, &seeds, |_| true, read);
}

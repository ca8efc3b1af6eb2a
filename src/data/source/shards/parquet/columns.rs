//! Which columns of a Parquet file are the images and their labels, and what it calls the classes.

use parquet::basic::Type;
use parquet::file::metadata::FileMetaData;
use serde_json::Value;

/// The leaf columns of the images and of the labels.
pub(super) fn columns(metadata: &FileMetaData) -> Option<(usize, Option<usize>)> {
    let features = features(metadata);
    let kind = |name: &str| features.as_ref()?.get(name)?.get("_type")?.as_str();
    let leaves = metadata.schema_descr().columns();
    let leaf = |wanted: &dyn Fn(&[String], Type) -> bool| {
        leaves.iter().position(|leaf| wanted(leaf.path().parts(), leaf.physical_type()))
    };
    let is_image = |parts: &[String], is: &dyn Fn(&str) -> bool| match parts {
        [name] => is(name),
        [name, bytes] => bytes == "bytes" && is(name),
        _ => false,
    };
    let image = leaf(&|parts, kind_of| {
        kind_of == Type::BYTE_ARRAY && is_image(parts, &|name| kind(name) == Some("Image"))
    });
    let image = image.or_else(|| {
        leaf(&|parts, kind_of| {
            kind_of == Type::BYTE_ARRAY && is_image(parts, &|name| name == "image" || name == "img")
        })
    })?;
    let is_number = |kind_of| matches!(kind_of, Type::INT32 | Type::INT64);
    let class = leaf(&|parts, kind_of| {
        matches!(parts, [name] if kind(name) == Some("ClassLabel")) && is_number(kind_of)
    });
    let label = class.or_else(|| {
        leaf(&|parts, kind_of| matches!(parts, [name] if name == "label") && is_number(kind_of))
    });
    Some((image, label))
}

/// What the metadata says of columns, as the hub's files have it.
fn features(metadata: &FileMetaData) -> Option<Value> {
    let entries = metadata.key_value_metadata()?;
    let entry = entries.iter().find(|entry| entry.key == "huggingface")?;
    let mut value: Value = serde_json::from_str(entry.value.as_ref()?).ok()?;
    Some(value.get_mut("info")?.get_mut("features")?.take())
}

/// The names of the classes in the metadata, if they are there.
pub(super) fn class_names(metadata: &FileMetaData) -> Vec<String> {
    let features = features(metadata);
    let of_column = features.as_ref().and_then(Value::as_object).and_then(|columns| {
        columns.values().find(|column| column.get("_type").is_some_and(|kind| kind == "ClassLabel"))
    });
    let names = of_column.and_then(|column| column.get("names")?.as_array());
    let text = |name: &Value| name.as_str().map(String::from);
    names.and_then(|names| names.iter().map(text).collect()).unwrap_or_default()
}

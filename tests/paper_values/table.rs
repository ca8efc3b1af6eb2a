//! Tables of what every preset holds: `tables/*.txt`.
//!
//! A line `# Type: a b` begins the columns of `Type::a` and `Type::b`. Each line after it is one
//! number: its place in the preset's JSON (`.` for all of it), a value for each column (`-` where a column has none, `~`
//! for the value of the column before), and after `|` where the values are from.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::presets::presets;

/// The numbers of one preset by their places, and how many columns they came from.
pub(super) type Numbers = BTreeMap<String, Value>;

/// The presets of all tables by their names, with the table each is from.
pub(super) fn tables() -> BTreeMap<String, Numbers> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/paper_values/tables");
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        read(&std::fs::read_to_string(&path).unwrap(), &path.display().to_string(), &mut all);
    }
    all
}

fn read(text: &str, name: &str, all: &mut BTreeMap<String, Numbers>) {
    let mut columns: Vec<String> = Vec::new();
    for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let place = format!("{name}:{}", line + 1);
        if let Some(header) = text.strip_prefix("# ") {
            let (owner, names) = header.split_once(':').unwrap_or_else(|| panic!("{place}"));
            columns = names.split_whitespace().map(|name| format!("{owner}::{name}")).collect();
            for column in &columns {
                let new = all.insert(column.clone(), Numbers::new()).is_none();
                assert!(new, "{place}: {column} has a table already");
            }
            continue;
        }
        let (row, source) = text.split_once('|').unwrap_or_else(|| panic!("{place}: no source"));
        assert!(!source.trim().is_empty(), "{place}: no source");
        let mut cells = row.split_whitespace();
        let number = cells.next().unwrap_or_else(|| panic!("{place}: no number"));
        let mut cells: Vec<&str> = cells.collect();
        assert_eq!(cells.len(), columns.len(), "{place}: a value for each column");
        for index in 0..cells.len() {
            if cells[index] == "~" {
                cells[index] = cells[index - 1];
            }
            if cells[index] != "-" {
                let numbers = all.get_mut(&columns[index]).expect("columns have a table");
                let old = numbers.insert(number.to_string(), value(cells[index]));
                assert!(old.is_none(), "{place}: {number} has a value already");
            }
        }
    }
}

/// A value as JSON; words need no quotation marks.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_string()))
}

/// Every number of a JSON value with its place. Lists are one.
fn numbers(value: &Value, place: &str, found: &mut Numbers) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if place.is_empty() { "" } else { "." };
                numbers(value, &format!("{place}{dot}{name}"), found);
            }
        }
        value => {
            let place = if place.is_empty() { "." } else { place };
            found.insert(place.to_string(), value.clone());
        }
    }
}

/// The same to the precision of single floats.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs().max(b.abs()),
            _ => a == b,
        },
    }
}

#[test]
fn every_number_of_every_preset_is_that_of_its_table() {
    let (tables, mut faults) = (tables(), Vec::new());
    for (name, preset) in presets() {
        let Some(expected) = tables.get(&name) else {
            faults.push(format!("{name} has no table"));
            continue;
        };
        let mut got = Numbers::new();
        numbers(&preset, "", &mut got);
        for (place, value) in &got {
            match expected.get(place) {
                None => faults.push(format!("{name}: no row for {place}, which is {value}")),
                Some(row) if !alike(row, value) => {
                    faults.push(format!("{name}: {place} is {value}, its source says {row}"));
                }
                _ => {}
            }
        }
        for place in expected.keys().filter(|&place| !got.contains_key(place)) {
            faults.push(format!("{name}: a row for {place}, which it has not"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_table_is_that_of_a_preset() {
    let presets = presets();
    for name in tables().keys() {
        assert!(presets.iter().any(|(preset, _)| preset == name), "{name} is no preset");
    }
}

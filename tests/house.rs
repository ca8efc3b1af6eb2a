//! How the source is laid out: small files, no folder that holds everything, and a method in its own
//! folder.

#[path = "common/sources.rs"]
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sources::{code, sources};

/// The numbers of every method: what its folder defines and the rest of `src` need not name.
const METHODS: [&str; 21] = [
    "MaeConfig",
    "SimMimConfig",
    "SparkConfig",
    "BeitConfig",
    "BeitV2Config",
    "CaeConfig",
    "MaskFeatConfig",
    "ContextConfig",
    "SelfieConfig",
    "ImageGptConfig",
    "RestorationConfig",
    "RefineConfig",
    "CmaeConfig",
    "IJepaConfig",
    "IBotConfig",
    "LeJepaConfig",
    "Data2VecConfig",
    "Data2VecV1Config",
    "EvaConfig",
    "MilanConfig",
    "VideoMaeConfig",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// All Rust files below `root`, those of tests included.
fn files(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|end| end == "rs");
    folders
        .iter()
        .flat_map(|path| self::files(path))
        .chain(files.into_iter().filter(is_rust))
        .collect()
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

/// Whether `code` names `name` as a whole word.
fn names(code: &str, name: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

#[test]
fn no_file_has_more_than_350_lines() {
    let all: Vec<_> = ["src", "tests", "examples", "benches"]
        .iter()
        .flat_map(|name| files(&folder(name)))
        .collect();
    assert!(all.len() > 300, "{}", all.len());
    let long: Vec<_> =
        all.iter().map(|path| (path, lines(path))).filter(|(_, lines)| *lines > 350).collect();
    assert!(long.is_empty(), "split these by concept: {long:?}");
}

#[test]
fn no_folder_holds_more_than_a_quarter_of_the_files() {
    let src = folder("src");
    let all = files(&src);
    let mut counts = BTreeMap::<_, usize>::new();
    for path in &all {
        let mut parts = path.strip_prefix(&src).unwrap().components();
        let first = parts.next().unwrap();
        if parts.next().is_some() {
            *counts.entry(first).or_default() += 1;
        }
    }
    let (largest, count) = counts.into_iter().max_by_key(|&(_, count)| count).unwrap();
    assert!(4 * count <= all.len(), "{largest:?} holds {count} of {} files", all.len());
}

#[test]
fn a_method_is_named_in_two_files_outside_its_folder_at_most() {
    let src = folder("src");
    let mut faults = vec![];
    let texts: Vec<_> = sources(&src)
        .into_iter()
        .map(|path| {
            let text = code(&fs::read_to_string(src.join(&path)).unwrap());
            (path, text)
        })
        .collect();
    for method in METHODS {
        let naming: Vec<_> = texts.iter().filter(|(_, text)| names(text, method)).collect();
        let defines = [" {", "<"].map(|end| format!("pub struct {method}{end}"));
        let is_home = |text: &String| defines.iter().any(|start| text.contains(start));
        let home = naming.iter().find(|(_, text)| is_home(text));
        let (home, _) = home.expect(method);
        // `method/NAME`, whatever is within.
        let home: PathBuf = home.components().take(2).collect();
        let is_elsewhere =
            |path: &Path| !path.starts_with(&home) && !path.starts_with("checkpoint");
        let elsewhere: Vec<_> =
            naming.iter().map(|(path, _)| path).filter(|path| is_elsewhere(path)).collect();
        if elsewhere.len() > 2 {
            faults.push(format!("{method}: {elsewhere:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_example_of_a_method_has_at_most_25_lines() {
    let examples = files(&folder("examples")).into_iter();
    let of_methods: Vec<_> =
        examples.filter(|path| path.to_string_lossy().ends_with("_cifar10.rs")).collect();
    assert!(of_methods.len() >= 8, "{of_methods:?}");
    let long: Vec<_> = of_methods
        .iter()
        .map(|path| (path, lines(path)))
        .filter(|(_, lines)| *lines > 25)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn a_name_is_found_as_a_whole_word_alone() {
    assert!(names("use crate::method::{MaeConfig, Mae};", "MaeConfig"));
    assert!(!names("struct OwnMaeConfig; MaeConfigs", "MaeConfig"));
}

#[test]
fn the_guide_to_adding_a_method_quotes_the_example_word_for_word() {
    let read = |path: &str| fs::read_to_string(folder(path)).unwrap();
    let (guide, example) = (read("docs/adding-a-method.md"), read("examples/custom_method.rs"));
    let quotes: Vec<_> = guide.split("```rust,ignore\n").skip(1).collect();
    assert!(quotes.len() >= 7, "{}", quotes.len());
    for quote in quotes {
        let quote = quote.split("```").next().unwrap();
        assert!(example.contains(quote), "the example has no\n{quote}");
    }
    assert!(example.lines().count() <= 200);
}

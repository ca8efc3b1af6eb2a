//! No preset without its numbers.

use std::path::{Path, PathBuf};

use super::presets::presets;

/// Constructors that are no presets: their numbers are their arguments, or none.
const OTHERS: [&str; 13] = [
    "ChannelStatistics::none",
    "CodebookUsage::new",
    "Grid::square",
    "ImageShape::square",
    "JitterRange::uniform",
    "MaskConfig::blocks",
    "MaskConfig::inverse_blocks",
    "Momentum::constant",
    "MultiBlockConfig::small_images",
    // In the table of `Augmentation::videomae`.
    "MultiScaleCrop::videomae",
    "RefineConfig::small",
    "SimMimConfig::in_small_squares",
    "TokenizerRecipe::small_images",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The type that an inherent `impl` is for.
fn owner(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("impl")?;
    if rest.contains(" for ") {
        return None;
    }
    // After the generics of the `impl`, up to those of the type.
    let rest = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest.trim_start() };
    rest.split(['<', ' ']).next()
}

/// The types of a source that can be written as data: by a derive, or declared in `config!`.
fn written(source: &str) -> Vec<String> {
    let (mut found, mut derived, mut config) = (Vec::new(), false, false);
    for line in source.lines() {
        config = line == "config! {" || config && line != "}";
        let line = line.trim_start();
        if line.starts_with("#[derive(") {
            derived = line.contains("Serialize");
        }
        let item = line.strip_prefix("pub struct ").or(line.strip_prefix("pub enum "));
        if let (Some(item), true) = (item, derived || config) {
            found.extend(item.split(['<', ' ', '(']).next().map(str::to_string));
        }
        derived &= line.starts_with('#') || line.starts_with("//");
    }
    found
}

/// `Type::name` of the public functions of a source that make a `Self` out of sizes, if of anything.
fn constructors(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or(source);
    let (mut found, mut of) = (Vec::new(), None);
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("impl") {
            of = owner(line);
        }
        let function = line.trim_start().replacen("pub const fn ", "pub fn ", 1);
        let Some(function) = function.strip_prefix("pub fn ") else { continue };
        let mut signature = function.to_string();
        while !signature.contains('{') && !signature.contains(';') {
            signature += lines.next().unwrap_or(";");
        }
        let (name, rest) = signature.split_once('(').unwrap_or((&signature, ""));
        let taken = rest.contains("self") || name.contains('<') || name == "new";
        let sizes = !rest.contains('&') && !rest.contains("Tensor");
        if let (Some(of), true) = (of, rest.contains(") -> Self {") && !taken && sizes) {
            found.push(format!("{of}::{name}"));
        }
    }
    found
}

#[test]
fn every_constructor_of_the_crate_that_is_a_preset_has_a_table() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let texts: Vec<String> =
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let written: Vec<String> = texts.iter().flat_map(|text| written(text)).collect();
    let mut found: Vec<String> = texts.iter().flat_map(|text| constructors(text)).collect();
    found.retain(|name| {
        let (owner, _) = name.split_once("::").expect("a type and a function");
        written.iter().any(|name| name == owner) && !OTHERS.contains(&name.as_str())
    });
    for known in ["MaeConfig::base_patch16", "SimMimConfig::swin_v2_base", "Augmentation::beit"] {
        assert!(found.iter().any(|name| name == known), "{known} is not found any more");
    }
    let presets = presets();
    let missing: Vec<_> =
        found.iter().filter(|name| !presets.iter().any(|(preset, _)| preset == *name)).collect();
    assert!(
        missing.is_empty(),
        "add these to `presets` and to a table, or say in `OTHERS` why not: {missing:?}"
    );
}

#[test]
fn constructors_are_told_from_other_functions() {
    let source = "impl<C: Sizes> Some<C> {\n    pub fn new() -> Self {\n    pub fn small() -> Self {\n    \
                  pub const fn large(\n        image: ImageShape,\n    ) -> Self {\n    \
                  pub fn with_it(self) -> Self {\n    pub fn other() -> u8 {\n}\n\
                  impl Default for Some {\n    pub fn none() -> Self {\n}\n";
    assert_eq!(constructors(source), ["Some::small", "Some::large"]);
}

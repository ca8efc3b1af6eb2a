//! The layer rule of `docs/design.md`: a file imports lower layers, its own module, and at layer 0
//! its peers; nothing else.

#[path = "common/sources.rs"]
mod sources;

use std::fs;
use std::path::Path;

use sources::{code, sources};

/// Every top-level module with its layer; data flows from 0 up.
const LAYERS: &[(usize, &[&str])] = &[
    (0, &["config", "error", "grid", "rng", "file", "kernel", "limits"]),
    (1, &["image", "nn"]),
    (2, &["mask"]),
    (3, &["batch", "encoder"]),
    (4, &["head"]),
    (5, &["target"]),
    (6, &["task"]),
    (7, &["data"]),
    (8, &["train", "viz"]),
    (9, &["method"]),
    (10, &["checkpoint", "eval"]),
    (11, &["run"]),
    (12, &["cli"]),
    (13, &["bin"]),
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&module)).map(|&(layer, _)| layer)
}

/// The module path of a file: `nn/block.rs` and `nn/mod.rs` are `[nn, block]` and `[nn]`.
fn module_path(file: &Path) -> Vec<String> {
    let names = file.with_extension("");
    let mut names: Vec<String> =
        names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    names
}

/// The first names of everything that `code` names by a path from the crate's root, written as
/// `crate::` or as enough `super::` from `module`.
fn named_from_the_root(code: &str, module: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    for (start, keyword) in code.match_indices("crate").chain(code.match_indices("super")) {
        let before = &code[..start];
        if before.ends_with(is_name) || before.ends_with("super::") {
            continue;
        }
        let mut rest = &code[start + keyword.len()..];
        let mut depth = if keyword == "crate" { 0 } else { module.len() - 1 };
        while let Some(further) = rest.strip_prefix("::super") {
            (rest, depth) = (further, depth - 1);
        }
        if let Some(path) = rest.strip_prefix("::")
            && depth == 0
        {
            names.extend(first_names(path.trim_start(), is_name));
        }
    }
    names
}

/// `a` of `a::b`, and `a` and `c` of `{a::b, c::{d, e}}`.
fn first_names(path: &str, is_name: impl Fn(char) -> bool) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|&c| is_name(c)).collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut names, mut depth, mut start) = (Vec::new(), 1, 0);
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || depth == 1 && c == ',' {
            names.push(name(group[start..index].trim_start()));
            start = index + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// What is wrong with the imports of one file.
fn violations(file: &Path, text: &str) -> Vec<String> {
    let module = module_path(file);
    let own = module[0].as_str();
    let Some(own_layer) = layer(own) else {
        return vec![format!("{own} has no layer: add it to LAYERS and to docs/design.md")];
    };
    let named = named_from_the_root(&code(text), &module);
    let wrong = named.into_iter().filter_map(|name| match layer(&name) {
        _ if name == own => None,
        None => Some(format!("{name} is no module: name the module it comes from")),
        Some(layer) if layer < own_layer || layer == 0 => None,
        Some(layer) => Some(format!("{own} (layer {own_layer}) imports {name} (layer {layer})")),
    });
    wrong.map(|fault| format!("src/{}: {fault}", file.display())).collect()
}

#[test]
fn every_file_imports_lower_layers_and_its_own_module_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 50, "{files:?}");
    // The root itself names everything.
    let faults: Vec<_> = files
        .iter()
        .filter(|file| *file != Path::new("lib.rs"))
        .flat_map(|file| violations(file, &fs::read_to_string(root.join(file)).unwrap()))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_way_to_name_a_higher_layer_is_found() {
    let file = Path::new("nn/position.rs");
    for text in [
        "use crate::mask::Mask;",
        "use crate::{grid::{self, Grid}, mask::{Mask, UnitMask}};",
        "pub(crate) use crate::{\n    error::Error,\n    mask,\n};",
        "fn read(mask: &crate::mask::Mask) {}",
        "use super::super::mask::Mask;",
        "use crate::image::patchify;",
        "#[cfg(test)]\nfn helper() {}\nuse crate::mask::Mask;",
    ] {
        assert_eq!(violations(file, text).len(), 1, "{text}: {:?}", violations(file, text));
    }
    let message = violations(file, "use crate::mask::Mask;");
    assert_eq!(message, ["src/nn/position.rs: nn (layer 1) imports mask (layer 2)"]);
    let message = violations(file, "use crate::Mask;");
    assert_eq!(message, ["src/nn/position.rs: Mask is no module: name the module it comes from"]);
    let message = violations(Path::new("tokenizer/mod.rs"), "");
    assert_eq!(message, ["tokenizer has no layer: add it to LAYERS and to docs/design.md"]);
}

#[test]
fn lower_layers_the_own_module_comments_and_tests_are_fine() {
    let text = "//! Like [`Mask`](crate::mask::Mask).
use crate::error::{Error, Result};
use crate::nn::Init;
use super::{InitialWeights, block::Block}; // not crate::mask
/// See [`crate::task`].
pub(crate) fn read() {}
#[cfg(test)]
mod tests {
    use crate::method::MaeConfig;
}
";
    assert_eq!(violations(Path::new("nn/position.rs"), text), Vec::<String>::new());
    assert_eq!(violations(Path::new("nn/mod.rs"), "use super::grid::Grid;"), Vec::<String>::new());
    assert_eq!(violations(Path::new("grid.rs"), "use super::mask::Mask;").len(), 1);
    assert_eq!(violations(Path::new("grid.rs"), "use super::error::Error;"), Vec::<String>::new());
}

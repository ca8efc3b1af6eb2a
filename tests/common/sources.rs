//! The crate's own source, for tests of what it may say.

use std::fs;
use std::path::{Path, PathBuf};

/// All `.rs` files below `root` but for those of tests alone, relative to it, in order.
pub(crate) fn sources(root: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![root.to_path_buf()], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !is_of_tests(&path) {
                found.push(path.strip_prefix(root).unwrap().to_path_buf());
            }
        }
    }
    found.sort();
    found
}

fn is_of_tests(path: &Path) -> bool {
    path.file_stem().is_some_and(|name| {
        let name = name.to_string_lossy();
        name == "tests" || name.ends_with("_tests")
    })
}

/// The code of a file without its comments and without the module of tests that ends it.
pub(crate) fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

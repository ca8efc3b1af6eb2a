//! Within a module, imports lead one way: no file needs, by any detour, a file that needs it.
//!
//! A folder's `mod.rs` and the files of that folder are one: they may name each other, as a contract
//! and its implementations do. Names that a `mod.rs` passes on lead to the file that defines them.

#[path = "common/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sources::{code, sources};

type Module = Vec<String>;

/// The files of the crate: what each imports, and what each passes on under which name.
#[derive(Default)]
struct Crate {
    files: BTreeMap<Module, String>,
    imports: BTreeMap<Module, Vec<Module>>,
    passed_on: BTreeMap<(Module, String), Module>,
}

impl Crate {
    fn new<'a>(files: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let mut found = Self::default();
        for (path, text) in files {
            let mut module: Module =
                path.trim_end_matches(".rs").split('/').map(String::from).collect();
            let is_folder = module.pop_if(|name| name == "mod").is_some();
            found.files.insert(module.clone(), path.to_string());
            found.read(&module, &code(&text), is_folder);
        }
        found
    }

    /// Reads every path of `code` that starts at the root, at a parent or at a child of `module`.
    fn read(&mut self, module: &Module, code: &str, is_folder: bool) {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let children = code.lines().filter_map(|line| {
            let (_, name) = line.trim().strip_suffix(';')?.split_once("mod ")?;
            Some(name.to_string())
        });
        let starts = ["crate", "super", "self"].map(String::from).into_iter().chain(children);
        for start in starts.collect::<BTreeSet<_>>() {
            for (at, _) in code.match_indices(&format!("{start}::")) {
                let before = &code[..at];
                if before.ends_with(is_name) || before.ends_with("::") {
                    continue;
                }
                let statement = before.rsplit([';', '}']).next().unwrap_or_default().trim();
                let passes_on =
                    is_folder && statement.starts_with("pub") && statement.ends_with("use");
                let mut paths = vec![];
                expand(&code[at..], &[], &mut paths);
                for (path, name) in paths {
                    let path = absolute(module, &path);
                    if passes_on {
                        self.passed_on.insert((module.clone(), name), path);
                    } else {
                        self.imports.entry(module.clone()).or_default().push(path);
                    }
                }
            }
        }
    }

    /// The file that defines what `path` names.
    fn definition(&self, path: &[String]) -> Option<&Module> {
        let end = (1..=path.len()).rev().find(|&end| self.files.contains_key(&path[..end]))?;
        let (module, _) = self.files.get_key_value(&path[..end])?;
        let further =
            path.get(end).and_then(|name| self.passed_on.get(&(module.clone(), name.clone())));
        further.and_then(|path| self.definition(path)).or(Some(module))
    }

    /// The files of its own module that `module` names, but for parents and children.
    fn neighbors(&self, module: &Module) -> BTreeSet<&Module> {
        let is_family = |other: &Module| other.starts_with(module) || module.starts_with(other);
        let paths = self.imports.get(module).into_iter().flatten();
        let files = paths.filter_map(|path| self.definition(path));
        files.filter(|file| file[0] == module[0] && !is_family(file)).collect()
    }

    /// The files that every file needs, in one step or in more.
    fn needs(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let mut needs: BTreeMap<&Module, BTreeSet<&Module>> =
            self.files.keys().map(|module| (module, self.neighbors(module))).collect();
        for between in self.files.keys() {
            let further = needs[between].clone();
            for files in needs.values_mut().filter(|files| files.contains(between)) {
                files.extend(&further);
            }
        }
        needs
    }

    /// The files that need themselves.
    fn circles(&self) -> Vec<&str> {
        let needs = self.needs();
        let circles = needs.iter().filter(|(module, files)| files.contains(*module));
        circles.map(|(module, _)| self.files[*module].as_str()).collect()
    }
}

/// All paths of the tree that `text` starts with, such as `a::{b, c::d as e}`, and their new names.
/// Returns what is left of the text.
fn expand<'a>(text: &'a str, before: &[String], paths: &mut Vec<(Module, String)>) -> &'a str {
    let mut text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        text = group;
        loop {
            text = text.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            match text.strip_prefix('}') {
                Some(rest) => return rest,
                None if text.is_empty() => return text,
                None => text = expand(text, before, paths),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    // A star, or something else that is no name.
    let end = end.max(text.chars().next().map_or(0, char::len_utf8));
    let (name, rest) = text.split_at(end);
    let path: Module = before.iter().cloned().chain([name.to_string()]).collect();
    if let Some(further) = rest.strip_prefix("::") {
        return expand(further, &path, paths);
    }
    let renamed = rest.trim_start().strip_prefix("as ");
    let last = renamed.map_or(name, |rest| rest.split([',', ';', '}']).next().unwrap_or_default());
    paths.push((path, last.trim().to_string()));
    renamed.map_or(rest, |rest| &rest[last.len()..])
}

/// `path`, written in `module`, from the root.
fn absolute(module: &[String], path: &[String]) -> Module {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let (start, rest) = match path[0].as_str() {
        "crate" => (&module[..0], &path[1..]),
        "super" => (&module[..module.len().saturating_sub(ups)], &path[ups..]),
        "self" => (module, &path[1..]),
        _ => (module, path),
    };
    start.iter().chain(rest).filter(|name| *name != "self").cloned().collect()
}

#[test]
fn no_file_needs_a_file_of_its_module_that_needs_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let paths = sources(&root);
    let names: Vec<String> =
        paths.iter().map(|path| path.to_string_lossy().replace('\\', "/")).collect();
    let texts = paths.iter().map(|path| fs::read_to_string(root.join(path)).unwrap());
    let files = names.iter().map(String::as_str).zip(texts).filter(|(name, _)| *name != "lib.rs");
    let files = Crate::new(files);
    let circles = files.circles();
    assert!(circles.is_empty(), "these files import each other in a circle: {circles:?}");
}

#[test]
fn a_circle_is_found_by_any_way_of_naming_a_file() {
    let circles = |chart: &str, curve: &str| {
        let folder = "mod chart;\nmod curve;\npub use curve::{Curve, Value as Point};";
        let files = [("viz/mod.rs", folder), ("viz/chart.rs", chart), ("viz/curve.rs", curve)];
        Crate::new(files.map(|(path, text)| (path, text.to_string()))).circles().len()
    };
    for import in [
        "use crate::viz::curve::Curve;",
        "use crate::viz::{Curve, Picture};",
        "use crate::{error::Error, viz::{picture, curve::{self, Value}}};",
        "use super::Point;",
        "fn draw(curve: &super::curve::Curve) {}",
    ] {
        assert_eq!(circles(import, "use super::chart;"), 2, "{import}");
        assert_eq!(circles(import, "use super::picture;"), 0, "{import}");
    }
    assert_eq!(circles("// crate::viz::curve\n", "use super::chart::draw;"), 0);
}

#[test]
fn a_contract_and_its_implementations_may_name_each_other_and_detours_count() {
    let circles = |files: &[(&'static str, &str)]| {
        let files = files.iter().map(|(path, text)| (*path, text.to_string()));
        Crate::new(files).circles().into_iter().map(String::from).collect::<Vec<_>>()
    };
    let contract = "mod block;\nuse block::Block;\npub trait Mask {}";
    assert!(
        circles(&[("mask/mod.rs", contract), ("mask/block.rs", "use super::Mask;")]).is_empty()
    );
    let detour = [
        ("nn/a.rs", "use super::b::B;"),
        ("nn/b.rs", "use crate::nn::c::C;"),
        ("nn/c.rs", "use super::a;"),
        ("nn/d.rs", "use super::a;"),
    ];
    assert_eq!(circles(&detour), ["nn/a.rs", "nn/b.rs", "nn/c.rs"]);
}

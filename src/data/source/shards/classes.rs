//! The classes of all shards together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::data::source::regular;
use crate::data::source::shards::label::MOST_CLASSES;
use crate::error::{Error, Result};

/// The file beside the shards that names the classes, by label.
pub(crate) const CLASSES: &str = "classes.json";

/// What one shard says of classes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) shard: &'a Path,
    /// The names that its labels stand for, if these are no numbers.
    pub(crate) names: &'a [String],
    /// The largest number among its labels, which are places among the names if there are any.
    pub(crate) most: Option<u32>,
}

impl Said<'_> {
    fn has_numbers(&self) -> bool {
        self.names.is_empty() && self.most.is_some()
    }
}

/// The names of the classes, and which label of a shard is which of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes {
    pub(crate) names: Vec<String>,
    /// Names that are in the test split alone.
    pub(crate) unknown: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Classes {
    /// The classes of the shards `train`, which those of `test` are told by; `folder` is where their
    /// names may be in a file.
    ///
    /// Labels that are numbers are named by the file, or by their digits. Labels that are names are
    /// numbered in the order of the file, or of the names; a single name tells nothing and counts as
    /// none.
    ///
    /// # Errors
    ///
    /// When some shards have numbers and others have names, or the file lacks a class.
    pub(crate) fn of(folder: &Path, train: &[Said], test: &[Said]) -> Result<Self> {
        let all = || train.iter().chain(test);
        let named = all().find(|said| !said.names.is_empty());
        if let (Some(named), Some(numbered)) = (named, all().find(|said| said.has_numbers())) {
            let named = named.shard.display();
            let reason = format!("its labels are numbers, and those of {named} are names");
            return Err(Error::data(numbered.shard, reason));
        }
        let listed = listed(folder)?;
        let names_of = |shards: &[Said]| -> BTreeSet<String> {
            shards.iter().flat_map(|said| said.names).cloned().collect()
        };
        let names = if named.is_some() {
            let found = names_of(train);
            match listed {
                Some(listed) => {
                    if let Some(name) = found.iter().find(|name| !listed.contains(name)) {
                        let reason = format!("lacks the class {name}, which shards have");
                        return Err(Error::data(folder.join(CLASSES), reason));
                    }
                    listed
                }
                None if found.len() < 2 => return Ok(Self::default()),
                None => found.into_iter().collect(),
            }
        } else if train.iter().any(Said::has_numbers) {
            let most = all().filter_map(|said| said.most).max().unwrap_or(0);
            match listed {
                Some(listed) if listed.len() <= most as usize => {
                    let classes = listed.len();
                    let reason = format!("names {classes} classes, and there is a label {most}");
                    return Err(Error::data(folder.join(CLASSES), reason));
                }
                Some(listed) => listed,
                None => (0..=most).map(|number| number.to_string()).collect(),
            }
        } else {
            // Labels of the test split alone are useless.
            return Ok(Self::default());
        };
        let numbers: BTreeMap<_, _> = names.iter().cloned().zip(0..).collect();
        let unknown = names_of(test).into_iter().filter(|name| !numbers.contains_key(name));
        Ok(Self { unknown: unknown.collect(), numbers, names })
    }

    /// The class of the label `label` of a shard whose names are `names`.
    pub(crate) fn class(&self, names: &[String], label: u32) -> Option<u32> {
        match names {
            _ if self.names.is_empty() => None,
            [] => Some(label),
            names => self.numbers.get(names.get(label as usize)?).copied(),
        }
    }
}

/// The names in the file beside the shards, if there is one.
fn listed(folder: &Path) -> Result<Option<Vec<String>>> {
    let path = folder.join(CLASSES);
    if !path.exists() {
        return Ok(None);
    }
    let names: Vec<String> = serde_json::from_slice(&regular::read(&path)?)
        .map_err(|error| Error::data(&path, format!("is no list of names: {error}")))?;
    let distinct: BTreeSet<_> = names.iter().collect();
    if names.is_empty() || distinct.len() < names.len() || names.len() > MOST_CLASSES as usize {
        let reason = format!("must name 1 to {MOST_CLASSES} classes, each once");
        return Err(Error::data(&path, reason));
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The names of a shard's classes and its largest label.
    type Shard<'a> = (&'a [&'a str], u32);

    fn of(folder: &Path, train: &[Shard], test: &[Shard]) -> Result<Classes> {
        let owned = |shards: &[Shard]| -> Vec<Vec<String>> {
            let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            shards.iter().map(|(all, _)| names(all)).collect()
        };
        let names = [owned(train), owned(test)];
        let said = |part: usize, shards: &[Shard]| -> Vec<Said> {
            let all = names[part].iter().zip(shards);
            let shard = Path::new("a.tar");
            all.map(|(names, (_, most))| Said { shard, names, most: Some(*most) }).collect()
        };
        Classes::of(folder, &said(0, train), &said(1, test))
    }

    #[test]
    fn numbers_are_their_own_names_unless_a_file_names_them() {
        let dir = tempfile::tempdir().unwrap();
        let classes = of(dir.path(), &[(&[], 1)], &[(&[], 2)]).unwrap();
        assert_eq!(classes.names, ["0", "1", "2"]);
        assert_eq!(classes.class(&[], 2), Some(2));
        let file = dir.path().join(CLASSES);
        fs::write(&file, r#"["cat", "dog", "owl"]"#).unwrap();
        assert_eq!(of(dir.path(), &[(&[], 2)], &[]).unwrap().names, ["cat", "dog", "owl"]);
        let message = of(dir.path(), &[(&[], 3)], &[]).unwrap_err().to_string();
        assert!(message.ends_with("names 3 classes, and there is a label 3"), "{message}");
        for wrong in ["{}", "[]", r#"["a", "a"]"#] {
            fs::write(&file, wrong).unwrap();
            let message = of(dir.path(), &[(&[], 0)], &[]).unwrap_err().to_string();
            assert!(message.contains("classes.json: "), "{message}");
        }
    }

    #[test]
    fn names_are_numbered_alike_in_all_shards() {
        let dir = tempfile::tempdir().unwrap();
        let train: &[Shard] = &[(&["owl", "cat"], 1), (&["dog"], 0)];
        let classes = of(dir.path(), train, &[(&["dog", "elk"], 1)]).unwrap();
        assert_eq!(classes.names, ["cat", "dog", "owl"]);
        assert_eq!(classes.unknown, ["elk"]);
        let local = ["owl".to_string(), "cat".to_string(), "elk".to_string()];
        let numbers = [0, 1, 2].map(|label| classes.class(&local, label));
        assert_eq!(numbers, [Some(2), Some(0), None]);
        assert_eq!(of(dir.path(), &[(&["images"], 0)], &[]).unwrap(), Classes::default());
        let message = of(dir.path(), train, &[(&[], 0)]).unwrap_err().to_string();
        assert!(message.contains("its labels are numbers, and those of"), "{message}");
        fs::write(dir.path().join(CLASSES), r#"["owl", "dog", "cat"]"#).unwrap();
        assert_eq!(of(dir.path(), train, &[]).unwrap().names, ["owl", "dog", "cat"]);
        fs::write(dir.path().join(CLASSES), r#"["owl", "dog"]"#).unwrap();
        let message = of(dir.path(), train, &[]).unwrap_err().to_string();
        assert!(message.ends_with("lacks the class cat, which shards have"), "{message}");
    }
}

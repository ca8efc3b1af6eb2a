//! The classes of a layout: its first folders.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::data::source::layout::{Layout, Part, first_few, shown};

/// The classes that folders stand for.
#[derive(Debug)]
pub(crate) struct ClassFolders {
    numbers: BTreeMap<OsString, usize>,
    /// Classes of the test split that the training split lacks.
    pub(crate) unknown: Vec<String>,
}

impl ClassFolders {
    /// The first folders in the training split, and in what was held out of it.
    pub(crate) fn of(layout: &Layout) -> Self {
        let mut classes = classes(&layout.train);
        let tested = self::classes(&layout.test);
        if layout.is_drawn {
            classes.extend(tested.iter().cloned());
        }
        let unknown = tested.iter().filter(|name| !classes.contains(*name));
        let unknown = unknown.map(|name| shown(name)).collect();
        let numbers =
            classes.into_iter().enumerate().map(|(number, name)| (name, number)).collect();
        Self { numbers, unknown }
    }

    /// The label of a file by its path in the split.
    pub(crate) fn label(&self, file: &Path) -> Option<usize> {
        class_of(file).and_then(|class| self.numbers.get(class).copied())
    }

    /// The names by label.
    pub(crate) fn names(&self) -> Vec<String> {
        self.numbers.keys().map(|name| shown(name)).collect()
    }

    /// Notes about what has no label in data that has labels, and about classes that one of the splits
    /// has nothing of.
    pub(crate) fn notes(&self, layout: &Layout) -> Vec<String> {
        let labels = [&layout.train, &layout.test].map(|part| -> Vec<Option<usize>> {
            part.files.iter().map(|file| self.label(&file.path)).collect()
        });
        let many = layout.train.noun.many;
        let mut notes = Vec::new();
        let [train, test] =
            [&labels[0], &labels[1]].map(|all| all.iter().filter(|label| label.is_none()).count());
        let has_labels = train < labels[0].len();
        if has_labels && [train, test] != [0, 0] {
            notes.push(format!("without a label: {train} {many} to train, {test} to test"));
        }
        if !self.unknown.is_empty() && has_labels {
            let unknown = first_few(&self.unknown);
            notes.push(format!("classes to test on that training lacks: {unknown}"));
        }
        for (labels, use_of) in labels.iter().zip(["train on", "test on"]) {
            notes.extend(self.without(labels, layout.train.noun.one, use_of));
        }
        notes
    }

    /// A note about classes that a labelled split has nothing of.
    fn without(&self, labels: &[Option<usize>], one: &str, use_of: &str) -> Option<String> {
        let there: BTreeSet<_> = labels.iter().flatten().collect();
        let missing = self.numbers.iter().filter(|(_, number)| !there.contains(number));
        let missing: Vec<_> = missing.map(|(name, _)| shown(name)).collect();
        let article = if one.starts_with('i') { "an" } else { "a" };
        (!there.is_empty() && !missing.is_empty()).then(|| {
            format!("classes without {article} {one} to {use_of}: {}", first_few(&missing))
        })
    }
}

/// The names of the classes of a split, sorted.
fn classes(part: &Part) -> BTreeSet<OsString> {
    part.files.iter().filter_map(|file| class_of(&file.path)).map(OsString::from).collect()
}

/// The first folder of a relative path.
fn class_of(file: &Path) -> Option<&OsStr> {
    let mut names = file.iter();
    names.next().filter(|_| names.next().is_some())
}

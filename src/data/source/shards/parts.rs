//! Which shards are of which split, by the names of their folders and files.

use std::path::{Path, PathBuf};

use crate::data::source::layout::{first_few, shown};
use crate::data::source::split_name::{Role, SplitName};
use crate::data::{OpenProgress, OpenStep, scan};
use crate::error::{Error, Result};

/// The shards of a folder, divided into splits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The shards to train on, by their paths below the folder.
    pub(crate) train: Vec<PathBuf>,
    /// The possible test splits, the most usual name first; none where a part is to be held out.
    pub(crate) tests: Vec<(String, Vec<PathBuf>)>,
    /// What is worth saying of the choice.
    pub(crate) notes: Vec<String>,
}

impl Parts {
    /// Divides the sorted `shards` below `folder`. The first folder or file in a shard's path whose
    /// name has a word for a split decides: `train/0001.tar`, `images-val-0001.tar`. Without any such
    /// word all shards are there to train on.
    ///
    /// # Errors
    ///
    /// When there are test splits and nothing to train on.
    pub(crate) fn of(folder: &Path, shards: Vec<PathBuf>) -> Result<Self> {
        let mut by_role: Vec<(Role, Vec<PathBuf>)> = Vec::new();
        let mut others = Vec::new();
        for shard in shards {
            match role(&shard) {
                None => others.push(shard),
                Some(role) => match by_role.iter_mut().find(|(known, _)| *known == role) {
                    Some((_, shards)) => shards.push(shard),
                    None => by_role.push((role, vec![shard])),
                },
            }
        }
        by_role.sort_by_key(|(role, _)| *role);
        if by_role.is_empty() {
            return Ok(Self { train: others, tests: Vec::new(), notes: Vec::new() });
        }
        let train = by_role.iter().position(|(role, _)| *role == Role::Train);
        let Some(train) = train.map(|at| by_role.remove(at).1) else {
            let (role, shards) = &by_role[0];
            let first = shards[0].display();
            let reason = format!(
                "has a split to test on ({}: {first}), and no training split beside it; to use all \
                 of it, name its own folder",
                word(*role)
            );
            return Err(Error::data(folder, reason));
        };
        let mut notes = Vec::new();
        if !others.is_empty() {
            let names: Vec<_> = others.iter().map(|shard| shown(shard.as_os_str())).collect();
            notes.push(format!("not used, as they belong to no split: {}", first_few(&names)));
        }
        let tests = by_role.into_iter().map(|(role, shards)| (word(role).to_string(), shards));
        Ok(Self { train, tests: tests.collect(), notes })
    }
}

/// The split to test on, with its word: the first one of `tests` in which a shard has labels, or else the
/// first; nothing where there is none.
pub(super) fn tested<T>(
    tests: &[(String, Vec<PathBuf>)],
    mut open: impl FnMut(&[PathBuf]) -> Result<Vec<T>>,
    has_labels: impl Fn(&T) -> bool,
) -> Result<(&str, Vec<T>)> {
    let mut first = None;
    for (word, shards) in tests {
        let shards = open(shards)?;
        if shards.iter().any(&has_labels) {
            return Ok((word, shards));
        }
        first.get_or_insert((word.as_str(), shards));
    }
    Ok(first.unwrap_or_default())
}

/// What `open` makes of each of the `shards` below `folder`, on all cores.
pub(super) fn opened<T: Send>(
    folder: &Path,
    shards: &[PathBuf],
    open: impl Fn(PathBuf) -> Result<T> + Sync,
    progress: &mut dyn FnMut(OpenProgress),
) -> Result<Vec<T>> {
    let places: Vec<usize> = (0..shards.len()).collect();
    let total = Some(shards.len() as u64);
    let mut tell = |done| {
        progress(OpenProgress { step: OpenStep::List, done: done as u64, total });
    };
    let open = |nth: usize| open(folder.join(&shards[nth]));
    scan(&places, open, Result::is_err, &mut tell).into_iter().collect()
}

/// A note about images without a label, so many to train and to test, in data that has classes.
pub(super) fn unlabelled([train, test]: [usize; 2], classes: &[String]) -> Option<String> {
    let is_worth_saying = !classes.is_empty() && train + test > 0;
    is_worth_saying.then(|| format!("without a label: {train} images to train, {test} to test"))
}

fn role(shard: &Path) -> Option<Role> {
    let without_ending = shard.with_extension("");
    let names = without_ending.iter().filter_map(|name| name.to_str());
    names.filter_map(|name| SplitName::of(name).map(|split| split.role)).next()
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Train => "train",
        Role::Test => "test",
        Role::Valid => "val",
        Role::Dev => "dev",
        Role::Eval => "eval",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(shards: &[&str]) -> Result<Parts> {
        Parts::of(Path::new("set"), shards.iter().map(PathBuf::from).collect())
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn folders_and_names_of_files_tell_the_splits() {
        for [train, val] in [
            ["train/000000.tar", "val/000000.tar"],
            ["imagenet1k-train-0000.tar", "imagenet1k-validation-00.tar"],
            ["a/Training/x.tar", "a/Validation/x.tar"],
        ] {
            let found = parts(&[train, val]).unwrap();
            assert_eq!(found.train, paths(&[train]));
            assert_eq!(found.tests, [("val".to_string(), paths(&[val]))]);
        }
        let all = parts(&["dev/a.tar", "extra.tar", "test/a.tar", "train/a.tar"]).unwrap();
        let tests: Vec<_> = all.tests.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(tests, ["test", "dev"]);
        assert_eq!(all.notes, ["not used, as they belong to no split: extra.tar"]);
    }

    #[test]
    fn without_words_for_splits_all_shards_are_to_train_on() {
        let found = parts(&["0000.tar", "0001.tar"]).unwrap();
        assert_eq!(found.train.len(), 2);
        assert!(found.tests.is_empty());
    }

    #[test]
    fn a_test_split_alone_is_refused() {
        let message = parts(&["val/0000.tar"]).unwrap_err().to_string();
        assert!(message.starts_with("set: has a split to test on (val: val"), "{message}");
    }
}

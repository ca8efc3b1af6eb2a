//! Divides the images of a folder into a training and a test split.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use crate::data::source::noun::Noun;
use crate::data::source::split_name::{Role, SplitName, is_plain_word};
use crate::data::source::walk::ImageFile;
use crate::error::{Error, Result};
use crate::file::hex;

/// The images (or clips) of one split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) noun: Noun,
    /// The folder that the class folders lie in.
    pub(crate) folder: PathBuf,
    /// The images, by their paths below that folder.
    pub(crate) files: Vec<ImageFile>,
}

/// The images of a folder, divided into splits.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) train: Part,
    pub(crate) test: Part,
    /// Whether the test split was held out of one folder, so that both have the same classes.
    pub(crate) is_drawn: bool,
    /// Notes about the choice of splits, where it may surprise.
    pub(crate) notes: Vec<String>,
}

impl Layout {
    /// Divides the `files` in `root`, which are called `noun`, into splits by the names of folders.
    ///
    /// # Errors
    ///
    /// When two folders would be one split, when a folder could be a split as well as a class, or
    /// when there is nothing to train or to test on.
    pub(crate) fn of(root: &Path, noun: Noun, files: Vec<ImageFile>) -> Result<Self> {
        let all = Part { noun, folder: root.into(), files }.innermost();
        let looked_in = all.folder != root;
        let mut notes = Vec::new();
        if looked_in {
            notes.push(format!("the {} are looked for in {}", noun.many, all.folder.display()));
        }
        let (folders, loose) = all.children();
        let roles = roles(&folders);
        let named = |role: fn(Role) -> bool| {
            roles.iter().filter(move |(_, found)| role(**found)).map(|(name, _)| *name)
        };
        let train = one_of(&all.folder, named(|role| role == Role::Train).collect())?;
        let mut layout = match (train, choose_test(&all, &folders, &roles)?) {
            (None, None) => {
                no_splits_inside(&all, &folders)?;
                hold_out(all)?
            }
            (Some(train), Some(test)) => {
                let unused =
                    folders.keys().filter(|name| ![train, test].contains(&name.as_os_str()));
                let unused: Vec<_> = unused.map(|name| shown(name)).collect();
                notes.extend(not_used(noun, &unused, loose.len()));
                notes.push(format!("trained on {}, tested on {}", shown(train), shown(test)));
                let part =
                    |name: &OsStr| all.below(name, folders[name].clone()).innermost_split(name);
                Self { train: part(train), test: part(test), is_drawn: false, notes: Vec::new() }
            }
            (Some(only), None) | (None, Some(only)) if folders.len() > 1 => {
                return Err(ambiguous(&all, only, &folders));
            }
            (Some(train), None) => {
                notes.extend(not_used(noun, &[], loose.len()));
                hold_out(all.below(train, folders[train].clone()).innermost_split(train))?
            }
            (None, Some(test)) => {
                let test = all.folder.join(test);
                let reason = "is a test split, and there is no training split beside it; to use all \
                              of it, name this folder itself";
                return Err(Error::data(test, reason));
            }
        };
        layout.notes.splice(0..0, notes);
        Ok(layout)
    }
}

impl Part {
    /// A hash of the files' names in the split and their sizes.
    pub(crate) fn identity(&self) -> String {
        let mut hash = Md5::new();
        for file in &self.files {
            for name in &file.path {
                hash.update((name.len() as u64).to_le_bytes());
                hash.update(name.as_encoded_bytes());
            }
            hash.update(u64::MAX.to_le_bytes());
            hash.update(file.size.to_le_bytes());
        }
        hex(&hash.finalize())
    }

    /// The images by the first folder of their path, and the images that lie in no folder.
    fn children(&self) -> (BTreeMap<OsString, Vec<ImageFile>>, Vec<ImageFile>) {
        let (mut folders, mut loose) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
        for file in &self.files {
            let mut names = file.path.iter();
            match (names.next(), names.as_path()) {
                (Some(first), rest) if rest != Path::new("") => {
                    let file = ImageFile { path: rest.into(), size: file.size };
                    folders.entry(first.to_os_string()).or_default().push(file);
                }
                _ => loose.push(file.clone()),
            }
        }
        (folders, loose)
    }

    fn below(&self, name: &OsStr, files: Vec<ImageFile>) -> Self {
        Self { noun: self.noun, folder: self.folder.join(name), files }
    }

    /// The only folder that has images, if `is_way` allows looking into it.
    fn only_folder(&self, is_way: impl Fn(&OsStr, &Self) -> bool) -> Option<Self> {
        let (folders, loose) = self.children();
        let (name, files) = folders.into_iter().next().filter(|_| loose.is_empty())?;
        let inner = self.below(&name, files);
        let only = inner.files.len() == self.files.len();
        (only && is_way(&name, &inner)).then_some(inner)
    }

    /// The folder that holds splits or classes, inside folders that hold nothing else.
    fn innermost(self) -> Self {
        let is_way = |name: &OsStr, inner: &Self| match split_name(name).filter(SplitName::is_plain)
        {
            Some(_) => inner.has_splits(),
            None => inner.has_classes() || is_plain_word(&name.to_string_lossy()),
        };
        match self.only_folder(is_way) {
            Some(inner) => inner.innermost(),
            None => self,
        }
    }

    /// The folder that holds the classes of the split `split`: `seg_train/seg_train`, `val/images`.
    fn innermost_split(self, split: &OsStr) -> Self {
        let is_way = |name: &OsStr, _: &Self| {
            let role = |name| split_name(name).map(|split| split.role);
            let same = name == split || role(name).is_some() && role(name) == role(split);
            same || is_plain_word(&name.to_string_lossy())
        };
        match self.only_folder(is_way) {
            Some(inner) => inner.innermost_split(split),
            None => self,
        }
    }

    fn has_classes(&self) -> bool {
        self.files.iter().any(|file| file.path.iter().nth(1).is_some())
    }

    fn has_splits(&self) -> bool {
        let (folders, _) = self.children();
        let roles = roles(&folders);
        let is = |train| roles.values().any(|role| (*role == Role::Train) == train);
        is(true) && is(false)
    }
}

/// Checks that no folder has splits of its own inside, whose test images would be trained on.
fn no_splits_inside(all: &Part, folders: &Folders) -> Result<()> {
    for (name, files) in folders {
        let inner = all.below(name, files.clone());
        if inner.has_splits() {
            let reason = format!(
                "has folders with splits of their own inside ({}); name one of them ({}:{})",
                shown(name),
                all.noun.source,
                inner.folder.display()
            );
            return Err(Error::data(&all.folder, reason));
        }
    }
    Ok(())
}

fn split_name(name: &OsStr) -> Option<SplitName> {
    name.to_str().and_then(SplitName::of)
}

type Folders = BTreeMap<OsString, Vec<ImageFile>>;

/// The folders that are splits: folders with a plain name, or else pairs like `seg_train`,
/// `seg_test`.
fn roles(folders: &Folders) -> BTreeMap<&OsStr, Role> {
    let names: Vec<_> = folders
        .keys()
        .filter_map(|name| split_name(name).map(|split| (name.as_os_str(), split)))
        .collect();
    let roles = |is: &dyn Fn(&SplitName) -> bool| -> BTreeMap<_, _> {
        names
            .iter()
            .filter(|(_, split)| is(split))
            .map(|(name, split)| (*name, split.role))
            .collect()
    };
    let plain = roles(&SplitName::is_plain);
    if !plain.is_empty() {
        return plain;
    }
    roles(&|split| {
        let is = |train| {
            let counterpart = |other: &&(&OsStr, SplitName)| {
                other.1.rest == split.rest && (other.1.role == Role::Train) == train
            };
            names.iter().any(|name| counterpart(&name))
        };
        is(true) && is(false)
    })
}

/// The only one of these folders; two folders would be the same split, which is an error.
fn one_of<'a>(folder: &Path, names: Vec<&'a OsStr>) -> Result<Option<&'a OsStr>> {
    if let [one, other, ..] = names.as_slice() {
        let reason = format!(
            "{} and {} would be the same split; rename or move one of them",
            shown(one),
            shown(other)
        );
        return Err(Error::data(folder, reason));
    }
    Ok(names.first().copied())
}

/// The test split: a folder with classes is preferred to one without, then the most usual name.
fn choose_test<'a>(
    all: &Part,
    folders: &Folders,
    roles: &BTreeMap<&'a OsStr, Role>,
) -> Result<Option<&'a OsStr>> {
    let mut found = Vec::new();
    for wanted in [Role::Test, Role::Valid, Role::Dev, Role::Eval] {
        let names = roles.iter().filter(|(_, role)| **role == wanted).map(|(name, _)| *name);
        found.extend(one_of(&all.folder, names.collect())?);
    }
    let part = |name: &&OsStr| all.below(name, folders[*name].clone()).innermost_split(name);
    let labelled = found.iter().find(|name| part(name).has_classes());
    Ok(labelled.or(found.first()).copied())
}

fn ambiguous(all: &Part, split: &OsStr, folders: &Folders) -> Error {
    let others = folders.keys().filter(|name| *name != split).map(|name| shown(name));
    let reason = format!(
        "{} has the name of a split, but beside it are folders of {} that are none ({}): if it \
         is a class, give it another name; if it is the split, name it alone ({}:{})",
        shown(split),
        all.noun.many,
        first_few(&others.collect::<Vec<_>>()),
        all.noun.source,
        all.folder.join(split).display()
    );
    Error::data(&all.folder, reason)
}

fn not_used(noun: Noun, folders: &[String], loose: usize) -> Option<String> {
    let mut unused = Vec::new();
    if !folders.is_empty() {
        unused.push(first_few(folders));
    }
    if loose > 0 {
        unused.push(format!("{} beside the splits: {loose}", noun.many));
    }
    (!unused.is_empty()).then(|| format!("not used: {}", unused.join("; ")))
}

/// A list that is cut to one line.
pub(crate) fn first_few(names: &[String]) -> String {
    const NAMED: usize = 5;
    let more = names.len().saturating_sub(NAMED);
    let named = names[..names.len() - more].join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

/// A name as text. Bytes that are not text are written as `\xNN`, so that different names stay
/// different.
pub(crate) fn shown(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Holds out about a tenth of the images as the test split, chosen by the hash of each file's path
/// alone. If chance leaves one side without images, the image nearest to the threshold goes there.
fn hold_out(all: Part) -> Result<Layout> {
    if let [only] = all.files.as_slice() {
        let reason = format!(
            "holds one {} only ({}); at least one to train on and one to test on are needed",
            all.noun.one,
            all.folder.join(&only.path).display()
        );
        return Err(Error::data(&all.folder, reason));
    }
    let keys: Vec<u64> = all.files.iter().map(|file| key(&file.path)).collect();
    let least = keys.iter().min().copied().unwrap_or(0);
    let most = keys.iter().max().copied().unwrap_or(u64::MAX);
    let is_test = |key: u64| key == least || key < u64::MAX / 10 && key != most;
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (file, key) in all.files.into_iter().zip(keys) {
        if is_test(key) { test.push(file) } else { train.push(file) }
    }
    let note = format!(
        "no test split: {} of {} {} are held out, chosen by their names",
        test.len(),
        test.len() + train.len(),
        all.noun.many
    );
    let part = |files| Part { noun: all.noun, folder: all.folder.clone(), files };
    Ok(Layout { train: part(train), test: part(test), is_drawn: true, notes: vec![note] })
}

fn key(path: &Path) -> u64 {
    let mut hash = Md5::new();
    hash.update("held out");
    for name in path {
        hash.update("/");
        hash.update(name.as_encoded_bytes());
    }
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;

//! The samples of one shard, found by the headers of its members.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use md5::{Digest, Md5};
use tar::{Archive, Entry, EntryType};

use crate::data::source::regular;
use crate::data::source::shards::label::Label;
use crate::data::source::walk::is_image;
use crate::error::{Error, Result};

/// Bytes of a block, which a header is and which every member begins at.
pub(super) const BLOCK: u64 = 512;
/// How much may follow the end of an archive, in bytes: writers fill up their last record with zeros.
const MOST_PADDING: u64 = 1 << 20;

/// Where the image of a sample lies in its shard, and what is known of the sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Which block is the header of the image's member; the image follows it.
    pub(super) block: u32,
    /// Bytes of the image.
    pub(super) bytes: u32,
    /// A number, or the place of a name among the shard's classes.
    pub(super) label: Option<u32>,
    /// Whether the sample is one of the tenth that is held out where there is no test split.
    pub(super) held_out: bool,
}

/// The samples of a shard.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Samples {
    /// The samples in the order of their first members.
    pub(super) places: Vec<Place>,
    /// The names that labels stand for; empty where labels are numbers or there are none.
    pub(super) classes: Vec<String>,
}

/// Finds the samples of the tar file `shard` without reading its images.
///
/// # Errors
///
/// When the file is no tar file, is cut short or goes on after its end; when two members of one kind
/// have one key; when a sample has a label and no image, or no label where others have one.
pub(super) fn samples(shard: &Path) -> Result<Samples> {
    let (file, length) = regular::open(shard)?;
    let mut groups = Groups { shard, groups: Vec::new(), by_key: HashMap::new() };
    let damaged = |error: io::Error| Error::data(shard, format!("cannot be read as tar: {error}"));
    let (mut archive, mut end) = (Archive::new(&file), 0);
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path_bytes().into_owned();
        let reach = entry.raw_file_position().saturating_add(entry.size());
        if reach > length {
            let name = shown(&name);
            let reason =
                format!("is cut short: {name} reaches byte {reach}, the file has {length}");
            return Err(Error::data(shard, reason));
        }
        end = reach;
        match entry.header().entry_type() {
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            EntryType::Regular | EntryType::Continuous => groups.add(&name, &mut entry)?,
            other => {
                let name = shown(&name);
                return Err(Error::data(shard, format!("holds {name}, a {other:?}, not a file")));
            }
        }
    }
    check_end(&file, end.next_multiple_of(BLOCK), length)
        .map_err(damaged)?
        .map_or(Ok(()), |reason| Err(Error::data(shard, reason)))?;
    groups.samples()
}

/// What is wrong with the end of the archive: two blocks of zeros that nothing follows.
fn check_end(mut file: &File, end: u64, length: u64) -> io::Result<Option<String>> {
    let rest = length.saturating_sub(end);
    if rest < 2 * BLOCK {
        return Ok(Some("is cut short: the two empty blocks at the end are missing".into()));
    }
    let more = format!("goes on for {rest} bytes after its end, as archives that were joined do");
    if rest > MOST_PADDING {
        return Ok(Some(more));
    }
    let mut padding = Vec::new();
    file.seek(SeekFrom::Start(end))?;
    file.take(rest).read_to_end(&mut padding)?;
    Ok(padding.iter().any(|byte| *byte != 0).then_some(more))
}

/// A member's name, cut at the first dot of its last part.
struct Name<'a> {
    key: &'a [u8],
    ending: String,
}

impl<'a> Name<'a> {
    /// `None` of hidden files and of names without a dot.
    fn of(name: &'a [u8]) -> Option<Self> {
        let name = name.strip_prefix(b"./").unwrap_or(name);
        let base = name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let dot = name[base..].iter().position(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
        let (key, ending) = name.split_at(base + dot);
        Some(Self { key, ending: String::from_utf8_lossy(&ending[1..]).to_lowercase() })
    }
}

/// The members of one key.
#[derive(Default)]
struct Group {
    key: Vec<u8>,
    /// The block and the bytes of the image.
    image: Option<(u32, u32)>,
    cls: Option<Label>,
    json: Option<Label>,
}

impl Group {
    fn given(&self) -> Option<&Label> {
        self.cls.as_ref().or(self.json.as_ref())
    }

    /// The folder that the sample lies in.
    fn folder(&self) -> Label {
        let mut parts = self.key.rsplit(|byte| *byte == b'/').skip(1);
        let named = parts.next().filter(|name| !name.is_empty());
        named.map_or(Label::None, |name| Label::Name(String::from_utf8_lossy(name).into_owned()))
    }

    /// Whether the key is one of the lowest tenth by its hash.
    fn is_held_out(&self) -> bool {
        let digest = Md5::new().chain_update("held out").chain_update(&self.key).finalize();
        u64::from_be_bytes(std::array::from_fn(|at| digest[at])) < u64::MAX / 10
    }
}

/// The members that have been met, by their keys.
struct Groups<'a> {
    shard: &'a Path,
    groups: Vec<Group>,
    by_key: HashMap<Vec<u8>, usize>,
}

impl Groups<'_> {
    fn add(&mut self, name: &[u8], entry: &mut Entry<'_, impl Read>) -> Result<()> {
        let Some(Name { key, ending }) = Name::of(name) else { return Ok(()) };
        let is_wanted = matches!(ending.as_str(), "cls" | "json") || is_image_ending(&ending);
        if !is_wanted {
            return Ok(());
        }
        let (place, bytes) = (entry.raw_header_position() / BLOCK, entry.size());
        // Reading finds the image by the header right before it.
        let is_plain = entry.raw_file_position() == entry.raw_header_position() + BLOCK
            && entry.header().entry_size().is_ok_and(|size| size == bytes);
        let text = match ending.as_str() {
            "cls" | "json" => Some(Label::text(entry).map_err(|why| self.fault(key, why))?),
            _ => None,
        };
        let index = *self.by_key.entry(key.to_vec()).or_insert(self.groups.len());
        if index == self.groups.len() {
            self.groups.push(Group { key: key.to_vec(), ..Group::default() });
        }
        let group = &mut self.groups[index];
        let is_second = match (ending.as_str(), text) {
            ("cls", Some(text)) => {
                let label = Label::of_cls(&text).map_err(|why| fault(self.shard, key, why))?;
                group.cls.replace(label).is_some()
            }
            ("json", Some(text)) => {
                let label = Label::of_json(&text).map_err(|why| fault(self.shard, key, why))?;
                // A file without a label says nothing of it.
                label.is_some_and(|label| group.json.replace(label).is_some())
            }
            _ => {
                let (Ok(place), Ok(bytes), true) =
                    (u32::try_from(place), u32::try_from(bytes), is_plain)
                else {
                    let reason = "an image must have less than 4 GB and lie in the first 2 TB, \
                                  without an extension of its header for its size";
                    return Err(self.fault(key, reason));
                };
                group.image.replace((place, bytes)).is_some()
            }
        };
        match is_second {
            true => {
                let reason = format!(
                    "there are two members of this key with one kind (.{})",
                    shown(ending.as_bytes())
                );
                Err(self.fault(key, reason))
            }
            false => Ok(()),
        }
    }

    fn fault(&self, key: &[u8], reason: impl std::fmt::Display) -> Error {
        fault(self.shard, key, reason)
    }

    fn samples(self) -> Result<Samples> {
        let with_image = || self.groups.iter().filter(|group| group.image.is_some());
        let labelled = with_image().find(|group| group.given().is_some());
        let (mut places, mut classes) = (Vec::new(), Vec::<String>::new());
        let mut numbers = HashMap::<String, u32>::new();
        let mut first_number = None;
        for group in &self.groups {
            let Some((block, bytes)) = group.image else {
                let is_lost = group.given().is_some();
                let reason = "there is a label and no image of this key";
                if is_lost {
                    return Err(self.fault(&group.key, reason));
                }
                continue;
            };
            let label = match (group.given(), labelled) {
                (Some(label), _) => label.clone(),
                (None, Some(other)) => {
                    let other = shown(&other.key);
                    let reason = format!("there is no label of this key, and {other} has one");
                    return Err(self.fault(&group.key, reason));
                }
                (None, None) => group.folder(),
            };
            let label = match label {
                Label::None => None,
                Label::Number(number) => {
                    first_number.get_or_insert(&group.key);
                    Some(number)
                }
                Label::Name(name) => Some(*numbers.entry(name).or_insert_with_key(|name| {
                    classes.push(name.clone());
                    classes.len() as u32 - 1
                })),
            };
            if let (Some(key), false) = (first_number, classes.is_empty()) {
                let reason = "its label is a number, and others are names; use one of the two";
                return Err(self.fault(key, reason));
            }
            places.push(Place { block, bytes, label, held_out: group.is_held_out() });
        }
        Ok(Samples { places, classes })
    }
}

/// A name as text of one line, which is cut where it is long.
fn shown(name: &[u8]) -> String {
    const MOST: usize = 200;
    let name = String::from_utf8_lossy(name);
    let more = if name.chars().nth(MOST).is_some() { "…" } else { "" };
    name.chars().take(MOST).flat_map(char::escape_debug).chain(more.chars()).collect()
}

fn is_image_ending(ending: &str) -> bool {
    !ending.contains('.') && is_image(format!("a.{ending}").as_ref())
}

fn fault(shard: &Path, key: &[u8], reason: impl std::fmt::Display) -> Error {
    Error::data(shard, format!("sample {}: {reason}", shown(key)))
}

//! Shards on the network, downloaded one by one to the cache.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::data::source::archive::with_suffix;
use crate::data::source::cache::{cache_folder, lock};
use crate::data::source::download::{Limits, Remote};
use crate::data::source::shards::CLASSES;
use crate::error::{Error, Result};

/// The environment variable with the largest size of all shards of a source together, in GB.
const LIMIT_VARIABLE: &str = "BURN_MIM_CACHE_LIMIT";
/// That size without the variable, in GB.
const LIMIT: u64 = 200;
/// The largest number of shards that an address may stand for.
const MOST_SHARDS: usize = 100_000;
/// The file in place of a list of classes that the server does not have.
const NO_CLASSES: &str = "classes.json.none";
/// The most bytes of a list of classes.
const MOST_OF_LIST: u64 = 16 << 20;
/// What may be done about a shard that cannot be had.
const ADVICE: &str = "with a copy of the shards on disk, use tar:DIR";

/// The address that stands in place of a folder, if one does.
pub(super) fn address(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| text.starts_with("https://") || text.starts_with("http://"))
}

/// Where shards are downloaded to, and within which limits.
#[derive(Debug)]
pub(super) struct Fetch {
    /// The cache.
    cache: PathBuf,
    /// The limits of one shard.
    limits: Limits,
    /// The largest size of all shards, in bytes.
    most: u64,
}

impl Fetch {
    /// To the user's cache, within the usual limits.
    pub(super) fn usual() -> Result<Self> {
        let gigabytes = match env::var(LIMIT_VARIABLE) {
            Err(_) => LIMIT,
            Ok(text) => text.parse().map_err(|_| {
                Error::config(format!("{LIMIT_VARIABLE} is `{text}`, expected a number of GB"))
            })?,
        };
        let most = gigabytes.saturating_mul(1_000_000_000);
        let limits = Limits { most, ..Limits::USUAL };
        Ok(Self { cache: cache_folder()?, limits, most })
    }

    /// The folder of the shards that `address` stands for, and their paths below it, sorted. Those that
    /// are not in the cache are downloaded.
    pub(super) fn shards(
        &self,
        address: &str,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(PathBuf, Vec<PathBuf>)> {
        let urls = expanded(address)?;
        let mut shards = Vec::with_capacity(urls.len());
        for url in &urls {
            shards.push((below_cache(url)?, url.as_str()));
        }
        shards.sort();
        if let Some(twice) = shards.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let reason = format!("has the same name as {}", twice[0].1);
            return Err(Error::data(twice[1].1, reason));
        }
        let mut bytes = 0;
        for (below, url) in &shards {
            let shard = self.cache.join("shards").join(below);
            let before = bytes;
            let mut tell = |done, _| progress(before + done, None);
            self.fetch(url, &shard, before, &mut tell)?;
            bytes += fs::metadata(&shard).map_err(|error| Error::data(&shard, error))?.len();
        }
        let common = common_folder(shards.iter().map(|(below, _)| below.as_path()));
        let paths = shards.iter().map(|(below, _)| below.strip_prefix(&common).unwrap_or(below));
        let paths = paths.map(Path::to_path_buf).collect();
        Ok((self.cache.join("shards").join(common), paths))
    }

    /// Downloads the list of classes beside the shards of `address`, if there is one, into their `folder`
    /// in the cache. The server is asked once: that it has none is kept too.
    pub(super) fn classes(&self, address: &str, folder: &Path) -> Result<()> {
        let (list, none) = (folder.join(CLASSES), folder.join(NO_CLASSES));
        let url = expanded(address)?.into_iter().next();
        let Some(url) = url.filter(|_| !list.is_file() && !none.is_file()) else { return Ok(()) };
        let below = self.cache.join("shards").join(below_cache(&url)?);
        let depth = below.strip_prefix(folder).map_or(1, |rest| rest.components().count());
        let url = beside(&url, depth);
        let limits = Limits { most: MOST_OF_LIST, ..self.limits };
        let remote = Remote { url: &url, advice: ADVICE, limits };
        let part = with_suffix(&list, ".part");
        match remote.transfer_if_there(&part)? {
            true => fs::rename(&part, &list).map_err(|error| Error::data(&list, error)),
            false => fs::write(&none, "").map_err(|error| Error::data(&none, error)),
        }
    }

    /// Downloads `url` as `shard`, unless it is there; `before` bytes are in the shards before it.
    fn fetch(
        &self,
        url: &str,
        shard: &Path,
        before: u64,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<()> {
        let folder = shard.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder).map_err(|error| Error::data(folder, error))?;
        if shard.is_file() {
            return Ok(());
        }
        let lock_file = with_suffix(shard, ".lock");
        let lock = lock(&lock_file)?;
        if shard.is_file() {
            return Ok(());
        }
        let left = self.most.saturating_sub(before);
        if left == 0 {
            let most = self.most / 1_000_000;
            let reason = format!(
                "the shards before it take {most} MB, the most that is allowed; {LIMIT_VARIABLE} \
                 allows more (in GB), or {ADVICE}"
            );
            return Err(Error::data(url, reason));
        }
        let limits = Limits { most: self.limits.most.min(left), ..self.limits };
        let part = with_suffix(shard, ".part");
        Remote { url, advice: ADVICE, limits }.transfer(&part, progress)?;
        fs::rename(&part, shard).map_err(|error| Error::data(shard, error))?;
        drop(lock);
        // Whoever waited for the lock finds the shard.
        let _ = fs::remove_file(lock_file);
        Ok(())
    }
}

/// Where the file of an address lies in the cache: its host and its path.
fn below_cache(url: &str) -> Result<PathBuf> {
    let fault = || Error::data(url, "is no address of a file: expected https://HOST/PATH.tar");
    let (_, rest) = url.split_once("://").ok_or_else(fault)?;
    let path = rest.split(['?', '#']).next().unwrap_or(rest);
    let plain = |c: char| if c.is_alphanumeric() || "-_.%=+~,@".contains(c) { c } else { '_' };
    let path: PathBuf =
        path.split('/').map(|part| part.chars().map(plain).collect::<String>()).collect();
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let is_tar = path.extension().is_some_and(|ending| ending == "tar");
    (is_plain && is_tar && path.components().count() > 1).then_some(path).ok_or_else(fault)
}

/// The address of the list of classes in the folder that is `depth` parts above the end of `url`.
fn beside(url: &str, depth: usize) -> String {
    let (path, query) = url.find(['?', '#']).map_or((url, ""), |at| url.split_at(at));
    let mut parts: Vec<_> = path.split('/').collect();
    parts.truncate(parts.len().saturating_sub(depth));
    format!("{}/{CLASSES}{query}", parts.join("/"))
}

fn common_folder<'a>(mut paths: impl Iterator<Item = &'a Path>) -> PathBuf {
    let first = paths.next().and_then(Path::parent).unwrap_or(Path::new(""));
    let mut common = first.to_path_buf();
    for path in paths {
        while !path.starts_with(&common) {
            common.pop();
        }
    }
    common
}

/// All texts that `pattern` stands for: `{08..11}` for each number, as wide as its ends, and `{a,b}`
/// for each part.
fn expanded(pattern: &str) -> Result<Vec<String>> {
    let fault = |reason: &str| Error::data(pattern, reason);
    let mut done = Vec::new();
    let mut open = vec![pattern.to_string()];
    while let Some(text) = open.pop() {
        if done.len() + open.len() > MOST_SHARDS {
            return Err(fault(&format!("stands for more than {MOST_SHARDS} shards")));
        }
        let Some(start) = text.find('{') else {
            done.push(text);
            continue;
        };
        let end = closing(&text[start..]).ok_or_else(|| fault("has a brace that is not closed"))?;
        let (before, inner, after) =
            (&text[..start], &text[start + 1..start + end], &text[start + end + 1..]);
        let choices = match range(inner) {
            Some((first, last, _)) if last - first >= MOST_SHARDS as u64 => {
                return Err(fault(&format!("stands for more than {MOST_SHARDS} shards")));
            }
            Some((first, last, width)) => {
                (first..=last).map(|number| format!("{number:0width$}")).collect()
            }
            None => at_commas(inner),
        };
        // The last is taken first, so that what is done is in order.
        open.extend(choices.iter().rev().map(|choice| format!("{before}{choice}{after}")));
    }
    Ok(done)
}

/// Where the brace that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth == 0).then_some(at)
    })
}

/// The ends of `08..11`, and how many digits its numbers have at least.
fn range(text: &str) -> Option<(u64, u64, usize)> {
    let (first, last) = text.split_once("..")?;
    let is_padded = [first, last].iter().any(|text| text.len() > 1 && text.starts_with('0'));
    let width = if is_padded { first.len().max(last.len()) } else { 0 };
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && width <= 32).then_some((first, last, width))
}

/// The parts of `text` between commas that are in no braces.
fn at_commas(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match (c, parts.last_mut()) {
            (',', _) if depth == 0 => parts.push(String::new()),
            (_, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    parts
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;

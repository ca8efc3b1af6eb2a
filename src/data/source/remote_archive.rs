//! Archives on the network, in the user's cache folder: verified, safe beside other processes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use crate::data::source::archive::{self, with_suffix};
use crate::data::source::cache::{holds_something, lock};
use crate::data::source::download::{Limits, Remote};
use crate::data::source::regular;
use crate::error::{Error, Result};
use crate::file::{hex, read_through};

/// A `.tar.gz` on the network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteArchive<'a> {
    /// The address of the folder that holds the file.
    pub(crate) base: &'a str,
    /// The name of the file there and in the cache, without `.tar.gz`.
    pub(crate) name: &'a str,
    /// The MD5 sum its publisher states, in lower-case hexadecimal digits.
    pub(crate) md5: &'a str,
    /// How a data specification names a local copy of the files, for advice in errors.
    pub(crate) offline: &'a str,
    /// The limits of the download.
    pub(crate) limits: Limits,
}

impl RemoteArchive<'_> {
    /// The unpacked archive's folder in `cache`, downloaded first where it is not there yet.
    ///
    /// `progress` hears the bytes so far and, where the server says, of how many. A second process
    /// that wants the same archive waits for the first one.
    pub(crate) fn unpacked(
        &self,
        cache: &Path,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<PathBuf> {
        let folder = cache.join(self.name);
        if holds_something(&folder) {
            return Ok(folder);
        }
        fs::create_dir_all(cache).map_err(|error| Error::data(cache, error))?;
        let _lock = lock(&cache.join(format!("{}.lock", self.name)))?;
        if holds_something(&folder) {
            return Ok(folder);
        }
        if folder.is_dir() {
            // Somebody emptied the folder.
            fs::remove_dir(&folder).map_err(|error| Error::data(&folder, error))?;
        }
        let archive = cache.join(format!("{}.tar.gz", self.name));
        let deleted = self.delete_if_damaged(&archive)?;
        if !archive.is_file() {
            self.download(&archive, progress).map_err(|error| match (error, deleted) {
                (Error::Data { path, reason }, Some(deleted)) => {
                    Error::data(path, format!("{reason}; {deleted}"))
                }
                (error, _) => error,
            })?;
        }
        archive::unpack(&archive, &folder)?;
        fs::remove_file(&archive).map_err(|error| Error::data(&archive, error))?;
        Ok(folder)
    }

    /// Deletes the cached `archive` if it differs from the published one, and returns an error that
    /// says so.
    fn delete_if_damaged(&self, archive: &Path) -> Result<Option<String>> {
        if !archive.exists() {
            return Ok(None);
        }
        let fault = |error| Error::data(archive, error);
        let (file, _) = regular::open(archive)?;
        let found = md5_of(file).map_err(fault)?;
        if found == self.md5 {
            return Ok(None);
        }
        fs::remove_file(archive).map_err(fault)?;
        Ok(Some(format!(
            "the copy in the cache, {}, was deleted, as it has the MD5 sum {found}, expected {}",
            archive.display(),
            self.md5
        )))
    }

    fn url(&self) -> String {
        format!("{}/{}.tar.gz", self.base, self.name)
    }

    fn download(&self, to: &Path, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<()> {
        let (part, url) = (with_suffix(to, ".part"), self.url());
        let advice = format!("with a copy of the files on disk, use {}:DIR", self.offline);
        let remote = Remote { url: &url, advice: &advice, limits: self.limits };
        remote.transfer(&part, progress)?;
        let found =
            File::open(&part).and_then(md5_of).map_err(|error| Error::data(&part, error))?;
        if found != self.md5 {
            fs::remove_file(&part).map_err(|error| Error::data(&part, error))?;
            return Err(remote.fault(format!(
                "the download has the MD5 sum {found}, expected {}; it was deleted, try again",
                self.md5
            )));
        }
        fs::rename(&part, to).map_err(|error| Error::data(to, error))
    }
}

fn md5_of(file: File) -> std::io::Result<String> {
    let mut hash = Md5::new();
    read_through(file, |part| hash.update(part))?;
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
#[path = "remote_archive_tests.rs"]
mod tests;

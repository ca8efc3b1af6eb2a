//! Downloads into the user's cache folder: resumable, verified, safe beside other processes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use ureq::http::{Response, header};
use ureq::{Agent, Body};

use crate::data::source::archive::{self, with_suffix};
use crate::data::source::cache::{holds_something, lock};
use crate::data::source::regular;
use crate::error::{Error, Result};
use crate::file::{hex, read_through};

/// The longest wait for a connection, for an answer and for each piece of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Limits for the time and the size of a download.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The largest size of the file, in bytes.
    pub(crate) most: u64,
    /// In each period of this length ...
    pub(crate) window: Duration,
    /// ... at least this many bytes must arrive.
    pub(crate) least: u64,
}

impl Limits {
    /// 256 MB, and 10 kB a second on average over each minute.
    pub(crate) const USUAL: Self =
        Self { most: 256 << 20, window: Duration::from_secs(60), least: 600_000 };
}

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
        let part = with_suffix(to, ".part");
        self.transfer(&part, progress)?;
        let found =
            File::open(&part).and_then(md5_of).map_err(|error| Error::data(&part, error))?;
        if found != self.md5 {
            fs::remove_file(&part).map_err(|error| Error::data(&part, error))?;
            return Err(self.fault(format!(
                "the download has the MD5 sum {found}, expected {}; it was deleted, try again",
                self.md5
            )));
        }
        fs::rename(&part, to).map_err(|error| Error::data(to, error))
    }

    /// Completes the file `part`, going on from where an earlier try stopped.
    fn transfer(&self, part: &Path, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<()> {
        let held = fs::metadata(part).map_or(0, |metadata| metadata.len());
        let response = self.request(held)?;
        let start = match response.status().as_u16() {
            200 => 0,
            206 if starts_at(&response, held) => held,
            206 | 416 if held > 0 => {
                fs::remove_file(part).map_err(|error| Error::data(part, error))?;
                return self.transfer(part, progress);
            }
            status => return Err(self.fault(format!("the server answered with status {status}"))),
        };
        let mut file = open_at(part, start).map_err(|error| Error::data(part, error))?;
        self.receive(response.into_body(), start, &mut file, part, progress)?;
        file.sync_all().map_err(|error| Error::data(part, error))
    }

    fn request(&self, from: u64) -> Result<Response<Body>> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_resolve(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .build()
            .into();
        let mut request = agent.get(self.url());
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        request.call().map_err(|error| self.fault(error))
    }

    fn receive(
        &self,
        body: Body,
        start: u64,
        file: &mut File,
        part: &Path,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<()> {
        let total = body.content_length().map(|rest| start + rest);
        let Limits { most, window, least } = self.limits;
        if total.is_some_and(|total| total > most) {
            return Err(self.endless(part));
        }
        let mut reader = body.into_reader();
        let mut buffer = vec![0; 1 << 16];
        let (mut done, mut since, mut then) = (start, Instant::now(), start);
        loop {
            progress(done, total);
            let count = reader.read(&mut buffer).map_err(|error| {
                self.fault(format!("broke off after {done} bytes ({error}); try again to go on"))
            })?;
            if count == 0 {
                return Ok(());
            }
            file.write_all(&buffer[..count]).map_err(|error| Error::data(part, error))?;
            done += count as u64;
            if done > most {
                return Err(self.endless(part));
            }
            if since.elapsed() >= window {
                if done - then < least {
                    return Err(self.fault(format!(
                        "came too slowly: {} bytes in {} seconds after {then} bytes; try again to \
                         go on",
                        done - then,
                        window.as_secs()
                    )));
                }
                (since, then) = (Instant::now(), done);
            }
        }
    }

    /// The error of a download that cannot be the right file; the part that arrived is deleted.
    fn endless(&self, part: &Path) -> Error {
        if let Err(error) = fs::remove_file(part) {
            return Error::data(part, error);
        }
        let most = self.limits.most >> 20;
        self.fault(format!("is larger than {most} MB, so it is not what is expected"))
    }

    fn fault(&self, reason: impl ToString) -> Error {
        let advice = format!("with a copy of the files on disk, use {}:DIR", self.offline);
        Error::data(self.url(), format!("{}; {advice}", reason.to_string()))
    }
}

fn open_at(part: &Path, start: u64) -> std::io::Result<File> {
    let file = File::options().create(true).append(true).open(part)?;
    file.set_len(start)?;
    Ok(file)
}

fn starts_at(response: &Response<Body>, offset: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
}

fn md5_of(file: File) -> std::io::Result<String> {
    let mut hash = Md5::new();
    read_through(file, |part| hash.update(part))?;
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;

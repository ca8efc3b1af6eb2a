//! Downloads of single files, which go on where an earlier try stopped.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use ureq::http::{Response, header};
use ureq::{Agent, Body};

use crate::data::source::archive::with_suffix;
use crate::error::{Error, Result};

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

/// A file on the network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remote<'a> {
    pub(crate) url: &'a str,
    /// What to do when it cannot be had, for errors.
    pub(crate) advice: &'a str,
    /// The limits of the download.
    pub(crate) limits: Limits,
}

impl Remote<'_> {
    /// Completes the file `part`, going on from where an earlier try stopped.
    ///
    /// Where the server gives the file a tag, it goes on only with the file of that tag, and begins anew
    /// with another.
    pub(crate) fn transfer(
        &self,
        part: &Path,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<()> {
        self.complete(part, progress)?.map_or(Ok(()), |status| Err(self.refused(status)))
    }

    /// As [`transfer`](Self::transfer), of a file that need not be there: whether it is. What the server
    /// refuses is not.
    pub(crate) fn transfer_if_there(&self, part: &Path) -> Result<bool> {
        match self.complete(part, &mut |_, _| {})? {
            None => Ok(true),
            Some(403 | 404 | 410) => Ok(false),
            Some(status) => Err(self.refused(status)),
        }
    }

    /// Completes the file `part`, or yields the status of an answer without it.
    fn complete(
        &self,
        part: &Path,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Option<u16>> {
        let held = fs::metadata(part).map_or(0, |metadata| metadata.len());
        let tag = with_suffix(part, ".tag");
        let response = self.request(held, fs::read_to_string(&tag).ok())?;
        let start = match response.status().as_u16() {
            200 => 0,
            206 if starts_at(&response, held) => held,
            206 | 416 if held > 0 => {
                fs::remove_file(part).map_err(|error| Error::data(part, error))?;
                return self.complete(part, progress);
            }
            status => return Ok(Some(status)),
        };
        keep_tag(&tag, &response).map_err(|error| Error::data(&tag, error))?;
        let mut file = open_at(part, start).map_err(|error| Error::data(part, error))?;
        self.receive(response.into_body(), start, &mut file, part, progress)?;
        file.sync_all().map_err(|error| Error::data(part, error))?;
        // The file is whole; a tag that cannot be removed does no harm.
        let _ = fs::remove_file(&tag);
        Ok(None)
    }

    fn refused(&self, status: u16) -> Error {
        self.fault(format!("the server answered with status {status}"))
    }

    fn request(&self, from: u64, tag: Option<String>) -> Result<Response<Body>> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_resolve(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .build()
            .into();
        let mut request = agent.get(self.url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
            if let Some(tag) = tag {
                request = request.header(header::IF_RANGE, tag);
            }
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

    pub(crate) fn fault(&self, reason: impl ToString) -> Error {
        Error::data(self.url, format!("{}; {}", reason.to_string(), self.advice))
    }
}

fn open_at(part: &Path, start: u64) -> std::io::Result<File> {
    let file = File::options().create(true).append(true).open(part)?;
    file.set_len(start)?;
    Ok(file)
}

/// Keeps what the server calls this version of the file, if it does.
fn keep_tag(path: &Path, response: &Response<Body>) -> std::io::Result<()> {
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    match tag.filter(|tag| tag.starts_with('"')) {
        Some(tag) => fs::write(path, tag),
        None if path.exists() => fs::remove_file(path),
        None => Ok(()),
    }
}

fn starts_at(response: &Response<Body>, offset: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
}

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

/// The longest wait for a connection, for an answer and for each piece of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long and how large a download may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of the whole file.
    pub(crate) most: u64,
    /// In each such time...
    pub(crate) window: Duration,
    /// ...at least so many bytes must come.
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
    /// The address of the folder that holds it.
    pub(crate) base: &'a str,
    /// Its name there and in the cache, less `.tar.gz`.
    pub(crate) name: &'a str,
    /// The MD5 sum its publisher states, in lower-case hexadecimal digits.
    pub(crate) md5: &'a str,
    /// How a data specification names a local copy of it, for advice.
    pub(crate) offline: &'a str,
    /// How long and how large the download may be.
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
            // Somebody emptied it.
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

    /// Deletes the cached `archive` where it is not the published one, and says so.
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

    /// The fault of a download that cannot be the right file; what came of it is deleted.
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

fn md5_of(mut file: File) -> std::io::Result<String> {
    let mut hasher = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    /// A server on this machine that gives one raw answer a connection, then stops and returns the
    /// requests' heads.
    fn serve(answers: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let answer = move |answer: Vec<u8>| {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            stream.write_all(&answer).unwrap();
            head.join("\n").to_lowercase()
        };
        (base, thread::spawn(move || answers.into_iter().map(answer).collect()))
    }

    fn answer(status: &str, headers: &str, length: usize, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
        );
        [head.as_bytes(), body].concat()
    }

    fn ok(body: &[u8]) -> Vec<u8> {
        answer("200 OK", "", body.len(), body)
    }

    fn partial(whole: &[u8], from: usize) -> Vec<u8> {
        let range = format!("Content-Range: bytes {from}-{}/{}\r\n", whole.len() - 1, whole.len());
        answer("206 Partial Content", &range, whole.len() - from, &whole[from..])
    }

    fn package() -> Vec<u8> {
        archive::pack(&[("inner/data.bin", &[7; 5000])])
    }

    fn md5(bytes: &[u8]) -> String {
        Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Fetches `package()` into `cache` from a server of these `answers`.
    fn fetch(cache: &Path, answers: Vec<Vec<u8>>) -> (Result<PathBuf>, Vec<String>) {
        let (base, server) = serve(answers);
        let md5 = md5(&package());
        let remote = RemoteArchive {
            base: &base,
            name: "data",
            md5: &md5,
            offline: "cifar10",
            limits: Limits::USUAL,
        };
        let result = remote.unpacked(cache, &mut |_, _| {});
        (result, server.join().unwrap())
    }

    /// As [`fetch`], of one `answer`, within `limits`.
    fn fetch_within(cache: &Path, limits: Limits, answer: Vec<u8>) -> String {
        let (base, server) = serve(vec![answer]);
        let md5 = md5(&package());
        let remote =
            RemoteArchive { base: &base, name: "data", md5: &md5, offline: "cifar10", limits };
        let message = remote.unpacked(cache, &mut |_, _| {}).unwrap_err().to_string();
        server.join().unwrap();
        message
    }

    fn names(cache: &Path) -> Vec<String> {
        let names = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn assert_complete(result: Result<PathBuf>, cache: &Path) {
        let folder = result.unwrap();
        assert_eq!(fs::read(folder.join("inner/data.bin")).unwrap(), [7; 5000]);
        assert_eq!(names(cache), ["data", "data.lock"]);
    }

    #[test]
    fn an_archive_is_downloaded_once() {
        let cache = tempfile::tempdir().unwrap();
        let (result, requests) = fetch(cache.path(), vec![ok(&package())]);
        assert_complete(result, cache.path());
        assert!(requests[0].starts_with("get /data.tar.gz "), "{requests:?}");
        assert!(!requests[0].contains("range:"));
        assert_complete(fetch(cache.path(), vec![]).0, cache.path());
    }

    #[test]
    fn progress_ends_at_the_total() {
        let cache = tempfile::tempdir().unwrap();
        let package = package();
        let (base, _server) = serve(vec![ok(&package)]);
        let md5 = md5(&package);
        let remote = RemoteArchive {
            base: &base,
            name: "data",
            md5: &md5,
            offline: "cifar10",
            limits: Limits::USUAL,
        };
        let mut heard = Vec::new();
        remote.unpacked(cache.path(), &mut |done, total| heard.push((done, total))).unwrap();
        let total = package.len() as u64;
        assert_eq!(heard.first(), Some(&(0, Some(total))));
        assert_eq!(heard.last(), Some(&(total, Some(total))));
    }

    #[test]
    fn a_cut_connection_is_an_error_and_the_next_try_goes_on() {
        let cache = tempfile::tempdir().unwrap();
        let package = package();
        let cut = answer("200 OK", "", package.len(), &package[..20]);
        let (result, _) = fetch(cache.path(), vec![cut]);
        let message = result.unwrap_err().to_string();
        assert!(message.contains("/data.tar.gz: broke off after 20 bytes"), "{message}");
        assert!(message.ends_with("use cifar10:DIR"), "{message}");
        assert_eq!(names(cache.path()), ["data.lock", "data.tar.gz.part"]);

        let (result, requests) = fetch(cache.path(), vec![partial(&package, 20)]);
        assert_complete(result, cache.path());
        assert!(requests[0].contains("range: bytes=20-"), "{requests:?}");
    }

    #[test]
    fn a_server_that_cannot_go_on_is_asked_for_everything() {
        let package = package();
        let whole = ok(&package);
        let unsatisfiable = answer("416 Range Not Satisfiable", "", 0, b"");
        let elsewhere = partial(&package, 10);
        for answers in
            [vec![whole.clone()], vec![unsatisfiable, whole.clone()], vec![elsewhere, whole]]
        {
            let cache = tempfile::tempdir().unwrap();
            fs::write(cache.path().join("data.tar.gz.part"), [0; 20]).unwrap();
            let (result, requests) = fetch(cache.path(), answers);
            assert_complete(result, cache.path());
            assert!(requests[0].contains("range: bytes=20-"), "{requests:?}");
            assert!(requests[1..].iter().all(|request| !request.contains("range:")));
        }
    }

    #[test]
    fn a_wrong_checksum_deletes_the_download_and_says_both_sums() {
        let cache = tempfile::tempdir().unwrap();
        let (result, _) = fetch(cache.path(), vec![ok(b"something else")]);
        let message = result.unwrap_err().to_string();
        assert!(message.contains(&md5(b"something else")), "{message}");
        assert!(message.contains(&md5(&package())), "{message}");
        assert_eq!(names(cache.path()), ["data.lock"]);
    }

    #[test]
    fn an_error_status_is_told_with_the_address_and_keeps_what_was_there() {
        let cache = tempfile::tempdir().unwrap();
        fs::write(cache.path().join("data.tar.gz.part"), [0; 20]).unwrap();
        let (result, _) = fetch(cache.path(), vec![answer("503 Busy", "", 0, b"")]);
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with("http://127.0.0.1:"), "{message}");
        assert!(message.contains("/data.tar.gz: the server answered with status 503"), "{message}");
        assert_eq!(fs::read(cache.path().join("data.tar.gz.part")).unwrap().len(), 20);
    }

    #[test]
    fn nobody_listening_is_an_error_with_advice() {
        // Nobody can listen on port 0; one that was free a moment ago may be somebody's by now.
        let base = "http://127.0.0.1:0".to_string();
        let cache = tempfile::tempdir().unwrap();
        let remote = RemoteArchive {
            base: &base,
            name: "data",
            md5: "",
            offline: "cifar100",
            limits: Limits::USUAL,
        };
        let message = remote.unpacked(cache.path(), &mut |_, _| {}).unwrap_err().to_string();
        assert!(message.ends_with("use cifar100:DIR"), "{message}");
    }

    #[test]
    fn a_damaged_archive_in_the_cache_is_downloaded_again() {
        let cache = tempfile::tempdir().unwrap();
        let archive = cache.path().join("data.tar.gz");
        fs::write(&archive, b"junk").unwrap();
        let (result, _) = fetch(cache.path(), vec![answer("503 Busy", "", 0, b"")]);
        let message = result.unwrap_err().to_string();
        assert!(message.contains("status 503"), "{message}");
        assert!(message.contains("data.tar.gz, was deleted, as it has the MD5 sum"), "{message}");
        assert!(message.contains(&md5(b"junk")), "{message}");
        fs::write(&archive, b"junk").unwrap();
        assert_complete(fetch(cache.path(), vec![ok(&package())]).0, cache.path());
        // A whole one is not.
        fs::remove_dir_all(cache.path().join("data")).unwrap();
        fs::write(&archive, package()).unwrap();
        assert_complete(fetch(cache.path(), vec![]).0, cache.path());
    }

    #[test]
    fn an_emptied_folder_is_downloaded_again() {
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir(cache.path().join("data")).unwrap();
        assert_complete(fetch(cache.path(), vec![ok(&package())]).0, cache.path());
    }

    #[test]
    fn a_download_that_is_too_large_or_too_slow_ends() {
        let cache = tempfile::tempdir().unwrap();
        let small = Limits { most: 20, ..Limits::USUAL };
        let endless = [&b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"[..], &[7; 5000]].concat();
        for answer in [ok(&package()), endless] {
            let message = fetch_within(cache.path(), small, answer);
            assert!(message.contains("is larger than 0 MB, so it is not what is"), "{message}");
            assert_eq!(names(cache.path()), ["data.lock"]);
        }
        // No window is so short that a package of a few hundred bytes is enough.
        let fast = Limits { window: Duration::ZERO, ..Limits::USUAL };
        let message = fetch_within(cache.path(), fast, ok(&package()));
        assert!(message.contains("came too slowly"), "{message}");
        assert!(message.contains("try again to go on"), "{message}");
        assert_eq!(names(cache.path()), ["data.lock", "data.tar.gz.part"]);
    }

    #[test]
    fn two_at_once_download_once() {
        let cache = tempfile::tempdir().unwrap();
        let (base, server) = serve(vec![ok(&package())]);
        let md5 = md5(&package());
        let remote = RemoteArchive {
            base: &base,
            name: "data",
            md5: &md5,
            offline: "cifar10",
            limits: Limits::USUAL,
        };
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| remote.unpacked(cache.path(), &mut |_, _| {}).unwrap());
            }
        });
        assert_eq!(server.join().unwrap().len(), 1);
        assert_eq!(names(cache.path()), ["data", "data.lock"]);
    }
}

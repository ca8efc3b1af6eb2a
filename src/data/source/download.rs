//! Downloads into the user's cache folder: resumable, verified, safe beside other processes.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::{Digest, Md5};
use ureq::http::{Response, header};
use ureq::{Agent, Body};

use crate::data::source::archive::{self, with_suffix};
use crate::error::{Error, Result};

/// The environment variable that overrides the cache folder.
const CACHE_VARIABLE: &str = "BURN_MIM_CACHE";
/// The longest wait for a connection, for an answer and for each piece of it.
const PATIENCE: Duration = Duration::from_secs(60);

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
        if folder.is_dir() {
            return Ok(folder);
        }
        fs::create_dir_all(cache).map_err(|error| Error::data(cache, error))?;
        let _lock = lock(&cache.join(format!("{}.lock", self.name)))?;
        if folder.is_dir() {
            return Ok(folder);
        }
        let archive = cache.join(format!("{}.tar.gz", self.name));
        if !archive.is_file() {
            self.download(&archive, progress)?;
        }
        archive::unpack(&archive, &folder)?;
        fs::remove_file(&archive).map_err(|error| Error::data(&archive, error))?;
        Ok(folder)
    }

    fn url(&self) -> String {
        format!("{}/{}.tar.gz", self.base, self.name)
    }

    fn download(&self, to: &Path, progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<()> {
        let part = with_suffix(to, ".part");
        self.transfer(&part, progress)?;
        let found = md5_of(&part).map_err(|error| Error::data(&part, error))?;
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
        let mut reader = body.into_reader();
        let mut buffer = vec![0; 1 << 16];
        let mut done = start;
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
        }
    }

    fn fault(&self, reason: impl ToString) -> Error {
        let advice = format!("with a copy of the files on disk, use {}:DIR", self.offline);
        Error::data(self.url(), format!("{}; {advice}", reason.to_string()))
    }
}

/// The folder that downloads are kept in: `$BURN_MIM_CACHE`, or `burn-mim` in the user's cache
/// folder.
///
/// # Errors
///
/// When the variable is not set and the user has no cache folder.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    cache_folder_of(env::var_os(CACHE_VARIABLE), dirs::cache_dir())
}

fn cache_folder_of(variable: Option<OsString>, user: Option<PathBuf>) -> Result<PathBuf> {
    variable
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| user.map(|folder| folder.join("burn-mim")))
        .ok_or_else(|| {
            Error::config(format!("this user has no cache folder: name one in {CACHE_VARIABLE}"))
        })
}

/// Waits for the exclusive lock on the file `path`, which goes with the returned handle (or the
/// process).
fn lock(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path);
    file.and_then(|file| file.lock().map(|()| file)).map_err(|error| Error::data(path, error))
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

fn md5_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
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
        let remote = RemoteArchive { base: &base, name: "data", md5: &md5, offline: "cifar10" };
        let result = remote.unpacked(cache, &mut |_, _| {});
        (result, server.join().unwrap())
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
        let remote = RemoteArchive { base: &base, name: "data", md5: &md5, offline: "cifar10" };
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let cache = tempfile::tempdir().unwrap();
        let remote = RemoteArchive { base: &base, name: "data", md5: "", offline: "cifar100" };
        let message = remote.unpacked(cache.path(), &mut |_, _| {}).unwrap_err().to_string();
        assert!(message.ends_with("use cifar100:DIR"), "{message}");
    }

    #[test]
    fn two_at_once_download_once() {
        let cache = tempfile::tempdir().unwrap();
        let (base, server) = serve(vec![ok(&package())]);
        let md5 = md5(&package());
        let remote = RemoteArchive { base: &base, name: "data", md5: &md5, offline: "cifar10" };
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| remote.unpacked(cache.path(), &mut |_, _| {}).unwrap());
            }
        });
        assert_eq!(server.join().unwrap().len(), 1);
        assert_eq!(names(cache.path()), ["data", "data.lock"]);
    }

    #[test]
    fn the_variable_overrides_the_cache_folder() {
        let user = Some(PathBuf::from("/home/me/.cache"));
        let of = |variable: Option<&str>, user| cache_folder_of(variable.map(Into::into), user);
        assert_eq!(of(Some("/data"), user.clone()).unwrap(), Path::new("/data"));
        assert_eq!(of(Some(""), user.clone()).unwrap(), Path::new("/home/me/.cache/burn-mim"));
        assert_eq!(of(None, user).unwrap(), Path::new("/home/me/.cache/burn-mim"));
        assert!(of(None, None).unwrap_err().to_string().contains("BURN_MIM_CACHE"));
    }
}

use super::*;
use crate::data::source::test_server::{answer, ok, partial, serve};
use std::thread;
use std::time::Duration;

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
    let remote = RemoteArchive { base: &base, name: "data", md5: &md5, offline: "cifar10", limits };
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
    for answers in [vec![whole.clone()], vec![unsatisfiable, whole.clone()], vec![elsewhere, whole]]
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

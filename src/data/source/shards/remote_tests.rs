use super::*;
use crate::data::source::test_server::{answer, ok, partial, serve};
use std::time::Duration;

fn fetch(cache: &Path) -> Fetch {
    Fetch { cache: cache.into(), limits: Limits::USUAL, most: 1 << 20 }
}

fn shards_of(fetch: &Fetch, address: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
    fetch.shards(address, &mut |_, _| {})
}

#[test]
fn braces_stand_for_ranges_and_lists() {
    let all = |pattern: &str| expanded(pattern).unwrap();
    assert_eq!(all("a-{08..11}.tar"), ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]);
    assert_eq!(all("{9..10}"), ["9", "10"]);
    assert_eq!(all("x{train-{0..1},val-{00..00}}y"), ["xtrain-0y", "xtrain-1y", "xval-00y"]);
    assert_eq!(all("{a,b}{c,d}"), ["ac", "ad", "bc", "bd"]);
    assert_eq!(all("plain"), ["plain"]);
    for (wrong, expected) in [
        ("a{0..1", "a brace that is not closed"),
        ("{0..99999999999}", "more than 100000 shards"),
        ("{0..9999}{0..9999}", "more than 100000 shards"),
    ] {
        let message = expanded(wrong).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn an_address_has_its_place_in_the_cache_and_never_outside() {
    let of = |url: &str| below_cache(url);
    let path = of("https://a.org:80/x/b c-0.tar?download=true").unwrap();
    assert_eq!(path, Path::new("a.org_80/x/b_c-0.tar"));
    for wrong in [
        "https://a.org/../../x.tar",
        "https:///x.tar",
        "https://a.org/",
        "https://a.tar",
        "https://a.org/x.zip",
    ] {
        let message = of(wrong).map(|path| panic!("{}", path.display())).unwrap_err().to_string();
        assert!(message.contains("expected https://HOST/PATH.tar"), "{message}");
    }
}

#[test]
fn shards_are_downloaded_once_and_keep_the_folders_that_tell_splits() {
    let cache = tempfile::tempdir().unwrap();
    let (base, server) = serve(vec![ok(b"one"), ok(b"two"), ok(b"three")]);
    let address = format!("{base}/set/{{train/{{0..1}},val/0}}.tar");
    let (folder, shards) = shards_of(&fetch(cache.path()), &address).unwrap();
    let requests = server.join().unwrap();
    assert!(requests[2].starts_with("get /set/val/0.tar "), "{requests:?}");
    assert!(folder.ends_with("set"), "{}", folder.display());
    assert_eq!(shards, ["train/0.tar", "train/1.tar", "val/0.tar"].map(PathBuf::from));
    assert_eq!(fs::read(folder.join("train/1.tar")).unwrap(), b"two");
    assert_eq!(fs::read_dir(folder.join("val")).unwrap().count(), 1);
    // The server is gone.
    assert_eq!(shards_of(&fetch(cache.path()), &address).unwrap().1, shards);
}

#[test]
fn a_download_that_broke_off_goes_on_with_the_same_file_alone() {
    let whole = b"0123456789".as_slice();
    let cache = tempfile::tempdir().unwrap();
    let tag = "ETag: \"first\"\r\n";
    let (base, server) = serve(vec![
        answer("200 OK", tag, 10, &whole[..4]),
        partial(whole, 4),
        answer("200 OK", tag, 10, &whole[..4]),
        answer("200 OK", "ETag: \"second\"\r\n", 3, b"new"),
    ]);
    let try_to = |name: &str| shards_of(&fetch(cache.path()), &format!("{base}/{name}.tar"));
    let message = try_to("a").unwrap_err().to_string();
    assert!(message.contains("/a.tar: broke off after 4 bytes"), "{message}");
    assert!(message.ends_with("with a copy of the shards on disk, use tar:DIR"), "{message}");
    let (folder, shards) = try_to("a").unwrap();
    assert_eq!(fs::read(folder.join(&shards[0])).unwrap(), whole);
    assert!(try_to("b").is_err());
    let (folder, shards) = try_to("b").unwrap();
    assert_eq!(fs::read(folder.join(&shards[0])).unwrap(), b"new");
    let requests = server.join().unwrap();
    assert!(requests[1].contains("range: bytes=4-\n"), "{requests:?}");
    assert!(requests[1].contains("if-range: \"first\""), "{requests:?}");
    let left: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn an_address_that_stalls_is_an_error_that_names_it() {
    let cache = tempfile::tempdir().unwrap();
    let (base, server) = serve(vec![answer("200 OK", "", 100, &[7; 100])]);
    let limits = Limits { window: Duration::ZERO, least: 1_000, ..Limits::USUAL };
    let slow = Fetch { limits, ..fetch(cache.path()) };
    let message = shards_of(&slow, &format!("{base}/a.tar")).unwrap_err().to_string();
    assert!(message.contains("/a.tar: came too slowly"), "{message}");
    server.join().unwrap();
    let (base, server) = serve(vec![answer("404 Not Found", "", 0, b"")]);
    let message =
        shards_of(&fetch(cache.path()), &format!("{base}/b.tar")).unwrap_err().to_string();
    assert!(message.contains("/b.tar: the server answered with status 404"), "{message}");
    server.join().unwrap();
}

#[test]
fn all_shards_together_stay_within_the_limit() {
    let cache = tempfile::tempdir().unwrap();
    let (base, server) = serve(vec![ok(&[7; 60]), ok(&[7; 60])]);
    let small = Fetch { most: 100, ..fetch(cache.path()) };
    let message = shards_of(&small, &format!("{base}/{{0..1}}.tar")).unwrap_err().to_string();
    assert!(message.contains("/1.tar: is larger than"), "{message}");
    server.join().unwrap();
    let full = Fetch { most: 60, ..fetch(cache.path()) };
    let message = shards_of(&full, &format!("{base}/{{0..1}}.tar")).unwrap_err().to_string();
    assert!(message.contains("/1.tar: the shards before it take"), "{message}");
}

#[test]
fn the_list_of_classes_is_asked_for_once_where_all_shards_are_and_may_not_be_there() {
    let cache = tempfile::tempdir().unwrap();
    let fetch = fetch(cache.path());
    let list = br#"["cat", "dog"]"#;
    let missing = answer("404 Not Found", "", 0, b"");
    let (base, server) = serve(vec![ok(b"one"), ok(b"two"), ok(list), ok(b"three"), missing]);
    let address = format!("{base}/set/{{train/0,val/0}}.tar?key=1");
    let (folder, _) = shards_of(&fetch, &address).unwrap();
    fetch.classes(&address, &folder).unwrap();
    assert_eq!(fs::read(folder.join("classes.json")).unwrap(), list);
    let other = format!("{base}/other/0.tar");
    let (none, _) = shards_of(&fetch, &other).unwrap();
    fetch.classes(&other, &none).unwrap();
    assert!(!none.join("classes.json").exists());
    let requests = server.join().unwrap();
    assert!(requests[2].starts_with("get /set/classes.json?key=1 "), "{requests:?}");
    assert!(requests[4].starts_with("get /other/classes.json "), "{requests:?}");
    // The server is gone, and nobody asks it again.
    fetch.classes(&address, &folder).unwrap();
    fetch.classes(&other, &none).unwrap();
}

#[test]
fn a_server_that_cannot_say_whether_it_has_a_list_of_classes_is_an_error() {
    let cache = tempfile::tempdir().unwrap();
    let fetch = fetch(cache.path());
    let broken = answer("500 Internal Server Error", "", 0, b"");
    let (base, server) = serve(vec![ok(b"one"), broken]);
    let address = format!("{base}/0.tar");
    let (folder, _) = shards_of(&fetch, &address).unwrap();
    let message = fetch.classes(&address, &folder).unwrap_err().to_string();
    assert!(message.contains("/classes.json: the server answered with status 500"), "{message}");
    server.join().unwrap();
}

//! The image files below a folder, in an order that no file system changes.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, Metadata};
use std::path::{Path, PathBuf};

use image::ImageFormat;

use crate::error::{Error, Result};

/// Endings of image files that [`ImageFormat`] does not list; the contents decide the format.
const MORE_ENDINGS: [&str; 2] = ["jpe", "npy"];

/// Folders that operating systems leave beside images: thumbnails, resource forks, and folders that
/// nobody may read.
const LEFT_BY_SYSTEMS: [&str; 4] = ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found"];

/// The contents of a folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Image files, sorted bytewise name by name.
    pub(crate) images: Vec<ImageFile>,
    /// Links with an image's name that lead nowhere, with the reason.
    pub(crate) broken: Vec<(PathBuf, String)>,
    /// The number of other files, by a name for their kind.
    pub(crate) others: BTreeMap<String, usize>,
}

/// An image file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ImageFile {
    /// The path of the file below the folder of the listing.
    pub(crate) path: PathBuf,
    /// The size of the file in bytes.
    pub(crate) size: u64,
}

impl Listing {
    /// Lists everything below `root`; files whose names `is_wanted` accepts are its images. `progress`
    /// is called with the number of them found so far.
    ///
    /// Hidden files and folders are skipped. Only regular files are images: pipes, devices and
    /// sockets are counted and never opened. Links are followed, but every folder is read once, by
    /// its own path if it lies below `root`, and otherwise by the first link that leads to it.
    ///
    /// # Errors
    ///
    /// When a folder cannot be read.
    pub(crate) fn of(
        root: &Path,
        is_wanted: fn(&OsStr) -> bool,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self> {
        let (seen, links) = (HashSet::new(), VecDeque::new());
        let mut walk = Walk { root, is_wanted, listing: Self::default(), seen, links };
        walk.folders(PathBuf::new(), progress)?;
        while let Some(link) = walk.links.pop_front() {
            walk.folders(link, progress)?;
        }
        walk.listing.images.sort();
        walk.listing.broken.sort();
        Ok(walk.listing)
    }

    /// One line about files that were left out, if there are any.
    pub(crate) fn left_out(&self) -> Option<String> {
        const NAMED: usize = 6;
        let mut kinds: Vec<_> = self.others.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let count: usize = self.others.values().sum();
        let mut names: Vec<String> =
            kinds.iter().take(NAMED).map(|(kind, count)| format!("{count} {kind}")).collect();
        if kinds.len() > NAMED {
            names.push("others".into());
        }
        (count > 0).then(|| format!("not images, and left out: {}", names.join(", ")))
    }

    fn count(&mut self, kind: impl Into<String>) {
        *self.others.entry(kind.into()).or_default() += 1;
    }
}

/// The file name endings of the formats that can be read, without dots.
pub(crate) fn extensions() -> String {
    let mut extensions: Vec<&str> = ImageFormat::all()
        .filter(ImageFormat::reading_enabled)
        .flat_map(|format| format.extensions_str())
        .chain(&MORE_ENDINGS)
        .copied()
        .collect();
    extensions.sort_unstable();
    extensions.join(", ")
}

struct Walk<'a> {
    root: &'a Path,
    /// Whether a file of this name is listed.
    is_wanted: fn(&OsStr) -> bool,
    listing: Listing,
    seen: HashSet<FolderId>,
    /// Links to folders, which are followed once all real folders have been read.
    links: VecDeque<PathBuf>,
}

impl Walk<'_> {
    /// Reads `start` and the folders in it, without following links.
    fn folders(&mut self, start: PathBuf, progress: &mut dyn FnMut(usize)) -> Result<()> {
        let mut stack = vec![start];
        while let Some(below) = stack.pop() {
            let folder = self.root.join(&below);
            // Joining the root with an empty path would add a slash.
            let fault = |error| Error::data(folder.components().as_path(), error);
            let id = folder_id(&folder, &fs::metadata(&folder).map_err(fault)?).map_err(fault)?;
            if !self.seen.insert(id) {
                continue;
            }
            let entries = fs::read_dir(&folder).map_err(fault)?;
            let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(fault)?;
            entries.sort_by_key(DirEntry::file_name);
            for entry in entries {
                self.entry(&entry, &below, &mut stack)?;
            }
            progress(self.listing.images.len());
        }
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry, below: &Path, stack: &mut Vec<PathBuf>) -> Result<()> {
        let name = entry.file_name();
        if is_hidden(&name) {
            return Ok(());
        }
        let below = below.join(&name);
        let fault = |error| Error::data(entry.path(), error);
        let kind = entry.file_type().map_err(fault)?;
        if kind.is_dir() {
            stack.push(below);
        } else if kind.is_symlink() {
            match fs::metadata(entry.path()) {
                Ok(metadata) if metadata.is_dir() => self.links.push_back(below),
                Ok(metadata) => self.file(&name, below, &metadata),
                Err(error) if (self.is_wanted)(&name) => {
                    self.listing.broken.push((below, error.to_string()));
                }
                Err(_) => self.listing.count("links that lead nowhere"),
            }
        } else if kind.is_file() && !(self.is_wanted)(&name) {
            self.listing.count(ending(&name));
        } else {
            self.file(&name, below, &entry.metadata().map_err(fault)?);
        }
        Ok(())
    }

    fn file(&mut self, name: &OsStr, path: PathBuf, metadata: &Metadata) {
        if !metadata.is_file() {
            self.listing.count("pipes, devices or sockets");
        } else if (self.is_wanted)(name) {
            self.listing.images.push(ImageFile { path, size: metadata.len() });
        } else {
            self.listing.count(ending(name));
        }
    }
}

/// A key that is equal for two paths to the same folder.
#[cfg(unix)]
type FolderId = (u64, u64);

#[cfg(unix)]
fn folder_id(_: &Path, metadata: &Metadata) -> std::io::Result<FolderId> {
    use std::os::unix::fs::MetadataExt;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
type FolderId = PathBuf;

#[cfg(not(unix))]
fn folder_id(folder: &Path, _: &Metadata) -> std::io::Result<FolderId> {
    folder.canonicalize()
}

pub(crate) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || LEFT_BY_SYSTEMS.iter().any(|known| name == *known)
}

/// Whether a file of this name is an image that can be read.
pub(crate) fn is_image(name: &OsStr) -> bool {
    let Some(ending) = Path::new(name).extension() else { return false };
    MORE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
        || ImageFormat::from_extension(ending).is_some_and(|format| format.reading_enabled())
}

fn ending(name: &OsStr) -> String {
    let ending = Path::new(name).extension().map(OsString::from);
    ending.map_or("without an ending".into(), |ending| {
        format!(".{}", ending.to_string_lossy().to_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: PathBuf) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, []).unwrap();
    }

    fn list(root: &Path) -> Listing {
        Listing::of(root, is_image, &mut |_| {}).unwrap()
    }

    fn paths(listing: &Listing) -> Vec<&str> {
        listing.images.iter().map(|file| file.path.to_str().unwrap()).collect()
    }

    #[test]
    fn images_are_sorted_and_everything_else_is_counted_by_its_ending() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b/2.png",
            "b/10.JPG",
            "a.gif",
            "c.jpe",
            "d.JPE",
            "notes.txt",
            "b/more.TXT",
            "README",
            ".hidden.png",
            ".git/x.png",
            "__MACOSX/x.png",
            "@eaDir/x.jpg",
        ] {
            touch(dir.path().join(name));
        }
        let listing = list(dir.path());
        assert_eq!(paths(&listing), ["a.gif", "b/10.JPG", "b/2.png", "c.jpe", "d.JPE"]);
        let left_out = "not images, and left out: 2 .txt, 1 without an ending";
        assert_eq!(listing.left_out().unwrap(), left_out);
    }

    #[cfg(unix)]
    #[test]
    fn every_folder_is_read_once_however_many_links_lead_to_it() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        touch(outside.path().join("o.png"));
        // Twelve folders with a link to each: as many paths as there are orders of them.
        for from in 0..12 {
            touch(dir.path().join(format!("l{from}/a.png")));
            for to in 0..12 {
                let target = dir.path().join(format!("l{to}"));
                symlink(target, dir.path().join(format!("l{from}/k{to}"))).unwrap();
            }
        }
        symlink(outside.path(), dir.path().join("l3/far")).unwrap();
        symlink(outside.path(), dir.path().join("a-link")).unwrap();
        symlink(dir.path(), dir.path().join("round")).unwrap();
        let listing = list(dir.path());
        assert_eq!(listing.images.len(), 13);
        // By its own path where it has one, and else by the link nearest to the root.
        assert_eq!(paths(&listing)[..2], ["a-link/o.png", "l0/a.png"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_nowhere_matter_only_where_an_image_was_to_be() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path().join("a.png"));
        for name in ["b.png", "notes.txt", "folder"] {
            symlink("nowhere", dir.path().join(name)).unwrap();
        }
        let listing = list(dir.path());
        assert_eq!(paths(&listing), ["a.png"]);
        assert_eq!(listing.broken[0].0, Path::new("b.png"));
        assert_eq!(listing.broken.len(), 1);
        assert!(listing.left_out().unwrap().ends_with("2 links that lead nowhere"));
    }

    #[cfg(unix)]
    #[test]
    fn pipes_devices_and_sockets_are_never_opened() {
        use std::os::unix::{fs::symlink, net::UnixListener};
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path().join("a.png"));
        let _socket = UnixListener::bind(dir.path().join("s.png")).unwrap();
        symlink("/dev/zero", dir.path().join("z.png")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(dir.path().join("p.png")).status();
        let pipes = usize::from(pipe.is_ok_and(|status| status.success()));
        let listing = list(dir.path());
        assert_eq!(paths(&listing), ["a.png"]);
        let count = listing.others["pipes, devices or sockets"];
        assert_eq!(count, 2 + pipes);
    }

    #[test]
    fn the_extensions_are_those_that_can_be_read() {
        let extensions = extensions();
        assert!(extensions.contains("jpg") && extensions.contains("png"), "{extensions}");
        assert!(!extensions.contains("exr"), "{extensions}");
    }
}

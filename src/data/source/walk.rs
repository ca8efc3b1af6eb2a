//! The image files below a folder, in an order that no file system changes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use image::ImageFormat;

use crate::error::{Error, Result};

/// The paths, relative to `root`, of all image files below it, sorted bytewise name by name.
///
/// Hidden files and folders and files without an image extension are skipped. Links are followed,
/// but not back into a folder that is being walked.
///
/// # Errors
///
/// When a folder cannot be read or a link leads nowhere.
pub(crate) fn image_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(root, Path::new(""), &mut Vec::new(), &mut files)?;
    files.sort();
    Ok(files)
}

/// The file name extensions of the formats that can be read, without dots.
pub(crate) fn extensions() -> String {
    let mut extensions: Vec<&str> = ImageFormat::all()
        .filter(ImageFormat::reading_enabled)
        .flat_map(|format| format.extensions_str())
        .copied()
        .collect();
    extensions.sort_unstable();
    extensions.join(", ")
}

fn walk(
    root: &Path,
    below: &Path,
    parents: &mut Vec<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<()> {
    let folder = root.join(below);
    // The root joined with nothing ends in a slash.
    let fault = |error| Error::data(folder.components().as_path(), error);
    let real = folder.canonicalize().map_err(fault)?;
    if parents.contains(&real) {
        return Ok(());
    }
    parents.push(real);
    for entry in fs::read_dir(&folder).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        if is_hidden(&name) {
            continue;
        }
        let path = folder.join(&name);
        let metadata = fs::metadata(&path).map_err(|error| Error::data(&path, error))?;
        if metadata.is_dir() {
            walk(root, &below.join(&name), parents, files)?;
        } else if is_image(&path) {
            files.push(below.join(&name));
        }
    }
    parents.pop();
    Ok(())
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn is_image(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| format.reading_enabled())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: PathBuf) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, []).unwrap();
    }

    #[test]
    fn images_are_sorted_and_everything_else_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/2.png", "b/10.JPG", "a.gif", "notes.txt", ".hidden.png", ".git/x.png"] {
            touch(dir.path().join(name));
        }
        let found = image_files(dir.path()).unwrap();
        assert_eq!(found, ["a.gif", "b/10.JPG", "b/2.png"].map(PathBuf::from));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path().join("a/x.png"));
        std::os::unix::fs::symlink(dir.path(), dir.path().join("a/loop")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("a"), dir.path().join("b")).unwrap();
        let found = image_files(dir.path()).unwrap();
        assert_eq!(found, ["a/x.png", "b/x.png"].map(PathBuf::from));

        std::os::unix::fs::symlink("nowhere", dir.path().join("c.png")).unwrap();
        assert!(image_files(dir.path()).unwrap_err().to_string().contains("c.png"));
    }

    #[test]
    fn the_extensions_are_those_that_can_be_read() {
        let extensions = extensions();
        assert!(extensions.contains("jpg") && extensions.contains("png"), "{extensions}");
        assert!(!extensions.contains("exr"), "{extensions}");
    }
}

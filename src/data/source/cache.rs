//! The folder that downloads are kept in.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::file::FileLock;

/// The environment variable that overrides the cache folder.
const CACHE_VARIABLE: &str = "BURN_MIM_CACHE";
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

/// Waits for the exclusive lock on the file `path`, which ends with the returned handle or with the
/// process.
pub(crate) fn lock(path: &Path) -> Result<FileLock> {
    FileLock::wait(path).map_err(|error| Error::data(path, error))
}

/// Whether `folder` is a folder that is not empty.
pub(crate) fn holds_something(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

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

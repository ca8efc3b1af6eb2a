//! Folders of results, which are whole under their name or not there.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::file::{create_folder, sync_folder, temporary_beside};

/// Calls `fill` with an empty folder beside `out`, and gives it that name when all is in it.
///
/// # Errors
///
/// When there is something in `out` already, a folder cannot be made, and when `fill` fails: then
/// nothing is left.
pub(super) fn new_folder<T>(out: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let occupied = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || out.is_file() {
        let reason = "holds something already: name a folder that is empty or not there";
        return Err(Error::data(out, reason));
    }
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let fault = |error| Error::data(out, error);
    create_folder(parent)?;
    let partial = temporary_beside(out).map_err(fault)?;
    create_folder(&partial)?;
    let filled = fill(&partial).and_then(|done| {
        // An empty folder of that name is in the way.
        let _ = fs::remove_dir(out);
        fs::rename(&partial, out).and_then(|()| sync_folder(parent)).map_err(fault)?;
        Ok(done)
    });
    if filled.is_err() {
        // The first fault is the one to report.
        let _ = fs::remove_dir_all(&partial);
    }
    filled
}

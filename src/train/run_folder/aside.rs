//! Makes room in a folder: moves an earlier run aside, and removes what killed processes left
//! half-written.

use std::fs;
use std::path::{Path, PathBuf};

use super::log::LOG;
use super::{CHECKPOINTS, CONFIG, RunFolder, step_of};
use crate::error::{Error, Result};
use crate::file::sync_folder;

/// The files and folders that a run leaves, the checkpoints last.
const FILES: &[&str] = &[
    CONFIG,
    "config.toml",
    "metrics.json",
    "init_from.json",
    LOG,
    "tensorboard",
    "loss_curve.png",
    "reconstruction.png",
    "completion.png",
    "pairs.png",
    "choices.png",
    "restoration.json",
    "tokenizer.json",
    "tokenizer.bpk",
    "tokenizer.manifest.json",
    CHECKPOINTS,
];

/// The files and folders that nothing but a run leaves.
const MARKS: &[&str] = &[CONFIG, "tokenizer.json", CHECKPOINTS];

impl RunFolder {
    /// Moves everything of an earlier run into a folder of its own, where it is still a whole run,
    /// and returns that folder. A move that a killed process began is completed.
    pub(crate) fn set_aside(&self) -> Result<Option<PathBuf>> {
        let there: Vec<_> = FILES.iter().filter(|name| self.path.join(name).exists()).collect();
        let partial = self.path.join("earlier.partial");
        let is_run = there.iter().any(|name| MARKS.contains(name));
        if !is_run && !partial.exists() {
            return Ok(None);
        }
        let mut free = (1..).map(|n| self.path.join(format!("earlier.{n}")));
        let aside = free.find(|path| !path.exists()).expect("numbers do not end");
        let fault = |error| Error::checkpoint(&aside, error);
        fs::create_dir_all(&partial).map_err(fault)?;
        for name in there {
            fs::rename(self.path.join(name), partial.join(name)).map_err(fault)?;
        }
        fs::rename(&partial, &aside).and_then(|()| sync_folder(&self.path)).map_err(fault)?;
        Ok(Some(aside))
    }

    /// Removes files that killed processes left half-written. The caller holds the lock, so no
    /// other run is writing. A file that cannot be removed stays; it does no harm but takes up
    /// space.
    pub(in crate::train) fn clean(&self) {
        let folders = [self.folder(), self.path.clone()];
        let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            match half_written(&path) {
                Some(name) if step_of(Path::new(name)).is_some() => {
                    let _ = fs::remove_dir_all(&path);
                }
                Some(name) if FILES.contains(&name) => {
                    let _ = fs::remove_file(&path);
                }
                _ => {}
            }
        }
    }
}

/// The name of what `path` would have become: `a.json` of `.a.json.PROCESS.NUMBER.partial`.
fn half_written(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_prefix('.')?.strip_suffix(".partial")?;
    let (name, number) = name.rsplit_once('.')?;
    let (name, process) = name.rsplit_once('.')?;
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (are_digits(number) && are_digits(process)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn write(folder: &Path, files: &[&str]) {
        for file in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
    }

    #[test]
    fn an_earlier_run_is_moved_whole_and_other_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::new(dir.path());
        assert_eq!(run.set_aside().unwrap(), None);
        let files = ["config.json", "metrics.json", "checkpoints/step-00000008/state.json"];
        write(dir.path(), &files);
        write(dir.path(), &["notes.txt"]);
        assert_eq!(run.set_aside().unwrap(), Some(dir.path().join("earlier.1")));
        assert_eq!(names(dir.path()), ["earlier.1", "notes.txt"]);
        for file in files {
            assert_eq!(fs::read_to_string(dir.path().join("earlier.1").join(file)).unwrap(), file);
        }
        write(dir.path(), &["config.json"]);
        assert_eq!(run.set_aside().unwrap(), Some(dir.path().join("earlier.2")));
    }

    #[test]
    fn a_move_that_was_cut_short_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["earlier.partial/config.json", "checkpoints/step-00000008/state.json"]);
        RunFolder::new(dir.path()).set_aside().unwrap();
        assert_eq!(names(dir.path()), ["earlier.1"]);
        assert_eq!(names(&dir.path().join("earlier.1")), ["checkpoints", "config.json"]);
    }

    #[test]
    fn only_what_a_run_left_half_written_is_cleaned_away() {
        let dir = tempfile::tempdir().unwrap();
        let ours =
            ["checkpoints/.step-00000008.41.0.partial/model.bpk", ".metrics.json.41.3.partial"];
        write(dir.path(), &ours);
        let foreign = ["checkpoints/x.partial", ".notes.txt.41.3.partial", "metrics.json.partial"];
        write(dir.path(), &foreign);
        RunFolder::new(dir.path()).clean();
        assert_eq!(
            names(dir.path()),
            [".notes.txt.41.3.partial", "checkpoints", "metrics.json.partial"]
        );
        assert_eq!(names(&dir.path().join("checkpoints")), ["x.partial"]);
    }
}

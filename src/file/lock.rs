//! An advisory lock on a folder, which ends with its process however the process ends.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::thread::{self, ThreadId};

/// The exclusive lock on a file, which is released when the last clone is dropped or the process
/// ends. The file itself stays: only the operating system knows whether it is locked.
#[derive(Debug, Clone)]
pub(crate) struct FileLock {
    _file: Arc<File>,
}

/// The locks that this process holds.
static HELD: LazyLock<Mutex<HashMap<PathBuf, Held>>> = LazyLock::new(Mutex::default);

/// Who took a lock, and whether it is still held.
struct Held {
    by: ThreadId,
    file: Weak<File>,
}

impl FileLock {
    /// Waits until nobody else holds the lock on `path`.
    pub(crate) fn wait(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        file.lock()?;
        Ok(Self { _file: Arc::new(file) })
    }

    /// Takes the lock on `path`, or fails with an error that names the process which holds it. The
    /// thread that holds the lock may take it again, because a run locks its folder and so does
    /// each of its parts.
    pub(crate) fn take(path: &Path) -> io::Result<Self> {
        let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
        let path = fs::canonicalize(path)?;
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, lock| lock.file.strong_count() > 0);
        if let Some(lock) = held.get(&path)
            && lock.by == thread::current().id()
            && let Some(file) = lock.file.upgrade()
        {
            return Ok(Self { _file: file });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&path)),
            // On a file system without locks nobody else can hold one either.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The file names the holder for people to read; a full disk must not cost the lock.
        let _ = file
            .set_len(0)
            .and_then(|()| write!(file, "process {} on {}", std::process::id(), machine()));
        let file = Arc::new(file);
        let by = thread::current().id();
        held.insert(path, Held { by, file: Arc::downgrade(&file) });
        Ok(Self { _file: file })
    }
}

fn in_use(path: &Path) -> io::Error {
    let holder = fs::read_to_string(path).unwrap_or_default();
    let holder = if holder.is_empty() { "another process" } else { holder.as_str() };
    let text = format!(
        "is in use by {holder}, which writes there: wait for it, stop it, or choose another folder"
    );
    io::Error::new(io::ErrorKind::WouldBlock, text)
}

fn machine() -> String {
    let file = |path| fs::read_to_string(path).ok();
    let variable = |name| std::env::var(name).ok();
    let name = file("/proc/sys/kernel/hostname").or_else(|| file("/etc/hostname"));
    let name = name.or_else(|| variable("COMPUTERNAME")).or_else(|| variable("HOSTNAME"));
    name.map_or_else(|| "this machine".into(), |name| name.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_the_first_ones_name_until_that_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = FileLock::take(&path).unwrap();
        let try_elsewhere = || {
            thread::scope(|scope| {
                let tried = scope.spawn(|| FileLock::take(&path).map(|_| ()));
                tried.join().unwrap()
            })
        };
        let message = try_elsewhere().unwrap_err().to_string();
        let holder = format!("is in use by process {} on ", std::process::id());
        assert!(message.starts_with(&holder), "{message}");
        let again = FileLock::take(&path).unwrap();
        drop(first);
        assert!(try_elsewhere().is_err());
        drop(again);
        try_elsewhere().unwrap();
    }

    #[test]
    fn a_file_left_by_a_killed_process_locks_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        fs::write(&path, "process 1 on a machine that lost its power, which had a long name")
            .unwrap();
        drop(FileLock::take(&path).unwrap());
        let said = fs::read_to_string(&path).unwrap();
        assert!(said.starts_with(&format!("process {} on ", std::process::id())), "{said}");
        assert!(!said.contains("lost its power"));
    }
}

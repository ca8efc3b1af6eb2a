//! Room on the disk, looked at before a checkpoint is written.

use super::RunFolder;
use crate::error::{Error, Result};
use crate::file::room;

impl RunFolder {
    /// Refuses to write `bytes` where the disk has less room, before anything is written.
    pub(in crate::train) fn check_room(&self, bytes: u64) -> Result<()> {
        let Some(room) = room(&self.path).filter(|room| *room < bytes) else { return Ok(()) };
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let reason = format!(
            "a checkpoint takes up to {:.1} MB, and the disk has {:.1} MB left: none was written",
            megabytes(bytes),
            megabytes(room)
        );
        Err(Error::checkpoint(self.folder(), reason))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_no_disk_holds_is_refused_with_both_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        run.check_room(1).unwrap();
        let refusal = run.check_room(u64::MAX).unwrap_err().to_string();
        assert!(refusal.contains("takes up to 18446744073709.6 MB"), "{refusal}");
        assert!(refusal.contains("MB left: none was written"), "{refusal}");
    }
}

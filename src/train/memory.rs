//! The memory of this process.

use std::fs;

/// The resident set in bytes: the main memory that the process takes up now. `None` where the
/// system does not tell (all but Linux).
pub fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    kibibytes(&status, "VmRSS:").map(|kib| kib * 1024)
}

/// The number that `status` gives for `name`.
fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_read_as_linux_writes_it() {
        // proc(5): lines of a name, a tab, and a number of kB.
        let status = "VmHWM:\t  812340 kB\nVmRSS:\t  512000 kB\nRssAnon:\t  400000 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(512_000));
        assert_eq!(kibibytes("Name:\tburn\n", "VmRSS:"), None);
    }
}

//! Detects 16-bit files that use a small part of their range, and so are nearly black.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Statistics of the 16-bit images that were read so far.
#[derive(Debug, Default)]
pub(crate) struct Depth(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    images: usize,
    /// The largest value, and the first file that has it.
    most: u16,
    index: usize,
}

impl Depth {
    /// Records that image `index` was read; `most` is its largest value if it has 16 bits.
    pub(crate) fn note(&self, index: usize, most: Option<u16>) {
        let Some(most) = most else { return };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = seen.images == 0 || most > seen.most;
        if first || (most == seen.most && index < seen.index) {
            (seen.most, seen.index) = (most, index);
        }
        seen.images += 1;
    }

    /// A warning if no value reaches the upper half of the range; `path` names a file.
    pub(crate) fn warning<P: AsRef<Path>>(&self, path: impl FnOnce(usize) -> P) -> Option<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Seen { images, most, index } = *seen;
        if images == 0 || most > u16::MAX / 2 {
            return None;
        }
        let path = path(index);
        let path = path.as_ref().display();
        Some(format!(
            "16-bit images use a small part of their range: the largest value of the {images} looked \
             at is {most} of 65535 ({path}); say which value is white by --white, or scale the files to \
             the whole range"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_bits_in_sixteen_are_noticed() {
        let depth = Depth::default();
        let warning = |depth: &Depth| depth.warning(|_| Path::new("b.png"));
        assert_eq!(warning(&depth), None);
        depth.note(0, None);
        depth.note(3, Some(4000));
        depth.note(1, Some(4095));
        let text = warning(&depth).unwrap();
        assert!(text.contains("of the 2 looked at is 4095 of 65535 (b.png)"), "{text}");
        assert!(text.contains("which value is white by --white"), "{text}");
        depth.note(2, Some(40_000));
        assert_eq!(warning(&depth), None);
    }
}

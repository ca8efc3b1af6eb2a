//! Telling a whole JPEG file from one that was cut short, which the decoder fills with gray.

/// Whether the markers of the JPEG file `bytes` lead to its end marker (ITU-T T.81, annex B).
///
/// Segments are skipped by their length, so the end of a thumbnail inside one does not count.
pub(crate) fn is_complete(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        let Some(start) = rest.iter().position(|&byte| byte == 0xff) else { return false };
        rest = &rest[start + 1..];
        match rest {
            [0xd9, ..] => return true,
            // A stuffed byte of image data, or a marker without a segment; fill bytes precede one.
            [0x00 | 0x01 | 0xd0..=0xd8, after @ ..] => rest = after,
            [0xff, ..] => {}
            [_, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let Some(after) = rest.get(1 + length..) else { return false };
                rest = after;
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_marker_completes_a_file() {
        let segment = b"\xff\xe1\x00\x06\xff\xd9\xff\xd9";
        let scan = b"\xff\xda\x00\x02\x12\xff\x00\x34\xff\xd0\x56\xff\xff\xd9";
        let whole = [&b"\xff\xd8"[..], segment, scan, b"trailing"].concat();
        assert!(is_complete(&whole));
        for end in 0..whole.len() - b"trailing".len() {
            assert!(!is_complete(&whole[..end]), "{end}");
        }
    }
}

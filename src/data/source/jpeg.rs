//! Tells a whole JPEG file from one that was cut short, whose missing part the decoder would fill
//! with gray.

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

/// Whether the first frame of the JPEG file `bytes` is coded progressively, so that a decoder holds
/// all of its coefficients at once.
pub(crate) fn is_progressive(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(start) = rest.iter().position(|&byte| byte == 0xff) {
        rest = &rest[start + 1..];
        match rest {
            [0xc2 | 0xc6 | 0xca | 0xce, ..] => return true,
            [0xc0 | 0xc1 | 0xc3 | 0xc5 | 0xc7 | 0xc9 | 0xcb | 0xcd | 0xcf | 0xda, ..] => break,
            [0x00 | 0x01 | 0xd0..=0xd9, after @ ..] => rest = after,
            [0xff, ..] => {}
            [_, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(1 + length..).unwrap_or_default();
            }
            _ => break,
        }
    }
    false
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

    #[test]
    fn a_progressive_frame_is_told_by_its_marker() {
        let segment = b"\xff\xe1\x00\x06\xff\xc2\xff\xc2";
        let frame =
            |marker: &[u8]| [&b"\xff\xd8"[..], segment, marker, b"\x00\x04\x00\x00"].concat();
        assert!(is_progressive(&frame(b"\xff\xc2")));
        assert!(!is_progressive(&frame(b"\xff\xc0")));
        assert!(!is_progressive(b"\xff\xd8\xff"));
    }
}

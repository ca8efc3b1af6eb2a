//! The memory that one image may take, computed from its header before anything is decoded.

use std::path::Path;

use image::ImageFormat;

use crate::data::source::jpeg;
use crate::error::{Error, Result};

/// Bytes that decoding any image may take, besides [`PER_BYTE`] for each byte of its file.
const BASE: u64 = 240_000_000;
/// Further bytes for each byte of the file: an image whose compressed file is large may be large
/// when decoded.
const PER_BYTE: u64 = 16;
/// RGB images of more bytes are split into planes in place.
pub(crate) const IN_PLACE: u64 = 32 << 20;

/// The sizes in the header of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Bytes of all values as they are decoded.
    pub(crate) decoded: u64,
    /// Bytes of a pixel of the resulting image: its channels, where they have 8 bits.
    pub(crate) channels: u64,
    /// Whether the orientation exchanges rows and columns.
    pub(crate) rotated: bool,
}

impl Promise {
    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The largest number of bytes at any one time, without the file's own, for the decoders of
    /// `image` 0.25.
    fn need(&self, format: Option<ImageFormat>, bytes: &[u8]) -> u64 {
        let Self { decoded, channels, rotated, .. } = *self;
        let pixels = self.pixels();
        let inner = match format {
            // All coefficients of three planes, two bytes each.
            Some(ImageFormat::Jpeg) if jpeg::is_progressive(bytes) => pixels.saturating_mul(6),
            // The canvas and the first frame in RGBA, and that frame's planes.
            Some(ImageFormat::WebP) if is_animated_webp(bytes) => pixels.saturating_mul(10),
            // RGBA before alpha is dropped, or planes before they are colors.
            Some(ImageFormat::WebP) => pixels.saturating_mul(5),
            // Values as they are stored, before CMYK becomes RGB.
            Some(ImageFormat::Tiff) => decoded.saturating_mul(4) / 3,
            Some(ImageFormat::Pnm) => decoded,
            _ => 0,
        };
        let copies = if rotated { decoded } else { 0 };
        let in_place = channels == 3 && decoded == pixels.saturating_mul(3) && decoded > IN_PLACE;
        let planes = if in_place { pixels } else { pixels.saturating_mul(channels) };
        decoded.saturating_add(inner.max(copies).max(planes))
    }

    /// The number of bytes that remain of the memory that the image in `bytes` may take.
    ///
    /// # Errors
    ///
    /// When the image would take more.
    pub(crate) fn check(
        &self,
        path: &Path,
        format: Option<ImageFormat>,
        bytes: &[u8],
    ) -> Result<u64> {
        let what = || format!("cannot be read as an image: {}×{} pixels", self.width, self.height);
        left(path, what, self.need(format, bytes), bytes.len() as u64)
    }
}

/// Bytes of memory that what a file of so many `bytes` holds may take.
pub(crate) fn limit(bytes: u64) -> u64 {
    BASE.saturating_add(PER_BYTE.saturating_mul(bytes))
}

/// Checks that `count` frames of `width` × `height` pixels in a file of so many `bytes` may be kept at the
/// same time, with what decoding one takes beside them.
///
/// # Errors
///
/// When they would take more memory than that of images.
pub(crate) fn of_frames(
    path: &Path,
    [width, height]: [usize; 2],
    count: usize,
    bytes: u64,
) -> Result<()> {
    // The planes of each, once more in one clip; canvases in RGBA before and after a frame, and that
    // frame twice.
    let each = (count as u64).saturating_mul(6).saturating_add(16);
    let need = (width as u64).saturating_mul(height as u64).saturating_mul(each);
    let what = || format!("cannot be read as a clip: frames ({count}) of {width}×{height} pixels");
    left(path, what, need, bytes).map(|_| ())
}

fn left(path: &Path, what: impl Fn() -> String, need: u64, bytes: u64) -> Result<u64> {
    let limit = limit(bytes);
    limit.checked_sub(need).ok_or_else(|| {
        let (what, need, limit) = (what(), need.div_ceil(1_000_000), limit / 1_000_000);
        let reason = format!(
            "{what} would take {need} MB of memory, more than the limit of {limit} MB for a file of \
             {bytes} bytes; make it smaller or remove it"
        );
        Error::data(path, reason)
    })
}

/// Whether the header of a WebP file announces frames (RFC 9649, 2.7.1).
fn is_animated_webp(bytes: &[u8]) -> bool {
    bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(width: u32, height: u32) -> Promise {
        let decoded = (u64::from(width) * u64::from(height)).saturating_mul(3);
        Promise { width, height, decoded, channels: 3, rotated: false }
    }

    #[test]
    fn the_limit_grows_with_the_file() {
        let path = Path::new("a.png");
        // 60 million pixels of 3 bytes, and a plane beside them: 240 MB.
        let check = |image: Promise, bytes: usize| image.check(path, None, &vec![0; bytes]);
        assert_eq!(check(promise(6000, 10000), 0).unwrap(), 0);
        let message = check(promise(6000, 10001), 0).unwrap_err().to_string();
        assert_eq!(
            message,
            "a.png: cannot be read as an image: 6000×10001 pixels would take 241 MB of memory, more \
             than the limit of 240 MB for a file of 0 bytes; make it smaller or remove it"
        );
        // A camera's 108 megapixels in 12 MB.
        assert!(check(promise(12000, 9000), 12_000_000).is_ok());
    }

    #[test]
    fn frames_of_an_animation_count() {
        let mut webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02".to_vec();
        let path = Path::new("a.webp");
        let mut canvas = promise(5000, 5000);
        canvas.decoded = 4 * 25_000_000;
        assert!(canvas.check(path, Some(ImageFormat::WebP), &webp).is_err());
        webp[20] = 0;
        assert!(canvas.check(path, Some(ImageFormat::WebP), &webp).is_ok());
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let mut image = promise(u32::MAX, u32::MAX);
        image.decoded = u64::MAX;
        assert!(image.check(Path::new("a.tif"), Some(ImageFormat::Tiff), &[]).is_err());
    }
}

//! Reads one image file.

use std::io::{self, Cursor};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::data::sample::Image;
use crate::data::source::budget::Promise;
use crate::data::source::planes::Planes;
use crate::data::source::{jpeg, npy, regular, tiff};
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// Reads the image in the file `path` with its own channels: one for a grayscale image, three for a
/// color image, and one for each band of a TIFF with many bands.
///
/// The format is detected from the contents; the file's name decides only if that fails.
/// Values keep their depth: 8 bits, 16 bits, or floats from 0 to 1 ([`Image::in_8_bits`] brings them
/// to 8 bits). Transparency is dropped, the first frame of an animation is taken, and the orientation
/// that a camera noted (EXIF) is applied. An array of NumPy (`.npy`) is `[height, width]` or `[height,
/// width, channels]`.
/// Decoding may take 240 MB of memory and 16 bytes for each byte of the file: an image whose header
/// promises more is refused before it is decoded.
///
/// # Errors
///
/// When the file cannot be read, is no regular file, is damaged or cut short, or is too large.
pub fn read_image(path: &Path) -> Result<Image> {
    read_noting_depth(path).map(|(image, _)| image)
}

/// Reads an image as [`read_image`] does, and returns the largest value of a 16-bit image with it.
pub(crate) fn read_noting_depth(path: &Path) -> Result<(Image, Option<u16>)> {
    decoded(path, &regular::read(path)?)
}

/// The image in `bytes`, which are those of the file `path`, as [`read_noting_depth`] reads it.
pub(crate) fn decoded(path: &Path, bytes: &[u8]) -> Result<(Image, Option<u16>)> {
    let fault = |reason: &str| Error::data(path, format!("cannot be read as an image: {reason}"));
    if bytes.is_empty() {
        return Err(fault("the file is empty"));
    }
    if npy::is_npy(bytes) {
        return npy::read(path, bytes);
    }
    let format = format_of(path, bytes);
    if format == Some(ImageFormat::Tiff)
        && let Some(read) = tiff::read(path, bytes)?
    {
        return Ok(read);
    }
    let image = decode(path, format, bytes)?;
    let (height, width) = (image.height() as usize, image.width() as usize);
    let planes = Planes::of_image(image).map_err(|reason| fault(&reason))?;
    let shape = ImageShape::new(planes.channels, height, width);
    Ok((Image::of(shape, planes.pixels, u16::MAX)?, planes.deepest))
}

fn format_of(path: &Path, bytes: &[u8]) -> Option<ImageFormat> {
    image::guess_format(bytes).or_else(|_| ImageFormat::from_path(path)).ok()
}

fn decode(path: &Path, format: Option<ImageFormat>, bytes: &[u8]) -> Result<DynamicImage> {
    let fault =
        |error: ImageError| Error::data(path, format!("cannot be read as an image: {error}"));
    let mut reader = ImageReader::new(Cursor::new(bytes));
    if let Some(format) = format {
        reader.set_format(format);
    }
    if format == Some(ImageFormat::Jpeg) && !jpeg::is_complete(bytes) {
        return Err(fault(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
    }
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let orientation = decoder.orientation().map_err(fault)?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let depth = u64::from(color.bytes_per_pixel() / color.channel_count());
    let promise = Promise {
        width,
        height,
        decoded: decoder.total_bytes(),
        channels: depth * if color.has_color() { 3 } else { 1 },
        rotated: is_turned(orientation),
    };
    let left = promise.check(path, format, bytes)?;
    let mut limits = Limits::default();
    // The memory that a decoder may take besides its result; the limit of the TIFF decoder includes
    // the result.
    let result = if format == Some(ImageFormat::Tiff) { promise.decoded * 4 / 3 } else { 0 };
    limits.max_alloc = Some(result + left.max(1 << 20));
    decoder.set_limits(limits).map_err(fault)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether applying `orientation` makes a copy of the image.
fn is_turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::pixels::Pixels;
    use crate::data::source::planes::planar;
    use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};
    use std::fs;
    use std::path::PathBuf;

    fn file(
        dir: &Path,
        name: &str,
        image: impl Into<DynamicImage>,
        format: ImageFormat,
    ) -> PathBuf {
        let path = dir.join(name);
        image.into().save_with_format(&path, format).unwrap();
        path
    }

    fn noise() -> ImageBuffer<Rgb<u8>, Vec<u8>> {
        ImageBuffer::from_fn(64, 48, |x, y| {
            Rgb([x * y, (x * 31) ^ y, (x + y) * 57].map(|value| value as u8))
        })
    }

    #[test]
    fn pixels_become_planes() {
        let dir = tempfile::tempdir().unwrap();
        let image =
            ImageBuffer::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).map(DynamicImage::ImageRgb8);
        let path = file(dir.path(), "a.png", image.unwrap(), ImageFormat::Png);
        let image = read_image(&path).unwrap();
        assert_eq!(image.shape(), ImageShape::new(3, 1, 2));
        assert_eq!(image.bytes().unwrap(), [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn transparency_is_dropped_and_depth_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name, image: DynamicImage| {
            let image = read_image(&file(dir.path(), name, image, ImageFormat::Png)).unwrap();
            image.pixels().clone()
        };
        let rgba = ImageBuffer::from_pixel(1, 1, Rgba([9_u8, 8, 7, 0]));
        assert_eq!(read("rgba.png", rgba.into()), Pixels::U8(vec![9, 8, 7]));
        let gray_alpha = ImageBuffer::from_pixel(1, 1, LumaA([9_u8, 3]));
        assert_eq!(read("la.png", gray_alpha.into()), Pixels::U8(vec![9]));
        let deep = ImageBuffer::from_pixel(1, 1, Luma([0x8080_u16]));
        assert_eq!(read("l16.png", deep.into()), Pixels::U16(vec![0x8080]));
        let deep = ImageBuffer::from_pixel(1, 1, Rgb([65535_u16, 0, 257]));
        assert_eq!(read("rgb16.png", deep.into()), Pixels::U16(vec![65535, 0, 257]));
    }

    #[test]
    fn the_contents_decide_the_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "really-a-png.jpg", noise(), ImageFormat::Png);
        assert_eq!(
            read_image(&path).unwrap().plane(0).unwrap(),
            planar(&noise(), 3, 3, |value| value)[..64 * 48].to_vec()
        );
    }

    #[test]
    fn a_noted_orientation_is_applied() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "a.jpg", noise(), ImageFormat::Jpeg);
        let upright = fs::read(&path).unwrap();
        // TIFF header, one directory entry: tag 0x0112 (orientation), short, 1, value 6.
        let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        fs::write(&path, [&upright[..2], exif, &upright[2..]].concat()).unwrap();
        assert_eq!(read_image(&path).unwrap().shape(), ImageShape::new(3, 64, 48));
    }

    #[test]
    fn a_cut_file_of_any_format_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (name, format) in [
            ("a.png", ImageFormat::Png),
            ("a.jpg", ImageFormat::Jpeg),
            ("a.bmp", ImageFormat::Bmp),
            ("a.tiff", ImageFormat::Tiff),
            ("a.gif", ImageFormat::Gif),
            ("a.webp", ImageFormat::WebP),
            ("a.ppm", ImageFormat::Pnm),
        ] {
            let path = file(dir.path(), name, noise(), format);
            let bytes = fs::read(&path).unwrap();
            for kept in [bytes.len() / 2, bytes.len() * 9 / 10, 3, 0] {
                fs::write(&path, &bytes[..kept]).unwrap();
                let message = match read_image(&path) {
                    Err(error) => error.to_string(),
                    Ok(_) => panic!("{name} was read from {kept} of {} bytes", bytes.len()),
                };
                assert!(message.contains(&format!("{name}: cannot be read as an")), "{message}");
            }
        }
    }

    #[test]
    fn an_image_that_promises_too_much_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bomb.ppm");
        fs::write(&path, b"P6 60000 60000 255\n").unwrap();
        let message = read_image(&path).unwrap_err().to_string();
        assert!(message.contains("bomb.ppm: cannot be read as an image: 60000×60000 pixels would"));
        assert!(message.contains("MB of memory, more than the limit of 240 MB"), "{message}");
    }

    /// A still image as the only frame of an animation on a canvas of `side` pixels.
    fn animated_webp(dir: &Path, side: u32) -> PathBuf {
        let still = fs::read(file(dir, "still.webp", noise(), ImageFormat::WebP)).unwrap();
        let three = |value: u32| value.to_le_bytes()[..3].to_vec();
        let chunk = |name: &[u8; 4], body: Vec<u8>| {
            [&name[..], &(body.len() as u32).to_le_bytes(), &body].concat()
        };
        let canvas = [vec![2, 0, 0, 0], three(side - 1), three(side - 1)].concat();
        let place = [three(0), three(0), three(63), three(47), three(100), vec![0]].concat();
        let chunks = [
            b"WEBP".to_vec(),
            chunk(b"VP8X", canvas),
            chunk(b"ANIM", vec![0; 6]),
            chunk(b"ANMF", [place, still[12..].to_vec()].concat()),
        ];
        let path = dir.join(format!("{side}.webp"));
        fs::write(&path, chunk(b"RIFF", chunks.concat())).unwrap();
        path
    }

    #[test]
    fn the_first_frame_of_an_animation_is_read_and_a_huge_canvas_refused() {
        let dir = tempfile::tempdir().unwrap();
        let image = read_image(&animated_webp(dir.path(), 64)).unwrap();
        assert_eq!(image.shape(), ImageShape::new(3, 64, 64));
        assert_eq!(image.plane(0).unwrap()[..64], planar(&noise(), 3, 1, |value| value)[..64]);
        let message = read_image(&animated_webp(dir.path(), 10_000)).unwrap_err().to_string();
        assert!(message.contains("10000.webp") && message.contains("10000×10000"), "{message}");
    }
}

//! Reading one image file.

use std::fs;
use std::io::{self, Cursor};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits};

use crate::data::sample::Image;
use crate::data::source::jpeg;
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// The image in the file `path`: one channel when it is grayscale, else three.
///
/// The format is told by the contents, the file's name decides only where they do not. Transparency
/// is dropped, 16-bit and float values are brought to 8 bits, and the orientation that a camera
/// noted (EXIF) is applied. An image that would need more than 512 MiB is refused, by `image`'s
/// default limits.
///
/// # Errors
///
/// When the file cannot be read, is damaged or cut short, or is too large.
pub fn read_image(path: &Path) -> Result<Image> {
    let bytes = fs::read(path).map_err(|error| Error::data(path, error))?;
    let image = decode(path, &bytes)
        .map_err(|error| Error::data(path, format!("cannot be read as an image: {error}")))?;
    let shape =
        |channels| ImageShape::new(channels, image.height() as usize, image.width() as usize);
    if image.color().has_color() {
        Image::new(shape(3), planar(&image.to_rgb8(), 3))
    } else {
        Image::new(shape(1), image.to_luma8().into_raw())
    }
}

fn decode(path: &Path, bytes: &[u8]) -> ImageResult<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(bytes));
    if let Ok(format) = ImageFormat::from_path(path) {
        reader.set_format(format);
    }
    let reader = reader.with_guessed_format()?;
    if reader.format() == Some(ImageFormat::Jpeg) && !jpeg::is_complete(bytes) {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let mut decoder = reader.into_decoder()?;
    // The reader's own limits leave out the image itself.
    let mut limits = Limits::default();
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn planar(interleaved: &[u8], channels: usize) -> Vec<u8> {
    let mut planes = Vec::with_capacity(interleaved.len());
    for channel in 0..channels {
        planes.extend(interleaved.chunks_exact(channels).map(|pixel| pixel[channel]));
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};
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
        assert_eq!(image.pixels(), [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn transparency_and_depth_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name, image: DynamicImage| {
            read_image(&file(dir.path(), name, image, ImageFormat::Png)).unwrap().pixels().to_vec()
        };
        let rgba = ImageBuffer::from_pixel(1, 1, Rgba([9_u8, 8, 7, 0]));
        assert_eq!(read("rgba.png", rgba.into()), [9, 8, 7]);
        let gray_alpha = ImageBuffer::from_pixel(1, 1, LumaA([9_u8, 3]));
        assert_eq!(read("la.png", gray_alpha.into()), [9]);
        let deep = ImageBuffer::from_pixel(1, 1, Luma([0x8080_u16]));
        assert_eq!(read("l16.png", deep.into()), [0x80]);
        let deep = ImageBuffer::from_pixel(1, 1, Rgb([65535_u16, 0, 257]));
        assert_eq!(read("rgb16.png", deep.into()), [255, 0, 1]);
    }

    #[test]
    fn the_contents_decide_the_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "really-a-png.jpg", noise(), ImageFormat::Png);
        assert_eq!(read_image(&path).unwrap().plane(0), planar(&noise(), 3)[..64 * 48].to_vec());
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
        assert!(message.contains("bomb.ppm") && message.contains("limit"), "{message}");
    }
}

//! Films of every kind, written to files.

use std::fs;
use std::io::{BufWriter, Cursor};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgba, RgbaImage};

/// Frame `number` of a film of `width` × 4 pixels, whose red is the number and whose green the column.
pub(crate) fn picture(number: u8, width: u32) -> RgbaImage {
    RgbaImage::from_fn(width, 4, |x, y| Rgba([number, x as u8 * 9, y as u8 * 7, 255]))
}

/// Writes frames `numbers` as images into the folder `path`.
pub(crate) fn folder(path: &Path, numbers: Range<u8>, width: u32) {
    fs::create_dir_all(path).unwrap();
    for number in numbers {
        let picture = DynamicImage::from(picture(number, width)).into_rgb8();
        picture.save(path.join(format!("frame{number}.png"))).unwrap();
    }
}

pub(crate) fn gif(path: &Path, frames: u8) {
    let mut encoder = GifEncoder::new(fs::File::create(path).unwrap());
    encoder.encode_frames((0..frames).map(|number| Frame::new(picture(number, 6)))).unwrap();
}

pub(crate) fn apng(path: &Path, frames: u8) {
    let mut encoder = png::Encoder::new(BufWriter::new(fs::File::create(path).unwrap()), 6, 4);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_animated(frames.into(), 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for number in 0..frames {
        writer.write_image_data(&picture(number, 6)).unwrap();
    }
    writer.finish().unwrap();
}

/// The container of RFC 9649 around still images.
pub(crate) fn webp(path: &Path, frames: u8) {
    let three = |value: u32| value.to_le_bytes()[..3].to_vec();
    let chunk = |name: &[u8; 4], body: Vec<u8>| {
        [&name[..], &(body.len() as u32).to_le_bytes(), &body].concat()
    };
    let canvas = [vec![2, 0, 0, 0], three(5), three(3)].concat();
    let mut chunks = vec![b"WEBP".to_vec(), chunk(b"VP8X", canvas), chunk(b"ANIM", vec![0; 6])];
    for number in 0..frames {
        let mut still = Cursor::new(Vec::new());
        let picture = DynamicImage::from(picture(number, 6)).into_rgb8();
        picture.write_to(&mut still, ImageFormat::WebP).unwrap();
        // The last byte: in the place of what was there, not blended with it.
        let place = [three(0), three(0), three(5), three(3), three(40), vec![2]].concat();
        chunks.push(chunk(b"ANMF", [place, still.into_inner()[12..].to_vec()].concat()));
    }
    fs::write(path, chunk(b"RIFF", chunks.concat())).unwrap();
}

pub(crate) fn has_ffmpeg() -> bool {
    let there = Command::new("ffmpeg").arg("-version").output().is_ok();
    if !there {
        println!("not tested: there is no ffmpeg on the PATH");
    }
    there
}

/// A video of `frames` frames without loss, whose red values are their numbers times 2.
pub(crate) fn video(path: &Path, frames: u8) {
    let source = tempfile::tempdir().unwrap();
    for number in 0..frames {
        let picture = RgbaImage::from_pixel(18, 14, Rgba([2 * number, 100, 50, 255]));
        picture.save(source.path().join(format!("{number:03}.png"))).unwrap();
    }
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-framerate", "10", "-i"])
        .arg(source.path().join("%03d.png"))
        .args(["-c:v", "ffv1", "-pix_fmt", "bgr0", "-g", "4"])
        .arg(path)
        .status();
    assert!(status.unwrap().success());
}

/// An array of NumPy of bytes, as it writes them.
pub(crate) fn npy(shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), values].concat()
}

//! TIFF files that `image` does not read: any number of bands, gray floats.

use std::io::Cursor;
use std::path::Path;

use image::ImageFormat;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{ExtraSamples, Tag};

use crate::data::pixels::Pixels;
use crate::data::sample::Image;
use crate::data::source::budget::Promise;
use crate::data::source::planes::{Planes, planar};
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// Reads the image in the TIFF file `bytes` and the largest of its 16-bit values; `None` if it is
/// of a kind that `image` reads, or is damaged in a way that `image` reports.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Option<(Image, Option<u16>)>> {
    let Ok(mut decoder) = Decoder::new(Cursor::new(bytes)) else { return Ok(None) };
    let Some(bands) = bands(&mut decoder) else { return Ok(None) };
    let Ok((width, height)) = decoder.dimensions() else { return Ok(None) };
    let (planes, channels) = read_bands(path, bytes, decoder, bands)?;
    let shape = ImageShape::new(channels, height as usize, width as usize);
    Ok(Some((Image::of(shape, planes.pixels, u16::MAX)?, planes.deepest)))
}

/// The number of samples in a pixel, and how many of them are channels; `None` if `image` reads
/// this kind.
#[derive(Debug, Clone, Copy)]
struct Bands {
    samples: usize,
    channels: usize,
    bits: u8,
}

fn bands(decoder: &mut Decoder<Cursor<&[u8]>>) -> Option<Bands> {
    let alpha = |samples: u16, decoder: &mut Decoder<_>| {
        let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten();
        let of_alpha = |kind| {
            matches!(
                ExtraSamples::from_u16(kind),
                Some(ExtraSamples::AssociatedAlpha | ExtraSamples::UnassociatedAlpha)
            )
        };
        // Only the second sample of gray with alpha is alpha; every other extra sample is data.
        usize::from(samples == 2 && extra.is_some_and(|kinds| kinds.into_iter().any(of_alpha)))
    };
    match decoder.colortype().ok()? {
        ColorType::Multiband { bit_depth: bits, num_samples } => {
            let samples = usize::from(num_samples);
            Some(Bands { samples, channels: samples - alpha(num_samples, decoder), bits })
        }
        // `image` reads 1, 8 and 16 whole bits, and takes floats for those.
        ColorType::Gray(bits @ (16 | 32 | 64)) => {
            let format = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).ok()?;
            let whole = format.is_none_or(|formats| formats.iter().all(|&format| format == 1));
            (bits != 16 || !whole).then_some(Bands { samples: 1, channels: 1, bits })
        }
        _ => None,
    }
}

fn read_bands(
    path: &Path,
    bytes: &[u8],
    mut decoder: Decoder<Cursor<&[u8]>>,
    bands: Bands,
) -> Result<(Planes, usize)> {
    let fault = |reason: String| Error::data(path, format!("cannot be read as an image: {reason}"));
    let Bands { samples, channels, bits } = bands;
    if !matches!(bits, 8 | 16 | 32 | 64) {
        return Err(fault(format!("its {samples} bands have {bits} bits, expected 8, 16 or 32")));
    }
    let (width, height) = decoder.dimensions().map_err(|error| fault(error.to_string()))?;
    let values = u64::from(width) * u64::from(height) * samples as u64;
    let decoded = values.saturating_mul(u64::from(bits / 8));
    let each = 1 + u64::from(bits / 8);
    let promise =
        Promise { width, height, decoded, channels: each * channels as u64, rotated: false };
    let left = promise.check(path, Some(ImageFormat::Tiff), bytes)?;
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = size(decoded);
    limits.intermediate_buffer_size = size(left.max(1 << 20));
    limits.ifd_value_size = limits.intermediate_buffer_size;
    let mut decoder = decoder.with_limits(limits);
    let mut data = DecodingResult::U8(Vec::new());
    let layout =
        decoder.read_image_to_buffer(&mut data).map_err(|error| fault(error.to_string()))?;
    // Bands that are stored as planes are already in the right order.
    let (stride, taken) = if layout.planes > 1 { (1, 1) } else { (samples, channels) };
    let mut planes = planes(data, stride, taken).map_err(fault)?;
    let wanted = size(values / samples as u64).saturating_mul(channels);
    if planes.pixels.len() < wanted {
        let found = planes.pixels.len();
        return Err(fault(format!("it holds {found} values in its bands, expected {wanted}")));
    }
    planes.pixels.truncate(wanted);
    Ok((planes, channels))
}

fn planes(data: DecodingResult, stride: usize, channels: usize) -> Result<Planes, String> {
    let plain = |pixels| Planes { channels, pixels: Pixels::U8(pixels), deepest: None };
    match data {
        DecodingResult::U8(values) if stride == 1 => Ok(plain(values)),
        DecodingResult::U8(values) => Ok(plain(planar(&values, stride, channels, |value| value))),
        DecodingResult::U16(values) => Ok(Planes::of_words(&values, stride, channels)),
        DecodingResult::U32(values) => {
            // All that a float can hold: 24 of the 32 bits.
            let share = |value: u32| (f64::from(value) / f64::from(u32::MAX)) as f32;
            let pixels = Pixels::F32(planar(&values, stride, channels, share));
            Ok(Planes { channels, pixels, deepest: None })
        }
        DecodingResult::F16(values) => {
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            Planes::of_floats(&values, stride, channels)
        }
        DecodingResult::F32(values) => Planes::of_floats(&values, stride, channels),
        DecodingResult::F64(values) => {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            Planes::of_floats(&values, stride, channels)
        }
        DecodingResult::I8(_)
        | DecodingResult::I16(_)
        | DecodingResult::I32(_)
        | DecodingResult::I64(_) => Err("holds signed values; shift and scale them".into()),
        DecodingResult::U64(_) => Err("holds 64-bit values; scale them to 8 or 16 bits".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::read_image;
    use std::fs;

    /// An uncompressed little-endian TIFF of one strip: the tags and values given by hand (TIFF 6.0).
    fn tiff(size: [u32; 2], samples: u16, bits: u16, format: u16, data: &[u8]) -> Vec<u8> {
        let [width, height] = size;
        let mut tags: Vec<(u16, u16, u32, u32)> = vec![
            (256, 4, 1, width),
            (257, 4, 1, height),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, 1, 8),
            (277, 3, 1, samples.into()),
            (278, 4, 1, height),
            (279, 4, 1, data.len() as u32),
        ];
        let mut extra: Vec<u8> = Vec::new();
        let after_data = 8 + data.len() as u32;
        for (tag, value, count) in
            [(258, bits, samples), (338, 0, samples - 1), (339, format, samples)]
        {
            let offset = after_data + extra.len() as u32;
            match count {
                0 => {}
                1 => tags.push((tag, 3, 1, value.into())),
                2 => tags.push((tag, 3, 2, u32::from(value) << 16 | u32::from(value))),
                _ => {
                    tags.push((tag, 3, count.into(), offset));
                    extra.extend((0..count).flat_map(|_| value.to_le_bytes()));
                }
            }
        }
        tags.sort_unstable();
        let mut file = b"II*\0".to_vec();
        file.extend((after_data + extra.len() as u32).to_le_bytes());
        file.extend(data);
        file.extend(extra);
        file.extend((tags.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in tags {
            file.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            file.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
        }
        file.extend([0; 4]);
        file
    }

    fn read_file(bytes: &[u8]) -> Result<Image> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tif");
        fs::write(&path, bytes).unwrap();
        read_image(&path)
    }

    #[test]
    fn any_number_of_bands_is_read_as_channels() {
        for bands in [2_u16, 4, 5, 12] {
            let data: Vec<u8> = (0..2 * 3 * bands).map(|value| value as u8).collect();
            let image = read_file(&tiff([3, 2], bands, 8, 1, &data)).unwrap();
            assert_eq!(image.shape(), ImageShape::new(bands.into(), 2, 3));
            let second: Vec<u8> = (0..6).map(|pixel| (pixel * bands + 1) as u8).collect();
            assert_eq!(image.plane(1).unwrap(), second);
        }
    }

    #[test]
    fn deep_bands_stay_deep() {
        let data = [0_u16, 257, 65535, 40 * 257].map(u16::to_le_bytes).concat();
        let image = read_file(&tiff([1, 1], 4, 16, 1, &data)).unwrap();
        assert_eq!(*image.pixels(), Pixels::U16(vec![0, 257, 65535, 40 * 257]));
    }

    #[test]
    fn gray_floats_are_read_from_black_to_white() {
        let floats =
            |values: [f32; 3]| tiff([3, 1], 1, 32, 3, &values.map(f32::to_le_bytes).concat());
        let image = read_file(&floats([0.0, 0.2, 1.0])).unwrap();
        assert_eq!(image.shape(), ImageShape::new(1, 1, 3));
        assert_eq!(*image.pixels(), Pixels::F32(vec![0.0, 0.2, 1.0]));
        let message = read_file(&floats([0.0, 300.0, 1.0])).unwrap_err().to_string();
        assert!(message.contains("a.tif: cannot be read as an image: holds the value 300; floats"));
        let halves = [0.0_f64, 0.6, 1.0].map(f64::to_le_bytes).concat();
        let image = read_file(&tiff([3, 1], 1, 64, 3, &halves)).unwrap();
        assert_eq!(*image.pixels(), Pixels::F32(vec![0.0, 0.6, 1.0]));
    }

    #[test]
    fn signed_values_and_a_cut_file_are_refused() {
        let message = |bytes: &[u8]| read_file(bytes).unwrap_err().to_string();
        assert!(message(&tiff([1, 1], 2, 16, 2, &[0; 4])).contains("holds signed values"));
        let whole = tiff([4, 4], 4, 8, 1, &[7; 64]);
        assert!(message(&whole[..40]).contains("a.tif: cannot be read as an image"));
    }

    #[test]
    fn a_bomb_of_bands_is_refused_by_its_header() {
        let bomb = tiff([60_000, 60_000], 4, 8, 1, &[0; 4]);
        let message = read_file(&bomb).unwrap_err().to_string();
        assert!(message.contains("60000×60000 pixels would take"), "{message}");
    }
}

//! Images in NumPy's format: one array in a file, `.npy`
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).

use std::path::Path;

use crate::data::pixels::Pixels;
use crate::data::sample::Image;
use crate::data::source::budget::Promise;
use crate::data::source::planes::{Planes, planar};
use crate::error::{Error, Result};
use crate::grid::ImageShape;

/// The first bytes of such a file.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes of a header that are looked at; an array of three axes takes about 80.
pub(crate) const HEADER: usize = 1 << 16;

/// Whether `bytes` are those of an array.
pub(crate) fn is_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The image in the array `bytes`, `[height, width]` or `[height, width, channels]`, and the largest of
/// its 16-bit values.
///
/// Values of `u1` and `u2` are from 0 (black) to 255 or 65535 (white), `f2`, `f4` and `f8` from 0 to 1.
///
/// # Errors
///
/// When the array is cut short, of another kind or number of axes, in Fortran's order, or holds numbers
/// out of range.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(Image, Option<u16>)> {
    let fault = |reason: String| Error::data(path, format!("cannot be read as an image: {reason}"));
    let (header, data) = parts(bytes).ok_or_else(|| fault("its header is cut short".into()))?;
    let Header { kind, axes } = header_of(header).map_err(fault)?;
    let shape = match axes[..] {
        [height, width] => ImageShape::new(1, height, width),
        [height, width, channels] => ImageShape::new(channels, height, width),
        _ => {
            return Err(fault(format!(
                "it has the shape {axes:?}; expected [height, width] or [height, width, channels]"
            )));
        }
    };
    let ImageShape { channels, height, width, .. } = shape;
    let [rows, cols] = [height, width].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let values = (height as u64).saturating_mul(width as u64).saturating_mul(channels as u64);
    let size = values.saturating_mul(kind.bytes() as u64);
    let promise = Promise {
        width: cols,
        height: rows,
        decoded: size,
        channels: (channels * kind.bytes()) as u64,
        rotated: false,
    };
    promise.check(path, None, bytes)?;
    if (data.len() as u64) < size {
        return Err(fault(format!("it holds {} bytes of values, expected {size}", data.len())));
    }
    let data = &data[..size as usize];
    let planes = kind.planes(data, channels).map_err(fault)?;
    Ok((Image::of(shape, planes.pixels, u16::MAX)?, planes.deepest))
}

/// The header's text, and what follows it.
pub(crate) fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    // The length has two bytes in version 1, four after it.
    let (length, start): (usize, usize) = match bytes.get(6)? {
        1 => (usize::from(u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?)), 10),
        _ => (u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize, 12),
    };
    let header = bytes.get(start..start.checked_add(length)?)?;
    (length <= HEADER).then(|| (header, &bytes[start + length..]))
}

#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// None of them is 0.
    pub(crate) axes: Vec<usize>,
}

/// What an array holds, and in which order of bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Kind {
    values: Values,
    big: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Values {
    U8,
    U16,
    F16,
    F32,
    F64,
}

/// What the dictionary `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` says.
pub(crate) fn header_of(text: &[u8]) -> Result<Header, String> {
    let text = std::str::from_utf8(text).map_err(|_| "its header is no text".to_string())?;
    let entry = |name: &str| {
        let (_, rest) = text.split_once(&format!("'{name}':"))?;
        Some(rest.trim_start())
    };
    let missing = |name: &str| format!("its header has no `{name}`");
    let descr = entry("descr").and_then(|rest| rest.strip_prefix('\'')?.split('\'').next());
    let kind = kind_of(descr.ok_or_else(|| missing("descr"))?)?;
    let order = entry("fortran_order").ok_or_else(|| missing("fortran_order"))?;
    if !order.starts_with("False") {
        return Err("its values are in Fortran's order; save numpy.ascontiguousarray of it".into());
    }
    let axes = entry("shape").and_then(|rest| rest.strip_prefix('(')?.split(')').next());
    let axes = axes.ok_or_else(|| missing("shape"))?.split(',').map(str::trim);
    let axes: Result<Vec<usize>, _> =
        axes.filter(|axis| !axis.is_empty()).map(str::parse).collect();
    let axes = axes.map_err(|_| "its shape is no list of numbers".to_string())?;
    match axes.contains(&0) {
        true => Err(format!("it has the shape {axes:?}, which holds nothing")),
        false => Ok(Header { kind, axes }),
    }
}

fn kind_of(descr: &str) -> Result<Kind, String> {
    let mut letters = descr.chars();
    let big = letters.next() == Some('>');
    let values = match letters.as_str() {
        "u1" => Values::U8,
        "u2" => Values::U16,
        "f2" => Values::F16,
        "f4" => Values::F32,
        "f8" => Values::F64,
        _ => {
            return Err(format!(
                "holds values of the kind `{descr}`; expected u1, u2, f2, f4 or f8: 8 or 16 bits without a \
                 sign, or floats from 0 to 1"
            ));
        }
    };
    Ok(Kind { values, big })
}

impl Kind {
    pub(crate) fn bytes(self) -> usize {
        match self.values {
            Values::U8 => 1,
            Values::U16 | Values::F16 => 2,
            Values::F32 => 4,
            Values::F64 => 8,
        }
    }

    /// The planes of interleaved values.
    pub(crate) fn planes(self, data: &[u8], channels: usize) -> Result<Planes, String> {
        match self.values {
            Values::U8 => {
                let pixels = Pixels::U8(planar(data, channels, channels, |value| value));
                Ok(Planes { channels, pixels, deepest: None })
            }
            Values::U16 => {
                let values = self.numbers(data, u16::from_le_bytes, u16::from_be_bytes);
                Ok(Planes::of_words(&values, channels, channels))
            }
            Values::F16 => {
                let values = self.numbers(
                    data,
                    burn::tensor::f16::from_le_bytes,
                    burn::tensor::f16::from_be_bytes,
                );
                let values: Vec<f32> = values.into_iter().map(f32::from).collect();
                Planes::of_floats(&values, channels, channels)
            }
            Values::F32 => {
                let values = self.numbers(data, f32::from_le_bytes, f32::from_be_bytes);
                Planes::of_floats(&values, channels, channels)
            }
            Values::F64 => {
                let values = self.numbers(data, f64::from_le_bytes, f64::from_be_bytes);
                let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
                Planes::of_floats(&values, channels, channels)
            }
        }
    }

    fn numbers<T, const N: usize>(
        self,
        data: &[u8],
        little: fn([u8; N]) -> T,
        big: fn([u8; N]) -> T,
    ) -> Vec<T> {
        let read = if self.big { big } else { little };
        data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::read_image;
    use std::fs;

    /// As NumPy writes it: version 1.0, the header filled up to a multiple of 64 bytes.
    fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let dictionary =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        let length = (10 + dictionary.len() + 1).next_multiple_of(64) - 10;
        let mut file = [MAGIC, &[1, 0]].concat();
        file.extend((length as u16).to_le_bytes());
        file.extend(format!("{dictionary:<width$}\n", width = length - 1).as_bytes());
        file.extend(data);
        file
    }

    fn read_file(bytes: &[u8]) -> Result<Image> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        fs::write(&path, bytes).unwrap();
        read_image(&path)
    }

    #[test]
    fn arrays_of_every_depth_become_planes_without_losing_any() {
        let image = read_file(&npy("|u1", "False", "(1, 2, 3)", &[1, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!(image.shape(), ImageShape::new(3, 1, 2));
        assert_eq!(*image.pixels(), Pixels::U8(vec![1, 4, 2, 5, 3, 6]));
        let deep = [7_u16, 40_000];
        let little = npy("<u2", "False", "(2, 1)", &deep.map(u16::to_le_bytes).concat());
        let big = npy(">u2", "False", "(2, 1)", &deep.map(u16::to_be_bytes).concat());
        for file in [little, big] {
            let image = read_file(&file).unwrap();
            assert_eq!(image.shape(), ImageShape::new(1, 2, 1));
            assert_eq!(*image.pixels(), Pixels::U16(deep.to_vec()));
        }
        let half = [0x3800_u16, 0x3c00].map(u16::to_le_bytes).concat();
        let single = [0.5_f32, 1.0].map(f32::to_le_bytes).concat();
        let double = [0.5_f64, 1.0].map(f64::to_le_bytes).concat();
        for (descr, data) in [("<f2", half), ("<f4", single), ("<f8", double)] {
            let image = read_file(&npy(descr, "False", "(1, 2, 1)", &data)).unwrap();
            assert_eq!(*image.pixels(), Pixels::F32(vec![0.5, 1.0]), "{descr}");
        }
    }

    #[test]
    fn what_is_no_image_is_told_what_it_should_be() {
        let message = |file: &[u8]| read_file(file).unwrap_err().to_string();
        let plain = |descr, order, shape| message(&npy(descr, order, shape, &[0; 64]));
        assert!(plain("<i8", "False", "(2, 2)").contains("values of the kind `<i8`; expected u1"));
        assert!(plain("|u1", "True", "(2, 2)").contains("Fortran's order"));
        assert!(plain("|u1", "False", "(2,)").contains("[2]; expected [height, width]"));
        assert!(plain("|u1", "False", "(2, 0)").contains("holds nothing"));
        assert!(plain("|u1", "False", "(2, x)").contains("no list of numbers"));
        assert!(plain("|u1", "False", "(9, 9)").contains("64 bytes of values, expected 81"));
        assert!(plain("|u1", "False", "(99999, 99999)").contains("pixels would take"));
        let file = npy("<f4", "False", "(1, 1)", &300.0_f32.to_le_bytes());
        assert!(message(&file).contains("holds the value 300; floats"), "{}", message(&file));
        for kept in [7, 9, 40] {
            assert!(message(&file[..kept]).contains("header is cut short"), "{kept}");
        }
    }
}

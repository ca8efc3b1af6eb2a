//! Label maps in PNG files, and where the one of an image lies.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use png::{BitDepth, ColorType, Decoder, Limits};

use crate::data::LabelMap;
use crate::data::source::regular;
use crate::data::source::walk::ImageFile;
use crate::error::{Error, Result};

/// The name of folders of images, and that of the folders of their label maps beside them.
const IMAGES: &str = "images";
const MASKS: &str = "masks";

/// The most bytes that decoding a label map may take.
const MOST: usize = 240 << 20;

/// Takes the label maps out of the files of a folder: those in a folder `masks` that has a folder
/// `images` beside it. True if there are any.
pub(crate) fn take(files: &mut Vec<ImageFile>) -> bool {
    let beside: BTreeSet<PathBuf> =
        files.iter().flat_map(|file| holders(&file.path, IMAGES)).collect();
    let all = files.len();
    files.retain(|file| !holders(&file.path, MASKS).any(|holder| beside.contains(&holder)));
    files.len() < all
}

/// The folders on the way to a file that hold a folder of this name on it.
fn holders(file: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let folders = file.ancestors().skip(1);
    let named = folders.filter(move |folder| folder.file_name().is_some_and(|last| last == name));
    named.filter_map(|folder| folder.parent().map(Path::to_path_buf))
}

/// Where the label map of `image`, a path below `root`, lies: under the same name with the ending
/// `png`, in the folder `masks` in place of the last folder `images`; none where it is in no such
/// folder.
pub(crate) fn beside(root: &Path, image: &Path) -> Option<PathBuf> {
    let below = image.strip_prefix(root).ok()?;
    let holder = holders(below, IMAGES).next()?;
    let rest = below.strip_prefix(holder.join(IMAGES)).ok()?;
    Some(root.join(holder).join(MASKS).join(rest).with_extension("png"))
}

/// Where the label map of `image`, a path below `root`, lies in a tree of its own: under the same
/// name with the ending `png`.
pub(crate) fn mirrored(root: &Path, masks: &Path, image: &Path) -> Option<PathBuf> {
    Some(masks.join(image.strip_prefix(root).ok()?).with_extension("png"))
}

/// Reads a label map: a PNG with a palette or of gray values, of 1 to 16 bits, whose values are the
/// classes; 255 is [`LabelMap::VOID`]. Values of fewer than 8 bits are not scaled, and the colors of
/// a palette are not read.
///
/// # Errors
///
/// When the file cannot be read or is no such PNG, and when a value is above 255; names the file.
pub fn read_label_map(path: &Path) -> Result<LabelMap> {
    let fault = |reason: String| Error::data(path, reason);
    let unreadable = |error: &dyn std::fmt::Display| {
        fault(format!("cannot be read as a label map, a PNG of classes: {error}"))
    };
    if !path.exists() {
        return Err(fault("is missing: every image needs a label map, a PNG of classes".into()));
    }
    let bytes = regular::read(path)?;
    let decoder = Decoder::new_with_limits(Cursor::new(&bytes), Limits { bytes: MOST });
    let mut reader = decoder.read_info().map_err(|error| unreadable(&error))?;
    let (color, depth) = reader.output_color_type();
    if !matches!(color, ColorType::Grayscale | ColorType::Indexed) {
        let reason = "its pixels are colors, and classes are values of a palette or gray values";
        return Err(unreadable(&reason));
    }
    let size = reader.output_buffer_size().filter(|&size| size <= MOST);
    let mut rows = vec![0; size.ok_or_else(|| unreadable(&"it is too large"))?];
    let frame = reader.next_frame(&mut rows).map_err(|error| unreadable(&error))?;
    let (width, height) = (frame.width as usize, frame.height as usize);
    let mut classes = Vec::with_capacity(width * height);
    for row in rows.chunks_exact(frame.line_size).take(height) {
        classes.extend((0..width).map(|column| value(row, column, depth)));
    }
    let most = u16::from(LabelMap::VOID);
    if let Some(class) = classes.iter().find(|&&class| class > most) {
        return Err(fault(format!(
            "has a pixel of the class {class}; classes are from 0 to {}, and {most} stands for none",
            most - 1
        )));
    }
    LabelMap::new(height, width, classes.into_iter().map(|class| class as u8).collect())
}

/// The value of a row's pixel; a byte holds the first pixel in its highest bits.
fn value(row: &[u8], column: usize, depth: BitDepth) -> u16 {
    let bits = depth as usize;
    match bits {
        16 => u16::from_be_bytes([row[2 * column], row[2 * column + 1]]),
        8 => row[column].into(),
        _ => {
            let first = column * bits;
            let byte = row[first / 8] >> (8 - bits - first % 8);
            u16::from(byte & ((1 << bits) - 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// A PNG of 5 × 2 pixels whose packed rows are these.
    fn png(color: ColorType, depth: BitDepth, rows: &[u8]) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map.png");
        let mut encoder = png::Encoder::new(fs::File::create(&path).unwrap(), 5, 2);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette([9, 9, 9].repeat(256));
        }
        encoder.write_header().unwrap().write_image_data(rows).unwrap();
        (dir, path)
    }

    #[test]
    fn values_are_classes_at_every_depth() {
        let gray = ColorType::Grayscale;
        let cases: [(ColorType, BitDepth, &[u8], [u8; 10]); 5] = [
            (gray, BitDepth::One, &[0b1010_1000, 0b0100_0000], [1, 0, 1, 0, 1, 0, 1, 0, 0, 0]),
            (
                gray,
                BitDepth::Two,
                &[0b0001_1011, 0b1000_0000, 0, 0b0100_0000],
                [0, 1, 2, 3, 2, 0, 0, 0, 0, 1],
            ),
            (
                ColorType::Indexed,
                BitDepth::Four,
                &[0x12, 0x3f, 0x40, 0, 0, 0x50],
                [1, 2, 3, 15, 4, 0, 0, 0, 0, 5],
            ),
            (
                ColorType::Indexed,
                BitDepth::Eight,
                &[0, 1, 2, 3, 255, 254, 7, 7, 7, 7],
                [0, 1, 2, 3, 255, 254, 7, 7, 7, 7],
            ),
            (
                gray,
                BitDepth::Sixteen,
                &[0, 1, 0, 2, 0, 3, 0, 4, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
                [1, 2, 3, 4, 255, 0, 0, 0, 0, 9],
            ),
        ];
        for (color, depth, rows, expected) in cases {
            let (_dir, path) = png(color, depth, rows);
            let map = read_label_map(&path).unwrap();
            assert_eq!((map.height(), map.width()), (2, 5));
            assert_eq!(map.classes(), expected, "{color:?} {depth:?}");
        }
    }

    #[test]
    fn what_is_no_label_map_is_named() {
        let message = |path: &Path| {
            let message = read_label_map(path).unwrap_err().to_string();
            assert!(message.starts_with(&path.display().to_string()), "{message}");
            message
        };
        let (dir, path) = png(ColorType::Rgb, BitDepth::Eight, &[3; 30]);
        assert!(message(&path).contains("its pixels are colors"));
        assert!(message(&dir.path().join("none.png")).contains("is missing"));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..40]).unwrap();
        assert!(message(&path).contains("cannot be read as a label map"));
        let (_dir, path) = png(ColorType::Grayscale, BitDepth::Sixteen, &[1; 20]);
        let many = message(&path);
        assert!(many.contains("has a pixel of the class 257; classes are from 0 to 254"), "{many}");
    }

    #[test]
    fn a_map_lies_beside_the_images_under_the_same_name() {
        let root = Path::new("/d");
        let of =
            |image: &str| beside(root, &root.join(image)).map(|path| path.display().to_string());
        assert_eq!(of("images/a.jpg").as_deref(), Some("/d/masks/a.png"));
        assert_eq!(of("images/train/cat/a.b.jpg").as_deref(), Some("/d/masks/train/cat/a.b.png"));
        assert_eq!(of("train/images/a.png").as_deref(), Some("/d/train/masks/a.png"));
        assert_eq!(of("cat/a.png"), None);
        let masks = Path::new("/m");
        let mirrored = mirrored(root, masks, Path::new("/d/train/a.jpg"));
        assert_eq!(mirrored.as_deref(), Some(Path::new("/m/train/a.png")));
    }

    #[test]
    fn maps_are_no_images_where_images_lie_beside_them() {
        let taken = |names: &[&str]| {
            let file = |name: &&str| ImageFile { path: name.into(), size: 1 };
            let mut files: Vec<_> = names.iter().map(file).collect();
            let found = take(&mut files);
            let left = files.iter().map(|file| file.path.display().to_string());
            (found, left.collect::<Vec<_>>())
        };
        let (found, left) = taken(&["images/a.jpg", "masks/a.png", "masks/train/b.png"]);
        assert!(found && left == ["images/a.jpg"]);
        let (found, left) = taken(&["t/images/a.jpg", "t/masks/a.png"]);
        assert!(found && left == ["t/images/a.jpg"]);
        // A class of masks, and none of images.
        let (found, left) = taken(&["hats/a.jpg", "masks/a.png"]);
        assert!(!found && left.len() == 2);
    }
}

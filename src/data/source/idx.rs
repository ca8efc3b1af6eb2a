//! IDX files, the format of MNIST and its family (<http://yann.lecun.com/exdb/mnist/>).
//!
//! Two zero bytes, the element type (8 = unsigned byte), the number of dimensions, each dimension
//! as a big-endian `u32`, then the elements, row-major.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use crate::data::source::{MemoryDataset, regular};
use crate::data::{DataOptions, ImageData, Splits};
use crate::error::{Error, Result};
use crate::grid::ImageShape;

const UNSIGNED_BYTE: u8 = 8;

/// How many bytes a gzipped file may unpack to, besides [`PER_PACKED_BYTE`] for each of its bytes.
const PACKED_BASE: u64 = 200 << 20;
/// Further bytes for each byte of a gzipped file; images of digits are packed five to one.
const PER_PACKED_BYTE: u64 = 16;

/// The data set in `folder`: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two files
/// `t10k-…`, each plain or gzipped with `.gz` after its name.
///
/// The files do not name their classes, so the names are the labels in digits. Without label files
/// a split is unlabelled, which pre-training takes.
///
/// # Errors
///
/// When a file is missing, is damaged, holds no grayscale 8-bit images, or when two files disagree
/// on the number or the size of the images.
pub fn open(folder: &Path) -> Result<ImageData> {
    splits(folder)?.open(&DataOptions::default(), &mut |_| {})
}

pub(crate) fn splits(folder: &Path) -> Result<Splits> {
    let train = Split::read(folder, "train")?;
    let test = Split::read(folder, "t10k")?;
    if train.shape != test.shape {
        let reason = format!("test images are {}, training images are {}", test.shape, train.shape);
        return Err(Error::data(test.path, reason));
    }
    let class_names = match (&train.labels, &test.labels) {
        (Some(train), test) => {
            let labels = train.iter().chain(test.iter().flatten());
            let classes = labels.max().map_or(0, |label| label + 1);
            (0..classes).map(|label| label.to_string()).collect()
        }
        // Labels of the test split alone are useless: without training labels there are no classes.
        (None, _) => Vec::new(),
    };
    let (train, test) = (train.into_dataset()?, test.into_dataset()?);
    Ok(Splits::new(Arc::new(train), Arc::new(test), class_names))
}

/// The images and labels of one split.
struct Split {
    path: PathBuf,
    shape: ImageShape,
    pixels: Vec<u8>,
    labels: Option<Vec<usize>>,
}

impl Split {
    fn read(folder: &Path, name: &str) -> Result<Self> {
        let images = format!("{name}-images-idx3-ubyte");
        let path = find(folder, &images).ok_or_else(|| {
            Error::data(folder.join(&images), "is missing, both as it is and with .gz")
        })?;
        let (dims, pixels) = read_idx(&path)?;
        let &[count, height, width] = dims.as_slice() else {
            return Err(Error::data(&path, unlike("[images, height, width]", &dims)));
        };
        if pixels.is_empty() {
            return Err(Error::data(&path, format!("holds no pixels: dimensions {dims:?}")));
        }
        let labels = match find(folder, &format!("{name}-labels-idx1-ubyte")) {
            Some(labels) => Some(read_labels(&labels, count)?),
            None => None,
        };
        Ok(Self { path, shape: ImageShape::new(1, height, width), pixels, labels })
    }

    fn into_dataset(self) -> Result<MemoryDataset> {
        MemoryDataset::new(self.shape, self.pixels, self.labels)
    }
}

fn read_labels(path: &Path, images: usize) -> Result<Vec<usize>> {
    let (dims, labels) = read_idx(path)?;
    if dims.len() != 1 {
        return Err(Error::data(path, unlike("[labels]", &dims)));
    }
    if labels.len() != images {
        let reason = format!("holds {} labels for {images} images", labels.len());
        return Err(Error::data(path, reason));
    }
    Ok(labels.into_iter().map(usize::from).collect())
}

fn unlike(expected: &str, dims: &[usize]) -> String {
    format!("has {} dimensions {dims:?}, expected {expected}", dims.len())
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join(format!("{name}.gz"))].into_iter().find(|path| path.is_file())
}

/// The dimensions and the bytes of an IDX file.
///
/// The sizes in the header are compared with the size of the file before any memory is allocated.
fn read_idx(path: &Path) -> Result<(Vec<usize>, Vec<u8>)> {
    let fault = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => "ends too early: is it cut short?".to_string(),
            _ => error.to_string(),
        };
        Error::data(path, reason)
    };
    let (file, size) = regular::open(path)?;
    let file = BufReader::new(file);
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    let mut reader: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let dims = read_dims(path, &mut reader, fault)?;
    let Some(count) = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim)) else {
        return Err(Error::data(path, format!("has impossible dimensions {dims:?}")));
    };
    let unequal = |found: String| {
        Error::data(path, format!("promises {count} elements ({dims:?}) but holds {found}"))
    };
    let held = size.saturating_sub(4 + 4 * dims.len() as u64);
    if !packed && held < count as u64 {
        return Err(unequal(held.to_string()));
    }
    let most = PACKED_BASE + PER_PACKED_BYTE.saturating_mul(size);
    if packed && count as u64 > most {
        let reason = format!(
            "promises {count} elements ({dims:?}) in {size} bytes; more than {most} are not \
             unpacked, so unpack it yourself if it is what you mean"
        );
        return Err(Error::data(path, reason));
    }
    // One byte more than expected is read, to see whether the file goes on.
    let mut bytes = Vec::with_capacity(count.saturating_add(1));
    reader.take((count as u64).saturating_add(1)).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() != count {
        let more = bytes.len() > count;
        return Err(unequal(if more { "more".to_string() } else { bytes.len().to_string() }));
    }
    Ok((dims, bytes))
}

fn read_dims(
    path: &Path,
    reader: &mut dyn Read,
    fault: impl Fn(io::Error) -> Error,
) -> Result<Vec<usize>> {
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).map_err(&fault)?;
    let [0, 0, UNSIGNED_BYTE, rank] = magic else {
        let reason =
            format!("starts with {magic:?}, expected [0, 0, 8, dimensions] (IDX of bytes)");
        return Err(Error::data(path, reason));
    };
    let mut dims = Vec::new();
    for _ in 0..rank {
        let mut dim = [0; 4];
        reader.read_exact(&mut dim).map_err(&fault)?;
        dims.push(u32::from_be_bytes(dim) as usize);
    }
    Ok(dims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
        let dims_bytes = dims.iter().flat_map(|dim| dim.to_be_bytes());
        [0, 0, 8, dims.len() as u8].into_iter().chain(dims_bytes).chain(bytes.to_vec()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Two 2×3 training images, gzipped, and one to test on, plain.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
        let pixels: Vec<u8> = (0..12).collect();
        put("train-images-idx3-ubyte.gz", gzip(&idx(&[2, 2, 3], &pixels)));
        put("train-labels-idx1-ubyte.gz", gzip(&idx(&[2], &[1, 3])));
        put("t10k-images-idx3-ubyte", idx(&[1, 2, 3], &[9; 6]));
        put("t10k-labels-idx1-ubyte", idx(&[1], &[0]));
        dir
    }

    fn message(dir: &tempfile::TempDir) -> String {
        open(dir.path()).unwrap_err().to_string()
    }

    #[test]
    fn plain_and_gzipped_files_are_read_alike() {
        let data = open(folder().path()).unwrap();
        assert_eq!(data.shape, ImageShape::new(1, 2, 3));
        let sample = data.train.get(1).unwrap();
        assert_eq!(sample.image.bytes().unwrap(), [6, 7, 8, 9, 10, 11]);
        assert_eq!(sample.label, Some(3));
        assert_eq!(data.class_names, ["0", "1", "2", "3"]);
        assert_eq!(data.test.get(0).unwrap().label, Some(0));
    }

    #[test]
    fn without_label_files_the_data_is_unlabelled() {
        let dir = folder();
        fs::remove_file(dir.path().join("t10k-labels-idx1-ubyte")).unwrap();
        let data = open(dir.path()).unwrap();
        assert_eq!(data.train.label(1).unwrap(), Some(3));
        assert_eq!((data.test.label(0).unwrap(), data.class_names.len()), (None, 4));
        fs::remove_file(dir.path().join("train-labels-idx1-ubyte.gz")).unwrap();
        let data = open(dir.path()).unwrap();
        assert_eq!(data.train.get(0).unwrap().label, None);
        assert!(data.class_names.is_empty());
    }

    #[test]
    fn a_bad_file_is_named_with_what_was_expected() {
        let dir = folder();
        let images = dir.path().join("t10k-images-idx3-ubyte");
        let cases: [(Vec<u8>, &str); 8] = [
            (b"\x89PNG".to_vec(), "ubyte: starts with [137, 80, 78, 71], expected [0, 0, 8, dim"),
            (idx(&[1, 2, 3], &[0; 5]), "promises 6 elements ([1, 2, 3]) but holds 5"),
            (idx(&[1, 2, 3], &[0; 7]), "promises 6 elements ([1, 2, 3]) but holds more"),
            (idx(&[1, 1, 2, 3], &[0; 6]), "has 4 dimensions [1, 1, 2, 3], expected [images, h"),
            (idx(&[0, 2, 3], &[]), "holds no pixels"),
            (vec![0, 0, 8, 3, 0], "ends too early"),
            (idx(&[u32::MAX; 3], &[]), "has impossible dimensions"),
            (idx(&[1, 3, 2], &[0; 6]), "test images are 1×3×2, training images are 1×2×3"),
        ];
        for (bytes, expected) in cases {
            fs::write(&images, bytes).unwrap();
            let found = message(&dir);
            assert!(found.contains("t10k-images") && found.contains(expected), "{found}");
        }
        fs::remove_file(&images).unwrap();
        assert!(message(&dir).contains("t10k-images-idx3-ubyte: is missing"));
    }

    #[test]
    fn a_cut_gzip_file_is_an_error() {
        let dir = folder();
        let path = dir.path().join("train-images-idx3-ubyte.gz");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        let found = message(&dir);
        assert!(found.contains("train-images-idx3-ubyte.gz: ends too early"), "{found}");
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused_before_memory_is_taken() {
        let dir = folder();
        let path = dir.path().join("train-images-idx3-ubyte.gz");
        fs::write(&path, gzip(&idx(&[6000, 1000, 1000], &[0; 100]))).unwrap();
        let found = message(&dir);
        assert!(found.contains("train-images-idx3-ubyte.gz: promises 6000000000"), "{found}");
        assert!(found.contains("not unpacked"), "{found}");
        fs::remove_file(&path).unwrap();
        fs::write(path.with_extension(""), idx(&[6000, 1000, 1000], &[0; 100])).unwrap();
        let found = message(&dir);
        assert!(found.ends_with("([6000, 1000, 1000]) but holds 100"), "{found}");
    }

    #[test]
    fn labels_must_fit_their_images() {
        let dir = folder();
        let labels = dir.path().join("t10k-labels-idx1-ubyte");
        fs::write(&labels, idx(&[2], &[0, 1])).unwrap();
        assert!(message(&dir).contains("t10k-labels-idx1-ubyte: holds 2 labels for 1 images"));
        fs::write(&labels, idx(&[1, 1], &[0])).unwrap();
        assert!(message(&dir).contains("has 2 dimensions [1, 1], expected [labels]"));
    }
}

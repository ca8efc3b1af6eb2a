//! Arrays that grow row by row: the number of rows is written into the header at the end.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::FeatureFormat;
use crate::error::{Error, Result};

/// The size of the header of a `.npy` file, a multiple of 64 that holds any shape.
const NPY_HEADER: usize = 256;

/// The size of the header of a safetensors file with its length, likewise.
const SAFETENSORS_HEADER: usize = 1024;

/// The files of features while they grow.
#[derive(Debug)]
pub(super) struct FeatureFiles {
    folder: PathBuf,
    files: Vec<Growing>,
    /// The shape of one image's features.
    row: Vec<usize>,
    rows: usize,
}

impl FeatureFiles {
    /// New files in `folder` for rows of the shape `row`.
    pub(super) fn new(folder: &Path, format: FeatureFormat, row: Vec<usize>) -> Result<Self> {
        let kinds: &[Kind] = match format {
            FeatureFormat::Npy => &[Kind::Npy],
            FeatureFormat::Safetensors => &[Kind::Safetensors],
            FeatureFormat::Both => &[Kind::Npy, Kind::Safetensors],
        };
        let open = |kind: &Kind| {
            let name = match kind {
                Kind::Npy => "features.npy",
                Kind::Safetensors => "features.safetensors",
            };
            Growing::new(folder.join(name), *kind)
        };
        let files = kinds.iter().map(open).collect::<Result<_>>()?;
        Ok(Self { folder: folder.into(), files, row, rows: 0 })
    }

    /// Adds whole rows.
    pub(super) fn write(&mut self, values: &[f32]) -> Result<()> {
        self.rows += values.len() / self.row.iter().product::<usize>().max(1);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.files.iter_mut().try_for_each(|file| file.write(&bytes))
    }

    /// Writes headers and labels, where there are any; yields the shape of all features.
    pub(super) fn finish(self, labels: &[Option<usize>]) -> Result<Vec<usize>> {
        let shape = [vec![self.rows], self.row].concat();
        let labelled = labels.iter().any(Option::is_some);
        let numbers = labels.iter().map(|label| label.map_or(-1, |label| label as i64));
        let labels: Vec<u8> = match labelled {
            true => numbers.flat_map(i64::to_le_bytes).collect(),
            false => Vec::new(),
        };
        for file in self.files {
            match file.kind {
                Kind::Npy => {
                    file.finish(npy_header("<f4", &shape))?;
                    if labelled {
                        let path = self.folder.join("labels.npy");
                        let mut file = Growing::new(path, Kind::Npy)?;
                        file.write(&labels)?;
                        file.finish(npy_header("<i8", &shape[..1]))?;
                    }
                }
                Kind::Safetensors => {
                    let mut file = file;
                    file.write(&labels)?;
                    file.finish(safetensors_header(&shape, labelled))?;
                }
            }
        }
        Ok(shape)
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Npy,
    Safetensors,
}

/// A file whose header is written last.
#[derive(Debug)]
struct Growing {
    path: PathBuf,
    file: BufWriter<File>,
    kind: Kind,
}

impl Growing {
    fn new(path: PathBuf, kind: Kind) -> Result<Self> {
        let room = match kind {
            Kind::Npy => NPY_HEADER,
            Kind::Safetensors => SAFETENSORS_HEADER,
        };
        let open = || {
            let mut file = BufWriter::new(File::create(&path)?);
            file.write_all(&vec![0; room])?;
            io::Result::Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self { path, file, kind }),
            Err(error) => Err(Error::data(path, error)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| Error::data(&self.path, error))
    }

    fn finish(mut self, header: Vec<u8>) -> Result<()> {
        let mut write = || {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&header)?;
            self.file.flush()?;
            self.file.get_ref().sync_all()
        };
        write().map_err(|error| Error::data(&self.path, error))
    }
}

/// The header of version 1.0 of numpy's format, padded with spaces.
fn npy_header(dtype: &str, shape: &[usize]) -> Vec<u8> {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let sides = if shape.len() > 1 { sides.trim_end_matches(", ") } else { sides.trim_end() };
    let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({sides}), }}");
    let room = NPY_HEADER - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((room as u16).to_le_bytes());
    header.extend(format!("{text:<width$}\n", width = room - 1).into_bytes());
    header
}

/// The header of a safetensors file with `features` and, after them, `labels`.
fn safetensors_header(shape: &[usize], labelled: bool) -> Vec<u8> {
    let end = shape.iter().product::<usize>() * 4;
    let mut json = json!({
        "__metadata__": { "format": "pt", "names": "names.json" },
        "features": { "dtype": "F32", "shape": shape, "data_offsets": [0, end] },
    });
    if labelled {
        let offsets = [end, end + shape[0] * 8];
        json["labels"] = json!({ "dtype": "I64", "shape": shape[..1], "data_offsets": offsets });
    }
    let room = SAFETENSORS_HEADER - 8;
    let mut header = (room as u64).to_le_bytes().to_vec();
    header.extend(format!("{:<room$}", json.to_string()).into_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    #[test]
    fn a_numpy_header_is_that_of_numpy_but_for_its_padding() {
        // numpy.lib.format.write_array_header_1_0 of these shapes.
        let text = |shape: &[usize]| {
            let header = npy_header("<f4", shape);
            assert_eq!((header.len() % 64, header.len()), (0, NPY_HEADER));
            assert_eq!(header[..8], *b"\x93NUMPY\x01\x00");
            assert_eq!(u16::from_le_bytes([header[8], header[9]]) as usize, NPY_HEADER - 10);
            assert_eq!(header.last(), Some(&b'\n'));
            String::from_utf8(header[10..].to_vec()).unwrap().trim_end().to_string()
        };
        assert_eq!(text(&[5]), "{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }");
        assert_eq!(text(&[5, 7]), "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 7), }");
        assert!(text(&[usize::MAX; 4]).ends_with("), }"));
    }

    #[test]
    fn rows_and_labels_are_read_back_by_the_safetensors_crate() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = FeatureFiles::new(folder.path(), FeatureFormat::Both, vec![2, 3]).unwrap();
        let values: Vec<f32> = (0..18).map(|value| value as f32).collect();
        files.write(&values[..12]).unwrap();
        files.write(&values[12..]).unwrap();
        assert_eq!(files.finish(&[Some(4), None, Some(0)]).unwrap(), [3, 2, 3]);
        let bytes = std::fs::read(folder.path().join("features.safetensors")).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        let features = read.tensor("features").unwrap();
        assert_eq!(features.shape(), [3, 2, 3]);
        let as_bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(features.data(), as_bytes);
        let labels: Vec<i64> = (read.tensor("labels").unwrap().data().chunks(8))
            .map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap()))
            .collect();
        assert_eq!(labels, [4, -1, 0]);
        let npy = std::fs::read(folder.path().join("features.npy")).unwrap();
        assert_eq!(npy[NPY_HEADER..], as_bytes);
        let labels = std::fs::read(folder.path().join("labels.npy")).unwrap();
        assert_eq!(labels.len(), NPY_HEADER + 24);
    }
}

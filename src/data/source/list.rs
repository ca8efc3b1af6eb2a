//! Images that are only looked at: every image file below a folder, in order, without classes.

use std::path::Path;

use burn::data::dataset::{Dataset, DatasetError};

use crate::data::OnBadImage;
use crate::data::sample::{ImageDataset, Sample};
use crate::data::source::folder::{FolderDataset, IMAGE_FILES, listed};
use crate::data::source::layout::Part;
use crate::data::source::noun::IMAGES;
use crate::data::source::walk::ImageFile;
use crate::error::{Error, Result};

/// All images below a folder, or a single one, by their paths below it, sorted.
///
/// Folders mean nothing here: neither splits nor classes are looked for, and no image has a label.
/// Each image has the channels of its file.
#[derive(Debug, Clone)]
pub struct ImageList {
    images: FolderDataset,
    names: Vec<String>,
    notes: Vec<String>,
}

impl ImageList {
    /// Lists the images below the folder `path`, or the one file there. Names are paths below the
    /// folder with `/` between their parts. No image is read.
    ///
    /// # Errors
    ///
    /// When there is no such folder or no image in it, and unless bad images are skipped when one is
    /// empty or a link that leads nowhere.
    pub fn of(path: &Path, on_bad_image: OnBadImage) -> Result<Self> {
        let (folder, files, notes) = match path.is_file() {
            true => {
                let fault = || Error::data(path, "is no file in a folder");
                let name = path.file_name().ok_or_else(fault)?;
                let size = path.metadata().map_err(|error| Error::data(path, error))?.len();
                let files = vec![ImageFile { path: name.into(), size }];
                (path.parent().unwrap_or(Path::new("")), files, Vec::new())
            }
            false => {
                let (files, notes) = listed(path, &IMAGE_FILES, on_bad_image, &mut |_| {})?;
                (path, files, notes)
            }
        };
        let name = |file: &ImageFile| {
            let parts: Vec<_> = file.path.iter().map(|part| part.to_string_lossy()).collect();
            parts.join("/")
        };
        let names = files.iter().map(name).collect();
        let part = Part { noun: IMAGES, folder: folder.into(), files };
        Ok(Self { images: FolderDataset::new(&part, |_| None, |_| None), names, notes })
    }
}

impl Dataset<Sample> for ImageList {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        self.images.get(index)
    }

    fn len(&self) -> usize {
        self.names.len()
    }
}

impl ImageDataset for ImageList {
    fn label(&self, _index: usize) -> Result<Option<usize>> {
        Ok(None)
    }

    fn name(&self, index: usize) -> String {
        self.names[index].clone()
    }

    fn notes(&self) -> Vec<String> {
        [self.notes.clone(), self.images.notes()].concat()
    }

    fn identity(&self) -> String {
        self.images.identity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Rgb};
    use std::fs;

    #[test]
    fn images_are_listed_by_their_paths_whatever_their_folders_are_called() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["train/cat/2.png", "train/10.png", "test/a.png", "b.png"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            ImageBuffer::from_pixel(4, 3, Rgb([9u8, 8, 7])).save(path).unwrap();
        }
        fs::write(dir.path().join("notes.txt"), "x").unwrap();
        let list = ImageList::of(dir.path(), OnBadImage::Error).unwrap();
        let names: Vec<_> = (0..list.len()).map(|index| list.name(index)).collect();
        assert_eq!(names, ["b.png", "test/a.png", "train/10.png", "train/cat/2.png"]);
        assert_eq!(list.get(3).unwrap().label, None);
        assert_eq!(list.notes(), ["not images, and left out: 1 .txt"]);
        let one = ImageList::of(&dir.path().join("train/10.png"), OnBadImage::Error).unwrap();
        assert_eq!((one.len(), one.name(0)), (1, "10.png".to_string()));
        assert_eq!(one.get(0).unwrap().image.shape().height, 3);
    }

    #[test]
    fn what_holds_no_image_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = |path: &Path| ImageList::of(path, OnBadImage::Error).unwrap_err().to_string();
        assert!(message(dir.path()).contains("holds no images; their names end in one of"));
        assert!(message(&dir.path().join("none")).contains("none: "));
        fs::write(dir.path().join("a.png"), []).unwrap();
        assert!(message(dir.path()).contains("a.png: is an empty file"));
        let skipped = ImageList::of(dir.path(), OnBadImage::Skip).unwrap();
        assert_eq!(skipped.len(), 1);
    }
}

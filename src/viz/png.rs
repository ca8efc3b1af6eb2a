//! Pictures as PNG files that are whole or absent.

use std::fmt;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};

use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::viz::picture::Picture;

impl Picture {
    /// The picture as the bytes of a PNG file, the same for the same picture.
    ///
    /// # Errors
    ///
    /// When the picture has no pixel or is too large for the format.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let fault = |why: &dyn fmt::Display| {
            Error::config(format!("{self:?} cannot be encoded as PNG: {why}"))
        };
        let side = |pixels: usize| u32::try_from(pixels).map_err(|e| fault(&e));
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(
                self.as_bytes(),
                side(self.width())?,
                side(self.height())?,
                ExtendedColorType::Rgb8,
            )
            .map_err(|e: ImageError| fault(&e))?;
        Ok(png)
    }

    /// Writes the picture to the PNG file `path`: complete under its name, or not at all.
    ///
    /// A file of that name is replaced. The folder must exist.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; names `path`, and the folder if that is what is missing.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let png = self.to_png()?;
        write_whole(path, &png).map_err(|error| Error::data(path, error))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_saved_picture_reads_back_and_leaves_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        fs::write(&path, "an older file").unwrap();
        let picture = Picture::from_fn(5, 3, |x, y| [x as u8, y as u8, 200]);
        picture.save(&path).unwrap();
        let read = image::open(&path).unwrap().to_rgb8();
        assert_eq!((read.width(), read.height()), (5, 3));
        assert_eq!(read.as_raw().as_slice(), picture.as_bytes());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_picture_that_cannot_be_written_names_the_path_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nowhere");
        let message = Picture::filled(1, 1, [0; 3]).save(missing.join("a.png")).unwrap_err();
        assert!(message.to_string().contains("a.png: cannot be written"), "{message}");
        assert!(message.to_string().contains(&format!("the folder {}", missing.display())));

        let taken = folder.path().join("a_folder");
        fs::create_dir_all(taken.join("with_content")).unwrap();
        let message = Picture::filled(1, 1, [0; 3]).save(&taken).unwrap_err();
        assert!(message.to_string().contains("a_folder: cannot be written"), "{message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

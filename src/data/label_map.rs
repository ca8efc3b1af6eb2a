//! The classes of an image's pixels.

use crate::error::{Error, Result};

/// The class of every pixel of an image: what segmentation is measured on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMap {
    height: usize,
    width: usize,
    classes: Vec<u8>,
}

impl LabelMap {
    /// The class of pixels that count for nothing.
    pub const VOID: u8 = 255;

    /// A map from the classes of all pixels, row by row.
    ///
    /// # Errors
    ///
    /// When there is not one class a pixel.
    pub fn new(height: usize, width: usize, classes: Vec<u8>) -> Result<Self> {
        if classes.len() != height * width {
            return Err(Error::config(format!(
                "a label map of {height}×{width} pixels holds {} classes, got {}",
                height * width,
                classes.len()
            )));
        }
        Ok(Self { height, width, classes })
    }

    /// Rows of pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All classes, row by row.
    pub fn classes(&self) -> &[u8] {
        &self.classes
    }
}

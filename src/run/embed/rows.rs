//! The features of a batch, which one process of several computes and the first one writes.

use serde::{Deserialize, Serialize};

use crate::train::Piece;

/// The features of a batch, one image after the other.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) about: AboutRows,
    pub(super) values: Vec<f32>,
}

/// What there is to say of them: all that is said of an [`ImageBatch`](crate::data::ImageBatch).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AboutRows {
    /// The shape of the features of an image; `None` where no image of the batch can be read.
    pub(super) shape: Option<Vec<usize>>,
    pub(super) places: Vec<usize>,
    pub(super) labels: Vec<Option<usize>>,
    pub(super) faults: Vec<String>,
}

impl Piece for Rows {
    type About = AboutRows;

    fn apart(self) -> (AboutRows, Vec<f32>) {
        (self.about, self.values)
    }

    fn whole(about: AboutRows, values: Vec<f32>) -> Self {
        Self { about, values }
    }
}

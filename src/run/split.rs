//! The features that a protocol reads.

use crate::eval::Features;

/// Features of one seed's training images and of the test images.
#[derive(Debug, Clone)]
pub struct Split {
    /// The features that a protocol learns from.
    pub train: Features,
    /// The features that it is measured on.
    pub test: Features,
}

impl Split {
    /// The features of the same images side by side.
    pub(super) fn beside(all: &[Self]) -> Self {
        let of = |part: fn(&Self) -> &Features| {
            Features::beside(&all.iter().map(part).cloned().collect::<Vec<_>>())
        };
        Self { train: of(|split| &split.train), test: of(|split| &split.test) }
    }
}

//! Dense read-outs: what the features of cells tell of the pixels they stand for.

mod features;
mod segmentation;

pub use features::{DenseFeatures, DenseImages, map_classes};
pub use segmentation::{SegmentationProbe, SegmentationResult};

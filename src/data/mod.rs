//! From image files to batches.

pub mod augment;
mod bad_image;
mod collate;
mod epoch;
mod loader;
mod options;
mod pixels;
mod plan;
mod sample;
mod scan;
pub mod source;
mod spec;
mod splits;
mod subset;
#[cfg(feature = "run")]
pub(crate) mod tiles;
mod verify;

pub use crate::image::ChannelStatistics;
pub use bad_image::BadImage;
pub use collate::MimCollate;
pub(crate) use collate::Rendering;
pub use epoch::Epoch;
pub use loader::{Collate, Item, Loader, LoaderConfig};
pub use options::{Channels, DataOptions, OnBadImage, OpenProgress, OpenStep};
pub use pixels::Pixels;
pub(crate) use sample::data_error;
pub use sample::{Image, ImageDataset, Sample};
pub(crate) use scan::scan;
pub use spec::DataSpec;
pub use splits::{ImageData, Splits};
pub use subset::Subset;
pub(crate) use subset::{by_class, labels};

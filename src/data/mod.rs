//! From image files to batches.

pub mod augment;
mod bad_image;
mod collate;
mod context;
pub mod corrupt;
mod epoch;
mod image_gpt;
mod loader;
mod options;
mod plan;
mod restoration;
mod sample;
mod scan;
pub mod source;
mod spec;
mod splits;
mod subset;
mod tokenizer_collate;
mod verify;

pub use crate::image::ChannelStatistics;
pub use bad_image::BadImage;
pub use collate::MimCollate;
pub use context::ContextCollate;
pub use epoch::Epoch;
pub use image_gpt::ImageGptCollate;
pub use loader::{Collate, Item, Loader, LoaderConfig};
pub use options::{Channels, DataOptions, OnBadImage, OpenProgress, OpenStep};
pub use restoration::RestorationCollate;
pub(crate) use sample::data_error;
pub use sample::{Image, ImageDataset, Sample};
pub(crate) use scan::scan;
pub use spec::DataSpec;
pub use splits::{ImageData, Splits};
pub use subset::Subset;
pub(crate) use subset::{by_class, labels};
pub use tokenizer_collate::TokenizerCollate;

//! From image files to batches.

pub mod augment;
mod collate;
mod context;
pub mod corrupt;
mod image_gpt;
mod loader;
mod options;
mod restoration;
mod sample;
pub mod source;
mod spec;
mod splits;
mod subset;
mod tokenizer_collate;

pub use collate::MimCollate;
pub use context::ContextCollate;
pub use image_gpt::ImageGptCollate;
pub use loader::{Collate, Epoch, Item, Loader, LoaderConfig};
pub use options::{Channels, DataOptions, OnBadImage, OpenProgress, OpenStep};
pub use restoration::RestorationCollate;
pub(crate) use sample::data_error;
pub use sample::{ChannelStatistics, Image, ImageDataset, Sample};
pub use spec::DataSpec;
pub use splits::{ImageData, Splits};
pub use subset::Subset;
pub(crate) use subset::{by_class, labels};
pub use tokenizer_collate::TokenizerCollate;

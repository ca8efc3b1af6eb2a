//! From image files to batches.

pub mod augment;
mod collate;
mod context;
pub mod corrupt;
mod image_gpt;
mod loader;
mod restoration;
mod sample;
pub mod source;
mod spec;
mod tokenizer_collate;

pub use collate::MimCollate;
pub use context::ContextCollate;
pub use image_gpt::ImageGptCollate;
pub use loader::{Collate, Epoch, Item, Loader, LoaderConfig};
pub use restoration::RestorationCollate;
pub(crate) use sample::data_error;
pub use sample::{ChannelStatistics, Image, ImageData, Sample};
pub use spec::DataSpec;
pub use tokenizer_collate::TokenizerCollate;

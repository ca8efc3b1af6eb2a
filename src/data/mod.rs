//! From image files to batches.

pub mod augment;
mod collate;
mod loader;
mod sample;
pub mod source;
mod spec;
mod tokenizer_collate;

pub use collate::MimCollate;
pub use loader::{Collate, Epoch, Item, Loader, LoaderConfig};
pub use sample::{ChannelStatistics, Image, ImageData, Sample};
pub use spec::DataSpec;
pub use tokenizer_collate::TokenizerCollate;

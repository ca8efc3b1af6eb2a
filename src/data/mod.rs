//! From image files and arrays to batches.
//!
//! [`DataSpec`] opens folders and archives; arrays in memory are a data set as they are.
//!
//! ```
//! use std::sync::Arc;
//!
//! use burn::tensor::Device;
//! use burn_mim::data::augment::Augmentation;
//! use burn_mim::data::source::MemoryDataset;
//! use burn_mim::data::{ChannelStatistics, Loader, LoaderConfig, MimCollate};
//! use burn_mim::{Grid, ImageShape, RandomMask};
//!
//! // Eight images of twelve 16-bit channels; `u8` and `f32` go through the same calls.
//! let shape = ImageShape::new(12, 16, 16);
//! let pixels = (0..8 * shape.values()).map(|at| (at * 37 % 65536) as u16).collect();
//! let images = MemoryDataset::new(shape, pixels, None)?;
//! let statistics = ChannelStatistics::of(&images, 1000)?;
//! let mask = RandomMask::mae(Grid::new(4, 4), 0.75)?;
//! let collate = MimCollate::new(shape, &statistics, Augmentation::mae(), Arc::new(mask))?;
//! let config = LoaderConfig { batch_size: 4, seed: 0, workers: 1, training: true };
//! let loader = Loader::new(Arc::new(images), collate, config, &Device::flex())?;
//! let batch = loader.epoch(0, 0).next().expect("there are two batches")?;
//! assert_eq!(batch.images.dims(), [4, 12, 16, 16]);
//! # Ok::<(), burn_mim::Error>(())
//! ```

pub mod augment;
mod bad_image;
mod batch_masks;
mod collate;
mod epoch;
mod fork;
mod label_map;
mod loaded;
mod loader;
mod looked_at;
mod open;
mod options;
mod pack;
mod packed;
mod pixels;
mod preprocess;
mod sample;
mod scan;
pub mod source;
mod spec;
mod splits;
mod statistics;
mod subset;
mod sums;
#[cfg(feature = "run")]
pub(crate) mod tiles;
mod verify;

pub use crate::image::ChannelStatistics;
pub use bad_image::BadImage;
pub(crate) use batch_masks::BatchMasks;
pub use collate::MimCollate;
pub use epoch::Epoch;
pub use label_map::LabelMap;
pub use loaded::Loaded;
pub use loader::{Collate, Item, Loader, LoaderConfig};
pub use looked_at::{ImageBatch, ImageCollate};
pub use options::{Channels, DataOptions, OnBadImage, OpenProgress, OpenStep};
pub use pack::{PackOptions, Packed};
pub(crate) use packed::images;
pub use pixels::Pixels;
pub(crate) use preprocess::Preprocess;
pub(crate) use sample::data_error;
pub use sample::{Image, ImageDataset, Sample, SampleFile};
pub(crate) use scan::scan;
pub use spec::DataSpec;
pub use splits::{ImageData, Splits};
pub use subset::Subset;
pub(crate) use subset::{by_class, labels};

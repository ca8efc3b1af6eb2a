//! Whole runs in a few calls: pre-training by any method, and evaluation of any encoder.
//!
//! [`Run`] trains a [`Method`](crate::method::Method) on an
//! [`ImageData`](crate::data::ImageData). Its folder loads as a [`LoadedRun`], whose encoder an
//! [`Evaluation`] measures by the protocols of [`eval`](crate::eval).
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use std::sync::Arc;
//!
//! use burn::tensor::Device;
//! use burn_mim::data::{ImageData, source::MemoryDataset};
//! use burn_mim::eval::Knn;
//! use burn_mim::run::{Evaluation, Run, Subject};
//! use burn_mim::train::{Recipe, RunFolder};
//! use burn_mim::{ImageShape, MaskConfig, SimMimConfig, VitConfig};
//!
//! // Dark images are of class 0, bright ones of class 1.
//! let shape = ImageShape::square(1, 16);
//! let images = |count: usize| {
//!     let pixels = (0..count * shape.values()).map(|i| {
//!         let brightness = i / shape.values() % 2 * 150;
//!         (brightness + i * i % 100) as u8
//!     });
//!     let labels = (0..count).map(|image| image % 2).collect();
//!     MemoryDataset::new(shape, pixels.collect(), Some(labels))
//! };
//! let classes = vec!["dark".to_string(), "bright".to_string()];
//! let data = ImageData::new(Arc::new(images(16)?), Arc::new(images(8)?), classes)?;
//!
//! // Pre-training, which reads no label. Every choice of a run is a public field.
//! let mask = MaskConfig::Simmim { unit: 8, ratio: 0.5 };
//! let simmim = SimMimConfig::new(VitConfig::new(shape, 4, 32, 1, 2)).with_mask(mask);
//! # let folder = tempfile::tempdir().unwrap();
//! # let out = folder.path().join("simmim");
//! # /*
//! let out = "runs/simmim";
//! # */
//! let device = Device::flex();
//! let mut run = Run::new(data, out, &device);
//! run.batch_size = 8;
//! run.recipe = Some(Recipe::simmim().with_epochs(1).with_warmup_epochs(0.0));
//! run.pretrain(&simmim)?;
//! assert!(run.out.join("reconstruction.png").exists());
//!
//! // The encoder, measured by its nearest neighbors.
//! let folder = RunFolder::new(&run.out);
//! let encoder = folder.load::<SimMimConfig>(&device)?.into_encoder(&folder);
//! let evaluation = Evaluation::new(&encoder, &run.data, &device);
//! let splits = evaluation.splits(Subject::Given)?;
//! let knn = Knn { neighbors: vec![3], ..Knn::default() };
//! let scores = evaluation.knn(&knn, Subject::Given, &splits)?;
//! assert!(scores[0].top1().mean > 50.0);
//! # }
//! # Ok::<(), burn_mim::Error>(())
//! ```

pub mod apply;
mod backbone;
mod cell_readouts;
mod device;
mod document;
mod embed;
mod encoder_spec;
mod estimate;
mod evaluate;
mod export;
mod extraction;
mod few;
mod fine_tuned;
mod fine_tuning;
mod helpers;
mod init_from;
mod inspect;
mod layers;
mod loaded;
mod new_folder;
mod predict;
mod pretrain;
mod probe;
mod protocol;
mod published;
mod quality;
mod reading;
mod readouts;
mod refinement;
mod score_card;
mod skeleton;
mod split;
mod subject;
mod watch;

pub use crate::method::{
    InitFrom, InitPart, LoadedRun, NormalizationOf, RefineStage, Run, RunConfig,
};
pub use backbone::BackboneSource;
pub use device::device_named;
pub use document::{Draft, Knobs, RunDocument};
pub use embed::{Embed, EmbedOptions, Embedded, FeatureFormat, Joined, Kept};
pub use encoder_spec::EncoderSpec;
pub use estimate::{Estimate, Memory};
pub use evaluate::Evaluation;
pub use export::{Export, Exported};
pub use fine_tuned::{FineTuned, FineTunedConfig, FineTunedVisitor};
pub use inspect::{CheckpointFacts, Inspection, ModelFacts, RunFacts, inspect};
pub use loaded::{BackboneVisitor, LoadedBackbone};
pub use predict::{Likely, Predict, Prediction};
pub use protocol::Protocol;
pub use reading::{Plan, Scores};
#[cfg(feature = "cli")]
pub(crate) use refinement::{REFINE, refine_document, refine_draft, refined_variant};
pub use split::Split;
pub use subject::Subject;

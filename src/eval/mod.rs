//! Evaluation of an encoder: classification on top of its features, by the papers' protocols.
//!
//! Every protocol takes any [`Backbone`](crate::Backbone) and uses nothing but its features:
//!
//! - [`Knn`]: the most similar training images vote; nothing is trained.
//! - [`LogisticRegression`] and [`LinearProbe`]: one linear layer on frozen features, solved
//!   without hyperparameters, or trained by the papers' optimizer.
//! - [`AttentiveProbe`]: learned queries choose what to read of each image's cells, for encoders
//!   whose knowledge is spread over them.
//! - [`SegmentationProbe`]: the class of every pixel from the features of cells, linear and by
//!   nearest neighbors.
//! - [`FineTuning`]: the encoder is trained further, as a whole or its last blocks.
//!
//! What no encoder has to be trained for, [`Handmade`] features, goes the same way beside it.
//!
//! [`Features`] are extracted once, and every protocol that needs no gradient reads them.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use std::sync::Arc;
//!
//! use burn::tensor::Device;
//! use burn_mim::data::source::MemoryDataset;
//! use burn_mim::data::{ImageData, Loader, LoaderConfig};
//! use burn_mim::eval::{Features, Knn, LabelledCollate, LogisticRegression, Pooling, TestResult};
//! use burn_mim::nn::InitialWeights;
//! use burn_mim::{ImageShape, VitConfig};
//!
//! // Dark images are of class 0, bright ones of class 1.
//! let shape = ImageShape::square(1, 8);
//! let images = |count: usize| {
//!     let pixels = (0..count * shape.values()).map(|i| {
//!         let brightness = i / shape.values() % 2 * 150;
//!         (brightness + i * i % 100) as u8
//!     });
//!     let labels = (0..count).map(|image| image % 2).collect();
//!     MemoryDataset::new(shape, pixels.collect(), Some(labels))
//! };
//! let classes = vec!["dark".to_string(), "bright".to_string()];
//! let data = ImageData::new(Arc::new(images(20)?), Arc::new(images(10)?), classes)?;
//!
//! // The features of both splits. Here the encoder has random weights; yours comes from a run.
//! let device = Device::flex();
//! let encoder = VitConfig::new(shape, 4, 32, 1, 2).init(&mut InitialWeights::new(0, &device));
//! let features = |dataset| {
//!     let collate = LabelledCollate::new(shape, &data.statistics, 2)?;
//!     let config = LoaderConfig { batch_size: 5, seed: 0, workers: 0, training: false };
//!     Features::extract(&encoder, &Loader::new(dataset, collate, config, &device)?, Pooling::Mean)
//! };
//! let (train, test) = (features(data.train.clone())?, features(data.test.clone())?);
//!
//! let probe = LogisticRegression::default().fit(&train)?;
//! assert_eq!(probe.test(&test).top1, 100.0);
//! let knn = Knn { neighbors: vec![3], ..Knn::default() };
//! let votes = knn.scores(&train, &test)?.remove(0);
//! assert_eq!(TestResult::new(votes, &test.labels).top1, 100.0);
//! # }
//! # Ok::<(), burn_mim::Error>(())
//! ```

mod attentive;
#[cfg(feature = "viz")]
mod card;
mod cell_source;
mod cells;
mod classification;
mod dense;
mod erase;
mod features;
mod finetune;
mod fitting;
mod handmade;
mod knn;
mod labelled;
mod labels;
mod linear;
mod logistic;
mod metrics;
mod mix;
mod probe;
mod quality;
mod roc;
mod score;
mod subset;
mod turns;

pub use attentive::{AttentiveClassifier, AttentiveProbe, CellQueries};
#[cfg(feature = "viz")]
pub use card::{LabelledPicture, NeighborRow, ScoreCard};
pub use cell_source::CellSource;
pub use cells::CellFeatures;
pub use classification::Classification;
pub use dense::{DenseFeatures, DenseImages, SegmentationProbe, SegmentationResult, map_classes};
pub use erase::RandomErasing;
pub use features::{Features, Pooling};
pub use finetune::FineTuning;
pub use handmade::Handmade;
pub use knn::{Knn, Neighbor, nearest};
pub use labelled::{LabelledBatch, LabelledCollate};
pub(crate) use labels::require_labels;
pub use linear::LinearClassifier;
pub use logistic::LogisticRegression;
pub use metrics::{ConfusionMatrix, Summary, TestResult};
pub use mix::{Mix, Mixing};
pub use probe::LinearProbe;
pub use quality::{Lidar, rank_me};
pub use roc::area_under_roc;
pub use score::Score;
pub(crate) use subset::share_of;
pub use subset::{Labels, held_out, labelled_share};

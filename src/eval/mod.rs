//! Evaluation of an encoder: classification on top of its features, by the papers' protocols.
//!
//! Every protocol takes any [`Backbone`](crate::Backbone) and uses nothing but its features:
//!
//! - [`Knn`]: the most similar training images vote; nothing is trained.
//! - [`LogisticRegression`] and [`LinearProbe`]: one linear layer on frozen features, solved
//!   without hyperparameters, or trained by the papers' optimizer.
//! - [`FineTuning`]: the encoder is trained further, as a whole or its last blocks.
//!
//! [`Features`] are extracted once, and every protocol that needs no gradient reads them.

#[cfg(feature = "viz")]
mod card;
mod classification;
mod erase;
mod features;
mod finetune;
mod knn;
mod labelled;
mod labels;
mod linear;
mod logistic;
mod metrics;
mod mix;
mod probe;
mod score;
mod subset;

#[cfg(feature = "viz")]
pub use card::{LabelledPicture, NeighborRow, ScoreCard};
pub use classification::Classification;
pub use erase::RandomErasing;
pub use features::{Features, Pooling};
pub use finetune::FineTuning;
pub use knn::{Knn, Neighbor, nearest};
pub use labelled::{LabelledBatch, LabelledCollate};
pub(crate) use labels::require_labels;
pub use linear::LinearClassifier;
pub use logistic::LogisticRegression;
pub use metrics::{ConfusionMatrix, Summary, TestResult};
pub use mix::{Mix, Mixing};
pub use probe::LinearProbe;
pub use score::Score;
pub use subset::labelled_share;

//! What an encoder is worth: classification on top of it, by the papers' protocols.
//!
//! All of them read any [`Backbone`](crate::Backbone) and compare nothing but its features:
//!
//! - [`Knn`]: the most similar training images vote; nothing is trained.
//! - [`LogisticRegression`] and [`LinearProbe`]: one linear layer on frozen features, solved without
//!   anything to tune, or by the papers' optimizer.
//! - [`FineTuning`]: the encoder is trained on, whole or from some block on.
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

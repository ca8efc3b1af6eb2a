//! Pretext tasks: whatever turns a batch of images into a self-supervised loss.

mod choice;
mod config;
mod context;
mod mae;
mod mim;
mod selfie;
mod simmim;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

pub use config::TaskConfig;
pub use context::{
    ColorGuard, ContextBatch, ContextConfig, ContextPrediction, NEIGHBORS, PatchPairs,
};
pub use mae::{Mae, MaeConfig};
pub use mim::Mim;
pub use selfie::{AttentionPooling, Selfie, SelfieConfig};
pub use simmim::{SimMim, SimMimConfig};

/// The only thing training knows of a model.
pub trait PretextTask: Module + ModuleDisplay {
    /// What the loader yields.
    type Batch: Send + 'static;

    /// The loss of a batch.
    fn loss(&self, batch: Self::Batch) -> TaskOutput;

    /// The loss of the best prediction that does not look at the images, if there is one: a
    /// trained model must be well below it.
    fn trivial_loss(&self, batch: &Self::Batch) -> Option<Tensor<1>> {
        let _ = batch;
        None
    }
}

/// What a step yields; tensors stay on the device until somebody reads them.
#[derive(Debug, Clone)]
pub struct TaskOutput {
    /// The scalar to minimise.
    pub loss: Tensor<1>,
    /// Named scalars to watch, such as an accuracy.
    pub metrics: Vec<(&'static str, Tensor<1>)>,
}

impl From<Tensor<1>> for TaskOutput {
    fn from(loss: Tensor<1>) -> Self {
        Self { loss, metrics: Vec::new() }
    }
}

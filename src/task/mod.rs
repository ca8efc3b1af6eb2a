//! Pretext tasks: whatever turns a batch of images into a self-supervised loss.

mod choice;
mod contrast;
mod mim;
mod network;
mod observed;
mod sigreg;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{FloatDType, Tensor};

pub(crate) use choice::{choose, guessing, measure_choice};
pub(crate) use contrast::contrast;
pub use mim::Mim;
pub(crate) use mim::{encode_in, predict_in};
pub use network::Network;
pub use observed::Observed;
pub(crate) use observed::tensors;
pub use sigreg::SigReg;

use crate::error::{Error, Result, ensure};

/// A model that can be trained without labels: all that training knows of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pretext task",
    note = "a `Mim<Encoder, Head, Target>` is one if its head reads what its encoder computes: \
            encoders that drop hidden patches need `Decoder`, those that replace them `LinearHead`"
)]
pub trait PretextTask: Module + ModuleDisplay {
    /// The batches that the loader yields.
    type Batch: Send + 'static;

    /// What [`after_step`](Self::after_step) needs to know of a batch, without gradient; `()` where
    /// it needs nothing.
    type Observed: Observed;

    /// The loss of a batch. A training step computes this and nothing else.
    fn loss(&self, batch: Self::Batch) -> TaskOutput<Self::Observed>;

    /// The loss with the network's arithmetic in `dtype`, for mixed precision. The parameters keep
    /// their own type, and so do what is predicted for the loss and the gradients that come back.
    ///
    /// # Errors
    ///
    /// When the task computes only in the type of its parameters, as the default does.
    fn loss_in(&self, batch: Self::Batch, dtype: FloatDType) -> Result<TaskOutput<Self::Observed>> {
        let _ = batch;
        let fault = format!("this task cannot be trained in mixed precision, {dtype:?}");
        Err(Error::config(fault))
    }

    /// The loss of a batch with further metrics, for validation. Default: the loss alone
    fn measure(&self, batch: Self::Batch) -> Measured {
        self.loss(batch).loss.into()
    }

    /// The loss of the best prediction that does not look at the images, if there is one: a
    /// trained model must be well below it.
    fn trivial_loss(&self, batch: &Self::Batch) -> Option<Tensor<1>> {
        let _ = batch;
        None
    }

    /// Updates the parts of the task that no gradient moves, such as a codebook, a temperature or a
    /// teacher, after a training step. Keep them in parameters (without gradient), so that
    /// checkpoints include them. Default: nothing changes
    fn after_step(self, step: StepEnd<Self::Observed>) -> Self {
        let _ = step;
        self
    }

    /// The number of layers between the parameter at this path and the output, for layer-wise decay
    /// of the learning rate. Default: 0
    fn layers_above(&self, parameter: &str) -> usize {
        let _ = parameter;
        0
    }
}

/// What a finished training step tells [`PretextTask::after_step`].
#[derive(Debug)]
pub struct StepEnd<O = ()> {
    /// The finished share of the run's steps, in (0, 1].
    pub progress: f64,
    /// [`TaskOutput::observed`] of each batch of the step.
    pub observed: Vec<O>,
}

/// What a batch of a training step yields; tensors stay on the device until somebody reads them.
#[derive(Debug, Clone)]
pub struct TaskOutput<O = ()> {
    /// The scalar to minimize.
    pub loss: Tensor<1>,
    /// What [`PretextTask::after_step`] needs to know of this batch; carries no gradient.
    pub observed: O,
}

impl From<Tensor<1>> for TaskOutput {
    fn from(loss: Tensor<1>) -> Self {
        Self { loss, observed: () }
    }
}

/// How good a task is on a batch.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The scalar that training minimizes.
    pub loss: Tensor<1>,
    /// Named scalars, such as an accuracy.
    pub metrics: Vec<(&'static str, Tensor<1>)>,
    /// Vectors that must not become the same for all images, by name, such as a student's `feature`
    /// and a teacher's `target`: `[vectors, width]`, best one an image, before anything normalizes
    /// them over the batch. Of the first 1024 of a validation a run measures `NAME_spread`, 0 where
    /// all point the same way and about 1 where they point everywhere, and `NAME_rank_me`; below a
    /// spread of 0.05 it says that it has collapsed.
    pub embeddings: Vec<(&'static str, Tensor<2>)>,
}

impl Measured {
    /// A loss and metrics, without embeddings.
    pub fn new(
        loss: Tensor<1>,
        metrics: impl IntoIterator<Item = (&'static str, Tensor<1>)>,
    ) -> Self {
        Self { loss, metrics: metrics.into_iter().collect(), embeddings: Vec::new() }
    }
}

impl From<Tensor<1>> for Measured {
    fn from(loss: Tensor<1>) -> Self {
        Self::new(loss, [])
    }
}

/// Refuses a task's `name`, a loss or a metric, of more than one number.
#[cfg_attr(not(feature = "train"), allow(dead_code, reason = "training asks for it"))]
pub(crate) fn check_scalar(name: &str, tensor: &Tensor<1>) -> Result<()> {
    let [values] = tensor.dims();
    ensure!(values == 1, "a task's {name} must be one number, got {values}: take their mean");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn a_loss_or_metric_of_several_numbers_is_refused_with_its_name_and_count() {
        let vector = |values| Tensor::<1>::zeros([values], &test_device());
        assert!(check_scalar("loss", &vector(1)).is_ok());
        let message = check_scalar("loss", &vector(8)).unwrap_err().to_string();
        assert!(message.ends_with("a task's loss must be one number, got 8: take their mean"));
        let message = check_scalar("top1", &vector(4)).unwrap_err().to_string();
        assert!(message.contains("a task's top1 must be one number, got 4"), "{message}");
    }
}

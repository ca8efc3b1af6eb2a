//! Pretext tasks: whatever turns a batch of images into a self-supervised loss.

mod choice;
mod mim;
mod network;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{FloatDType, Tensor};

pub(crate) use choice::{choose, guessing};
pub use mim::Mim;
pub use network::Network;

use crate::error::{Error, Result};

/// The only thing training knows of a model.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pretext task",
    note = "a `Mim<Encoder, Head, Target>` is one if its head reads what its encoder computes: \
            encoders that drop hidden patches need `Decoder`, those that replace them `LinearHead`"
)]
pub trait PretextTask: Module + ModuleDisplay {
    /// What the loader yields.
    type Batch: Send + 'static;

    /// The loss of a batch.
    fn loss(&self, batch: Self::Batch) -> TaskOutput;

    /// The loss with the network's arithmetic in `dtype`, for mixed precision. The parameters keep
    /// their own type, and so do what is predicted for the loss and the gradients that come back.
    ///
    /// # Errors
    ///
    /// When the task computes in its parameters' type alone; so says the default.
    fn loss_in(&self, batch: Self::Batch, dtype: FloatDType) -> Result<TaskOutput> {
        let _ = batch;
        let fault = format!("this task cannot be trained in mixed precision, {dtype:?}");
        Err(Error::config(fault))
    }

    /// The loss of the best prediction that does not look at the images, if there is one: a
    /// trained model must be well below it.
    fn trivial_loss(&self, batch: &Self::Batch) -> Option<Tensor<1>> {
        let _ = batch;
        None
    }

    /// The task after a training step: where what no gradient moves is moved, such as a codebook, a
    /// temperature or a teacher. It must be kept in parameters (without gradient) to be part of
    /// checkpoints. Default: nothing moves
    fn after_step(self, step: StepEnd) -> Self {
        let _ = step;
        self
    }

    /// How many layers are between the parameter at this path and the output: what layer-wise decay
    /// of the learning rate counts. Default: none
    fn layers_above(&self, parameter: &str) -> usize {
        let _ = parameter;
        0
    }
}

/// What a finished training step tells [`PretextTask::after_step`].
#[derive(Debug)]
pub struct StepEnd {
    /// The finished share of the run's steps, in (0, 1].
    pub progress: f64,
    /// [`TaskOutput::observed`] of each batch of the step.
    pub observed: Vec<Tensor<2>>,
}

/// What a step yields; tensors stay on the device until somebody reads them.
#[derive(Debug, Clone)]
pub struct TaskOutput {
    /// The scalar to minimize.
    pub loss: Tensor<1>,
    /// Named scalars to watch, such as an accuracy.
    pub metrics: Vec<(&'static str, Tensor<1>)>,
    /// What [`PretextTask::after_step`] needs of this batch; carries no gradient.
    pub observed: Option<Tensor<2>>,
}

impl TaskOutput {
    /// The same, if the loss and every metric is one number.
    #[cfg_attr(not(feature = "train"), allow(dead_code, reason = "training asks for it"))]
    pub(crate) fn checked(self) -> Result<Self> {
        let loss = [("loss", &self.loss)];
        let metrics = self.metrics.iter().map(|(name, metric)| (*name, metric));
        for (name, tensor) in loss.into_iter().chain(metrics) {
            if let [values] = tensor.dims()
                && values != 1
            {
                return Err(Error::config(format!(
                    "a task's {name} must be one number, got {values}: take their mean"
                )));
            }
        }
        Ok(self)
    }
}

impl From<Tensor<1>> for TaskOutput {
    fn from(loss: Tensor<1>) -> Self {
        Self { loss, metrics: Vec::new(), observed: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;

    #[test]
    fn a_loss_or_metric_of_several_numbers_is_refused_with_its_name_and_count() {
        let vector = |values| Tensor::<1>::zeros([values], &test_device());
        assert!(TaskOutput::from(vector(1)).checked().is_ok());
        let message = TaskOutput::from(vector(8)).checked().unwrap_err().to_string();
        assert!(message.ends_with("a task's loss must be one number, got 8: take their mean"));
        let output = TaskOutput { metrics: vec![("top1", vector(4))], ..vector(1).into() };
        let message = output.checked().unwrap_err().to_string();
        assert!(message.contains("a task's top1 must be one number, got 4"), "{message}");
    }
}

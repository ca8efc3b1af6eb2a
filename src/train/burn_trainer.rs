//! Any pretext task on burn's own trainer.

use burn::module::Module;
use burn::tensor::{ExecutionError, Tensor};
use burn::train::metric::{Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use crate::task::PretextTask;

/// A task as a model of burn's [`SupervisedTraining`](burn::train::SupervisedTraining): for its
/// terminal dashboard, its metrics and its strategies for several devices. A
/// [`Loader`](crate::data::Loader) is the data loader it reads.
#[derive(Module, Debug)]
pub struct BurnTask<T: Module> {
    /// The task.
    pub task: T,
}

/// The loss of a step, for burn's [`LossMetric`](burn::train::metric::LossMetric).
#[derive(Debug, Clone)]
pub struct BurnOutput {
    /// A scalar.
    pub loss: Tensor<1>,
}

impl ItemLazy for BurnOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        Ok(Self { loss: self.loss.without_autodiff() })
    }
}

impl Adaptor<LossInput> for BurnOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl<T> TrainStep for BurnTask<T>
where
    T: PretextTask,
    T::Batch: Send + 'static,
{
    type Input = T::Batch;
    type Output = BurnOutput;

    fn step(&self, batch: T::Batch) -> TrainOutput<BurnOutput> {
        let loss = self.task.loss(batch).loss;
        TrainOutput::new(self, loss.backward(), BurnOutput { loss })
    }
}

impl<T> InferenceStep for BurnTask<T>
where
    T: PretextTask,
    T::Batch: Send + 'static,
{
    type Input = T::Batch;
    type Output = BurnOutput;

    fn step(&self, batch: T::Batch) -> BurnOutput {
        BurnOutput { loss: self.task.loss(batch).loss }
    }
}

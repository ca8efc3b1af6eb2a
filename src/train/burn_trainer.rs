//! Runs any pretext task on burn's own trainer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::{ExecutionError, Tensor};
use burn::train::metric::{Adaptor, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use super::parameters::check_identities;
use crate::error::Result;
use crate::task::{PretextTask, StepEnd};

/// A task as a model of burn's [`SupervisedTraining`](burn::train::SupervisedTraining): for its
/// terminal dashboard, its metrics and its strategies for several devices. A
/// [`Loader`](crate::data::Loader) is the data loader it reads.
///
/// After each of burn's steps the task's own [`after_step`](PretextTask::after_step) moves what no
/// gradient moves.
#[derive(Module, Debug)]
pub struct BurnTask<T: PretextTask> {
    /// The task.
    pub task: T,
    #[module(skip)]
    steps: Arc<Steps<T::Observed>>,
}

/// The steps of a training, shared by all copies of its model.
#[derive(Debug)]
struct Steps<O> {
    total: usize,
    done: AtomicUsize,
    observed: Mutex<Vec<O>>,
}

impl<T: PretextTask> BurnTask<T> {
    /// Wraps `task` for a training of `steps` optimizer steps. A schedule within the task, such as
    /// the schedule of a temperature, is measured by this number. A training that burn resumes
    /// counts its steps from 0 again.
    ///
    /// # Errors
    ///
    /// When two of the task's parameters have one identity, as those of a clone and its original:
    /// burn would train one of them. Names both.
    pub fn new(task: T, steps: usize) -> Result<Self> {
        check_identities(&task)?;
        let (done, observed) = (AtomicUsize::new(0), Mutex::default());
        Ok(Self { task, steps: Arc::new(Steps { total: steps.max(1), done, observed }) })
    }
}

impl<T: PretextTask> BurnTask<T> {
    /// The model after a step that moved its weights to the values in `self`.
    fn after_step(self) -> Self {
        let Self { task, steps } = self;
        let done = steps.done.fetch_add(1, Ordering::Relaxed) + 1;
        let progress = (done as f64 / steps.total as f64).min(1.0);
        let mut observed = steps.observed.lock().unwrap_or_else(PoisonError::into_inner);
        let end = StepEnd { progress, observed: std::mem::take(&mut observed) };
        drop(observed);
        Self { task: task.after_step(end), steps }
    }
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
        let output = self.task.loss(batch);
        let mut observed = self.steps.observed.lock().unwrap_or_else(PoisonError::into_inner);
        observed.push(output.observed);
        drop(observed);
        let loss = output.loss;
        TrainOutput::new(self, loss.backward(), BurnOutput { loss })
    }

    fn optimize(
        self,
        optim: &mut ModuleOptimizer,
        lr_module: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        optim.step(lr_module, self, grads).after_step()
    }

    fn optimize_multi(
        self,
        optim: &mut ModuleOptimizer,
        lr_module: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        optim.step_multi(lr_module, self, grads).after_step()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::TokenizerBatch;
    use crate::encoder::VitConfig;
    use crate::grid::ImageShape;
    use crate::method::{PixelObjective, VqTask};
    use crate::nn::{Init, InitialWeights};
    use crate::target::tokenizer::VqConfig;
    use crate::test_device;
    use crate::train::{Recipe, optimizer};

    #[test]
    fn a_codebook_follows_on_burns_trainer_as_on_ours() {
        let vit = VitConfig::new(ImageShape::new(2, 4, 6), 2, 8, 1, 2);
        let config = VqConfig::new(vit).with_vocabulary(3).with_code_width(2);
        let task = || {
            let tokenizer = config.init(&mut InitialWeights::new(0, &test_device().autodiff()));
            VqTask { tokenizer, objective: PixelObjective { patch: 2 } }
        };
        let init = Init::Normal { std: 0.3 };
        let images = InitialWeights::new(5, &test_device()).param([2, 2, 4, 6], init).val();
        let batch = || TokenizerBatch { images: images.clone(), noise: None };
        let codes = |task: &VqTask<PixelObjective>| task.tokenizer.codes.val().into_data();

        let start = task();
        let before = codes(&start);
        let observed = vec![start.loss(batch()).observed];
        let ours = start.after_step(StepEnd { progress: 1.0, observed });

        let burns = BurnTask::new(task(), 1).unwrap();
        let mut optimizer = optimizer(&burns, &Recipe::new());
        let grads = TrainStep::step(&burns, batch()).grads;
        let burns = burns.optimize(&mut optimizer, 1e-3.into(), grads);
        assert_ne!(codes(&burns.task), before);
        codes(&burns.task).assert_eq(&codes(&ours), true);
    }
}

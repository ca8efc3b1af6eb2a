//! The loop over steps, and what it measures.

use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use burn_mim::train::{Recipe, optimizer};
use burn_mim::{Error, PretextTask, Result, StepEnd, TaskOutput};

use crate::args::Args;
use crate::memory;

/// Steps that are not timed where there are more than twice as many: memory is new to them.
const WARM_UP: usize = 2;

/// What the steps took and came to.
pub(crate) struct Timing {
    pub(crate) seconds: Vec<f64>,
    pub(crate) losses: Vec<f32>,
    pub(crate) parameters: usize,
    begun: Instant,
    used: Option<f64>,
}

/// Steps of `task` on the batches that `batch` makes of their numbers, before each step's clock starts.
pub(crate) fn steps<T: PretextTask>(
    mut task: T,
    recipe: &Recipe,
    args: &Args,
    device: &Device,
    mut batch: impl FnMut(u64) -> Result<T::Batch>,
) -> Result<Timing> {
    let mut optimizer = optimizer(&task, recipe);
    let mut timing = Timing::of(&task);
    while timing.goes_on(args) {
        let batch = batch(timing.seconds.len() as u64)?;
        let start = Instant::now();
        let TaskOutput { loss, observed } = args.forward(&task, batch)?;
        let gradients = GradientsParams::from_grads(loss.backward(), &task);
        task = optimizer.step(1e-4, task, gradients);
        let progress = (timing.seconds.len() + 1) as f64 / args.steps as f64;
        task = task.after_step(StepEnd { progress, observed: vec![observed] });
        timing.add(start, loss.into_scalar(), device)?;
    }
    Ok(timing)
}

impl Timing {
    /// Nothing timed yet.
    pub(crate) fn of(module: &impl Module) -> Self {
        let parameters = Module::num_params(module);
        let used = memory::user_seconds();
        Self { seconds: vec![], losses: vec![], parameters, begun: Instant::now(), used }
    }

    /// Whether there is another step.
    pub(crate) fn goes_on(&self, args: &Args) -> bool {
        let done = self.seconds.len();
        done < args.steps
            && (done <= 2 * WARM_UP || self.begun.elapsed().as_secs_f64() < args.seconds)
    }

    /// One more step, which is waited for.
    pub(crate) fn add(&mut self, start: Instant, loss: f32, device: &Device) -> Result<()> {
        self.losses.push(loss);
        device.sync().map_err(|error| Error::Config(error.to_string()))?;
        self.seconds.push(start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Seconds of the processor for a step, batches included.
    pub(crate) fn user_seconds(&self) -> Option<f64> {
        Some((memory::user_seconds()? - self.used?) / self.seconds.len() as f64)
    }

    /// The seconds of each step that counts.
    pub(crate) fn timed(&self) -> &[f64] {
        &self.seconds[if self.seconds.len() > 2 * WARM_UP { WARM_UP } else { 0 }..]
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.timed().to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len().is_multiple_of(2) {
            true => (sorted[middle - 1] + sorted[middle]) / 2.0,
            false => sorted[middle],
        }
    }
}

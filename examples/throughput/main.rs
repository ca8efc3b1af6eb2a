//! How fast a pre-training step is: masks, forward, backward and AdamW on images that are already
//! in memory.
//!
//! ```text
//! cargo run --release --example throughput -- --method mae --image-size 32 --patch-size 2
//! ```
//!
//! The last line is one JSON object; the line before it says which share of the processor's matrix
//! product peak the step reaches. `benches/pytorch/` has the same step for PyTorch.

mod args;
mod flop;
mod memory;
mod preset;

use std::process::ExitCode;
use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use burn_mim::cli::exit;
use burn_mim::data::ChannelStatistics;
use burn_mim::method::{DataFacts, Method};
use burn_mim::nn::InitialWeights;
use burn_mim::rng::{Purpose, stream};
use burn_mim::run::device_named;
use burn_mim::train::{Recipe, optimizer};
use burn_mim::{Error, Mask, MaskStrategy, MimBatch, PretextTask, Result};
use clap::Parser;
use mimalloc::MiMalloc;
use serde_json::json;

use crate::args::{Args, Case};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What the steps took and came to.
struct Timing {
    seconds: Vec<f64>,
    losses: Vec<f32>,
    parameters: usize,
}

fn main() -> ExitCode {
    exit::exit(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<()> {
    let device = device_named(&args.device)?;
    if let Some(name) = &args.preset {
        return exit::answer(line(name, args.batch, preset::timed(name, args, &device)?));
    }
    let case = args.case()?;
    let (mask, timing) = match &case {
        Case::Mae(mae) => (mae.mask()?, trained(mae, mae.mask()?, args, &device)?),
        Case::SimMim(simmim) => (simmim.mask()?, trained(simmim, simmim.mask()?, args, &device)?),
        Case::Swin(simmim) => (simmim.mask()?, trained(simmim, simmim.mask()?, args, &device)?),
        Case::Beit(beit) => (beit.mask()?, trained(beit, beit.mask()?, args, &device)?),
    };
    report(args, flop::per_step(&case, &mask, args.batch), timing, &device)
}

fn trained<M>(method: &M, mask: impl MaskStrategy, args: &Args, device: &Device) -> Result<Timing>
where
    M: Method<Task: PretextTask<Batch = MimBatch>>,
{
    method.validate()?;
    let trained = args.trained_on(device);
    let facts = DataFacts::new(ChannelStatistics::none(args.channels));
    let task = method.init(&facts, &mut InitialWeights::new(0, &trained))?;
    steps(task, args, mask, device)
}

fn steps<T: PretextTask<Batch = MimBatch>>(
    mut task: T,
    args: &Args,
    mask: impl MaskStrategy,
    device: &Device,
) -> Result<Timing> {
    let images = args.images(device);
    let mut optimizer = optimizer(&task, &Recipe::mae());
    let mut timing = Timing::of(&task);
    for step in 0..args.steps as u64 {
        let start = Instant::now();
        let sample = |sample| mask.sample(&mut stream(0, Purpose::Mask, step, sample));
        let masks: Vec<_> = (0..args.batch as u64).map(sample).collect();
        let mut batch = MimBatch::new(images.clone(), Mask::new(masks, device)?);
        // Read by BEiT alone.
        batch.target_view = Some(images.clone());
        let loss = args.forward(&task, batch)?.loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &task);
        task = optimizer.step(1e-4, task, gradients);
        timing.add(start, loss.into_scalar(), device)?;
    }
    Ok(timing)
}

fn report(args: &Args, flop: f64, timing: Timing, device: &Device) -> Result<()> {
    let median = timing.median();
    let peak = flop::peak(device);
    exit::tell(format_args!(
        "{:.0} GFLOP of matrix products per step, {:.1} GFLOP/s, {:.0} % of the measured peak of {:.1}",
        flop / 1e9,
        flop / median / 1e9,
        100.0 * flop / median / peak,
        peak / 1e9,
    ));
    exit::answer(line(&args.method, args.batch, timing))
}

/// The answer.
fn line(method: &str, batch: usize, timing: Timing) -> serde_json::Value {
    let Timing { seconds, losses, parameters } = &timing;
    json!({
        "method": method,
        "images_per_s": batch as f64 / timing.median(),
        "step_s_median": timing.median(),
        "step_s_min": seconds.iter().copied().fold(f64::INFINITY, f64::min),
        "peak_rss_mb": memory::peak_rss_mb(),
        "loss_first": losses[0],
        "loss_last": losses[losses.len() - 1],
        "parameters": parameters,
    })
}

impl Timing {
    /// Nothing timed yet.
    fn of(module: &impl Module) -> Self {
        Self { seconds: vec![], losses: vec![], parameters: Module::num_params(module) }
    }

    /// One more step, which is waited for.
    fn add(&mut self, start: Instant, loss: f32, device: &Device) -> Result<()> {
        self.losses.push(loss);
        device.sync().map_err(|error| Error::Config(error.to_string()))?;
        self.seconds.push(start.elapsed().as_secs_f64());
        Ok(())
    }

    fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len().is_multiple_of(2) {
            true => (sorted[middle - 1] + sorted[middle]) / 2.0,
            false => sorted[middle],
        }
    }
}

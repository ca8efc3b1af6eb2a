//! How fast a pre-training step is: forward, backward and AdamW on images that are already in memory,
//! with masks that are drawn before.
//!
//! ```text
//! cargo run --release --example throughput -- --method mae --image-size 32 --patch-size 2
//! ```
//!
//! The last line is one JSON object; the line before it says which share of the processor's matrix
//! product peak the step reaches, where its operations are counted. `benches/pytorch/` has the same step
//! for PyTorch.

mod args;
mod flop;
mod memory;
mod preset;
mod steps;

use std::process::ExitCode;

use burn::tensor::{Device, Tensor, TensorData};
use burn_mim::cli::exit;
use burn_mim::data::ChannelStatistics;
use burn_mim::method::{DataFacts, DvaeSchedule, DvaeTask, Method, PixelObjective, VqTask};
use burn_mim::nn::InitialWeights;
use burn_mim::rng::{Purpose, stream};
use burn_mim::run::device_named;
use burn_mim::target::tokenizer::DvaeConfig;
use burn_mim::train::Recipe;
use burn_mim::{
    ClipBatch, Mask, MaskStrategy, MimBatch, PretextTask, Result, TokenizerBatch, VideoMaeConfig,
};
use clap::Parser;
use mimalloc::MiMalloc;
use rand_distr::{Distribution, Gumbel};
use serde_json::json;

use crate::args::{Args, Case, noise};
use crate::steps::{Timing, steps};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    exit::exit(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<()> {
    let device = device_named(&args.device)?;
    if let Some(name) = &args.preset {
        return exit::answer(line(name, args, preset::timed(name, args, &device)?, &device));
    }
    let case = args.case()?;
    let weights = &mut InitialWeights::new(0, &args.trained_on(&device));
    let timing = match &case {
        Case::Mae(mae) => trained(mae, &*mae.mask()?, args, &device)?,
        Case::SimMim(simmim) => trained(simmim, &*simmim.mask()?, args, &device)?,
        Case::Swin(simmim) => trained(simmim, &*simmim.mask()?, args, &device)?,
        Case::SwinV2(simmim) => trained(simmim, &*simmim.mask()?, args, &device)?,
        Case::Beit(beit) => trained(beit, &*beit.mask()?, args, &device)?,
        Case::VideoMae(videomae) => clips(videomae, weights, args, &device)?,
        Case::Dvae(dvae) => {
            dvae.validate()?;
            let task = DvaeTask::new(dvae.init(weights), DvaeSchedule::new());
            tokens(task, Some(gumbel(dvae, args, &device)?), args, &device)?
        }
        Case::Vq(vq) => {
            vq.validate()?;
            let objective = PixelObjective { patch: vq.encoder.patch };
            tokens(VqTask { tokenizer: vq.init(weights), objective }, None, args, &device)?
        }
    };
    if let Some(flop) = flop::per_step(&case, args.batch)? {
        let (median, peak) = (timing.median(), flop::peak(&device));
        exit::tell(format_args!(
            "{:.0} GFLOP of matrix products per step, {:.1} GFLOP/s, {:.0} % of the measured peak of {:.1}",
            flop / 1e9,
            flop / median / 1e9,
            100.0 * flop / median / peak,
            peak / 1e9,
        ));
    }
    exit::answer(line(&args.method, args, timing, &device))
}

fn trained<M>(method: &M, mask: &dyn MaskStrategy, args: &Args, device: &Device) -> Result<Timing>
where
    M: Method<Task: PretextTask<Batch = MimBatch>>,
{
    method.validate()?;
    let facts = DataFacts::new(ChannelStatistics::none(args.channels));
    let task = method.init(&facts, &mut InitialWeights::new(0, &args.trained_on(device)))?;
    let images = args.images(device);
    steps(task, &Recipe::mae(), args, device, |step| {
        let mut batch = MimBatch::new(images.clone(), masks(mask, step, args, device)?);
        // Read by BEiT alone.
        batch.target_view = Some(images.clone());
        Ok(batch)
    })
}

fn masks(mask: &dyn MaskStrategy, step: u64, args: &Args, device: &Device) -> Result<Mask> {
    let sample = |sample| mask.sample(&mut stream(0, Purpose::Mask, step, sample));
    Mask::new((0..args.batch as u64).map(sample).collect::<Vec<_>>(), device)
}

fn clips(
    videomae: &VideoMaeConfig,
    weights: &mut InitialWeights,
    args: &Args,
    device: &Device,
) -> Result<Timing> {
    videomae.validate()?;
    let clip = videomae.encoder.clip;
    let shape = [args.batch, args.channels, clip.frames, clip.image.height, clip.image.width];
    let (clips, mask) = (noise(shape, device), videomae.mask()?);
    steps(videomae.init(weights), &Recipe::mae(), args, device, |step| {
        Ok(ClipBatch::new(clips.clone(), masks(&*mask, step, args, device)?))
    })
}

fn tokens<T: PretextTask<Batch = TokenizerBatch>>(
    task: T,
    noise: Option<Tensor<3>>,
    args: &Args,
    device: &Device,
) -> Result<Timing> {
    let images = args.images(device) * 0.5 + 0.5;
    steps(task, &Recipe::mae(), args, device, |_| {
        Ok(TokenizerBatch { images: images.clone(), noise: noise.clone() })
    })
}

/// What a relaxed choice of tokens needs.
fn gumbel(dvae: &DvaeConfig, args: &Args, device: &Device) -> Result<Tensor<3>> {
    let cells = dvae.image.grid(dvae.patch)?.cells();
    let gumbel = Gumbel::new(0.0f32, 1.0).expect("a scale above 0");
    let draws = gumbel.sample_iter(stream(0, Purpose::Tokens, 0, 0));
    let values: Vec<f32> = draws.take(args.batch * cells * dvae.vocabulary).collect();
    let values = TensorData::new(values, [args.batch, cells, dvae.vocabulary]);
    Ok(Tensor::from_data(values, device))
}

/// The answer.
fn line(method: &str, args: &Args, timing: Timing, device: &Device) -> serde_json::Value {
    let peak_rss_mb = memory::peak_rss_mb();
    let user = timing.user_seconds();
    let Timing { seconds, losses, parameters, .. } = &timing;
    json!({
        "method": method,
        "images_per_s": args.batch as f64 / timing.median(),
        "step_s_median": timing.median(),
        "step_s_min": timing.timed().iter().copied().fold(f64::INFINITY, f64::min),
        "steps": seconds.len(),
        "user_s_per_step": user,
        "peak_rss_mb": peak_rss_mb,
        "peak_flop_per_s": flop::peak(device),
        "loss_first": losses[0],
        "loss_last": losses[losses.len() - 1],
        "parameters": parameters,
    })
}

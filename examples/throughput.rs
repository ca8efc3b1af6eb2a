//! How fast a pre-training step is: masks, forward, backward and AdamW on images that are already
//! in memory.
//!
//! ```text
//! cargo run --release --example throughput -- --method mae --image-size 32 --patch-size 2
//! ```
//!
//! The last line is one JSON object; the line before it says which share of the processor's matrix
//! product peak the step reaches. `benches/pytorch/` has the same step for PyTorch.

#[path = "throughput/flop.rs"]
mod flop;
#[path = "throughput/memory.rs"]
mod memory;

use std::process::ExitCode;
use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use burn_mim::nn::{Positions, Weights};
use burn_mim::rng::{Purpose, stream};
use burn_mim::run::device_named;
use burn_mim::train::{Recipe, adamw};
use burn_mim::{
    DecoderConfig, Error, ImageShape, MaeConfig, Mask, MaskStrategy, MimBatch, PretextTask, Result,
    SimMimConfig, TaskConfig, VitConfig,
};
use clap::Parser;
use mimalloc::MiMalloc;
use rand::RngExt;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Times pre-training steps.
#[derive(Debug, Parser)]
struct Args {
    /// mae | simmim
    #[arg(long, default_value = "mae")]
    method: String,
    /// vit
    #[arg(long, default_value = "vit")]
    encoder: String,
    /// Side of the images in pixels
    #[arg(long, default_value_t = 32)]
    image_size: usize,
    /// Channels of the images
    #[arg(long, default_value_t = 3)]
    channels: usize,
    /// Side of a patch, which is also the unit of the masks
    #[arg(long, default_value_t = 2)]
    patch_size: usize,
    /// Features per token
    #[arg(long, default_value_t = 192)]
    width: usize,
    /// Blocks
    #[arg(long, default_value_t = 12)]
    depth: usize,
    /// Attention heads
    #[arg(long, default_value_t = 3)]
    heads: usize,
    /// Features per token of a masked autoencoder's decoder
    #[arg(long, default_value_t = 192)]
    decoder_width: usize,
    /// Its blocks
    #[arg(long, default_value_t = 4)]
    decoder_depth: usize,
    /// Its attention heads
    #[arg(long, default_value_t = 3)]
    decoder_heads: usize,
    /// Share of the patches that is hidden
    #[arg(long, default_value_t = 0.75)]
    mask_ratio: f64,
    /// Images per step
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Steps, all of them timed
    #[arg(long, default_value_t = 8)]
    steps: usize,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
}

impl Args {
    fn task(&self) -> Result<TaskConfig> {
        if self.encoder != "vit" {
            return Err(Error::Config(format!(
                "there is no encoder {:?}: choose vit",
                self.encoder
            )));
        }
        let image = ImageShape::square(self.channels, self.image_size);
        let vit = VitConfig::new(image, self.patch_size, self.width, self.depth, self.heads);
        let task = match self.method.as_str() {
            "mae" => {
                let decoder = DecoderConfig::new()
                    .with_width(self.decoder_width)
                    .with_depth(self.decoder_depth)
                    .with_heads(self.decoder_heads);
                MaeConfig::new(vit).with_decoder(decoder).with_mask_ratio(self.mask_ratio).into()
            }
            "simmim" => SimMimConfig::new(vit.with_positions(Positions::Learned))
                .with_mask_unit(self.patch_size)
                .with_mask_ratio(self.mask_ratio)
                .into(),
            other => {
                return Err(Error::Config(format!(
                    "there is no method {other:?}: choose mae or simmim"
                )));
            }
        };
        TaskConfig::validate(&task)?;
        Ok(task)
    }

    /// Images of uniform noise with mean 0.
    fn images(&self, device: &Device) -> Tensor<4> {
        let shape = [self.batch, self.channels, self.image_size, self.image_size];
        let mut noise = stream(0, Purpose::Data, 0, 0);
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| noise.random_range(-1.0..1.0)).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

/// What the steps took and came to.
struct Timing {
    seconds: Vec<f64>,
    losses: Vec<f32>,
    parameters: usize,
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<()> {
    if args.batch == 0 || args.steps == 0 {
        return Err(Error::Config("--batch and --steps must be at least 1".into()));
    }
    let task = args.task()?;
    let device = device_named(&args.device)?;
    let weights = &mut Weights::new(0, &device.clone().autodiff());
    let timing = match &task {
        TaskConfig::Mae(mae) => steps(mae.init(weights), args, mae.mask()?, &device)?,
        TaskConfig::SimMim(simmim) => steps(simmim.init(weights), args, simmim.mask()?, &device)?,
        other => return Err(Error::Config(format!("{} cannot be timed yet", other.name()))),
    };
    report(args, &task, timing)
}

fn steps<T: PretextTask<Batch = MimBatch>>(
    mut task: T,
    args: &Args,
    mask: impl MaskStrategy,
    device: &Device,
) -> Result<Timing> {
    let images = args.images(device);
    let mut optimizer = adamw(&task, &Recipe::mae());
    let mut timing =
        Timing { seconds: vec![], losses: vec![], parameters: Module::num_params(&task) };
    for step in 0..args.steps as u64 {
        let start = Instant::now();
        let sample = |sample| mask.sample(&mut stream(0, Purpose::Mask, step, sample));
        let masks: Vec<_> = (0..args.batch as u64).map(sample).collect();
        let batch = MimBatch::new(images.clone(), Mask::new(masks, device)?);
        let loss = task.loss(batch).loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &task);
        task = optimizer.step(1e-4, task, gradients);
        timing.losses.push(loss.into_scalar());
        device.sync().map_err(|error| Error::Config(error.to_string()))?;
        timing.seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(timing)
}

fn report(args: &Args, task: &TaskConfig, timing: Timing) -> Result<()> {
    let Timing { mut seconds, losses, parameters } = timing;
    seconds.sort_by(f64::total_cmp);
    let (fastest, median) = (seconds[0], median(&seconds));
    let flop = flop::per_step(task, args.batch);
    let peak = flop::peak();
    println!(
        "{:.0} GFLOP of matrix products per step, {:.1} GFLOP/s, {:.0} % of the measured peak of {:.1}",
        flop / 1e9,
        flop / median / 1e9,
        100.0 * flop / median / peak,
        peak / 1e9,
    );
    let line = json!({
        "method": args.method,
        "images_per_s": args.batch as f64 / median,
        "step_s_median": median,
        "step_s_min": fastest,
        "peak_rss_mb": memory::peak_rss_mb(),
        "loss_first": losses[0],
        "loss_last": losses[losses.len() - 1],
        "parameters": parameters,
    });
    println!("{line}");
    Ok(())
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    } else {
        sorted[middle]
    }
}

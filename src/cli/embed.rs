//! `embed`: the features of any images.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use clap::{Parser, ValueEnum};
use serde_json::json;

use super::exit::{self, answer, interrupt, say};
use super::images::{Images, Opened, say_skipped};
use super::numbers::side;
use super::small_encoder;
use crate::data::ChannelStatistics;
use crate::encoder::Backbone;
use crate::error::Result;
use crate::method::Methods;
use crate::run::{
    BackboneSource, BackboneVisitor, Embed, EmbedOptions, FeatureFormat, Joined, Kept,
    LoadedBackbone, device_named,
};
use crate::train::Ranks;

/// Writes the features of images to .npy or safetensors files, in order, with their names.
///
/// `--out` becomes a folder with features.npy (f32), names.json, labels.npy where images have
/// labels, and about.json.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// A run's folder | a fine-tuned run's | a transformers folder | a file of published weights
    #[arg(long)]
    checkpoint: BackboneSource,
    #[command(flatten)]
    images: Images,
    /// The folder to make
    #[arg(long)]
    out: PathBuf,
    /// What is kept of each image
    #[arg(long, value_enum, default_value = "mean")]
    keep: Keep,
    /// Layers to keep the features of, such as 4,8,12; 0 is what goes into the first block [default:
    /// the encoder's own features, after its final norm]
    #[arg(long, value_delimiter = ',')]
    layers: Vec<usize>,
    /// Give the features of several layers an axis of their own, in place of joining them
    #[arg(long)]
    stack: bool,
    /// The files' format
    #[arg(long, value_enum, default_value = "npy")]
    format: Format,
    /// Side of the images that published weights read, whose position tables are resized to it
    /// [default: what they were trained on]
    #[arg(long, value_parser = side)]
    image_size: Option<usize>,
    /// Mean of each channel, from 0 to 1, where the checkpoint does not say it: 0.485,0.456,0.406
    #[arg(long, value_delimiter = ',', requires = "std")]
    mean: Vec<f32>,
    /// Standard deviation of each channel, likewise
    #[arg(long, value_delimiter = ',', requires = "mean")]
    std: Vec<f32>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Keep {
    /// The mean over all cells
    Mean,
    /// The class token
    ClassToken,
    /// Every cell, row by row
    Cells,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Npy,
    Safetensors,
    Both,
}

impl Args {
    fn embed(&self) -> Embed {
        let kept = match self.keep {
            Keep::Mean => Kept::Mean,
            Keep::ClassToken => Kept::ClassToken,
            Keep::Cells => Kept::Cells,
        };
        let format = match self.format {
            Format::Npy => FeatureFormat::Npy,
            Format::Safetensors => FeatureFormat::Safetensors,
            Format::Both => FeatureFormat::Both,
        };
        Embed::new()
            .with_kept(kept)
            .with_layers(self.layers.clone())
            .with_joined(if self.stack { Joined::Stacked } else { Joined::Concatenated })
            .with_format(format)
            .with_on_bad_image(self.images.on_bad_image)
            .with_batch_size(self.images.batch_size)
            .with_workers(self.images.workers)
    }
}

/// Runs the command.
pub(super) fn run<L: Methods>(args: &Args) -> Result<()> {
    // First of all, so that one of several processes tells a fault of the flags.
    let ranks = &exit::ranks()?;
    let device = &device_named(&args.device)?;
    let side = args.image_size;
    let random = small_encoder(3, side);
    args.checkpoint.visit::<L, _>(side, &random, 0, device, Command { args, device, ranks })
}

struct Command<'a> {
    args: &'a Args,
    device: &'a Device,
    ranks: &'a Ranks,
}

impl BackboneVisitor for Command<'_> {
    type Output = ();

    fn visit<B: Backbone + Clone + 'static>(self, encoder: LoadedBackbone<B>) -> Result<()> {
        let Self { args, device, ranks } = self;
        say(&encoder.title);
        encoder.notes.iter().for_each(say);
        let given = (!args.mean.is_empty())
            .then(|| ChannelStatistics { mean: args.mean.clone(), std: args.std.clone() });
        let known = encoder.statistics.as_ref().or(given.as_ref());
        let Opened { images, class_names, statistics } =
            ranks.after_first(|| args.images.open(encoder.image, known))?;
        let (count, told) = (images.len(), Cell::new(Instant::now()));
        let done = args.embed().run_by(
            ranks,
            &encoder,
            &images,
            &args.out,
            EmbedOptions {
                device,
                statistics: given.as_ref().or(statistics.as_ref()),
                class_names: &class_names,
                interrupt: &interrupt()?,
                told: &|done| {
                    if told.get().elapsed() > Duration::from_secs(3) {
                        told.set(Instant::now());
                        say(format_args!("{done} of {count} images"));
                    }
                },
            },
        )?;
        let Some(done) = done else { return Ok(()) };
        say_skipped(&done.skipped);
        answer(json!({
            "out": args.out, "images": done.shape[0], "shape": done.shape,
            "skipped": done.skipped.len(), "images_per_second": done.images_per_second,
        }))
    }
}

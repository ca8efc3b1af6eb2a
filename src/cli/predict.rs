//! `predict`: the classes of any images by a fine-tuned run.

use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::path::PathBuf;

use burn::tensor::Device;
use clap::Parser;

use super::exit::{interrupt, say};
use super::images::{Images, Opened, say_skipped};
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::method::Methods;
use crate::run::{FineTuned, FineTunedVisitor, Predict, device_named};
use crate::train::RunFolder;

/// Tells the class of each image by a fine-tuned run, as JSON lines: path, class, confidence, top.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The folder of a fine-tuned run
    #[arg(long)]
    checkpoint: PathBuf,
    #[command(flatten)]
    images: Images,
    /// The file to write [default: standard output]
    #[arg(long)]
    out: Option<PathBuf>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
}

/// Runs the command.
pub(super) fn run<L: Methods>(args: &Args) -> Result<()> {
    let device = &device_named(&args.device)?;
    let folder = RunFolder::new(&args.checkpoint);
    folder.visit_fine_tuned::<L, _>(device, Command { args, device })
}

struct Command<'a> {
    args: &'a Args,
    device: &'a Device,
}

impl FineTunedVisitor for Command<'_> {
    type Output = ();

    fn visit<B: Backbone + Clone + 'static>(self, tuned: FineTuned<B>) -> Result<()> {
        let Self { args, device } = self;
        let config = &tuned.config;
        say(format_args!("{}, {} classes", config.title, config.class_names.len()));
        tuned.notes.iter().for_each(say);
        let Opened { images, .. } = args.images.open(config.image, Some(&config.statistics))?;
        let place = args.out.clone().unwrap_or_else(|| "standard output".into());
        let fault = |error| Error::data(&place, error);
        let mut to: Box<dyn Write> = match &args.out {
            Some(path) => Box::new(BufWriter::new(File::create(path).map_err(fault)?)),
            None => Box::new(stdout()),
        };
        let predict = Predict::new()
            .with_on_bad_image(args.images.on_bad_image)
            .with_batch_size(args.images.batch_size)
            .with_workers(args.images.workers);
        let skipped = predict.run(&tuned, &images, device, &interrupt()?, &mut |made| {
            let line = serde_json::to_string(made).map_err(|error| Error::data(&place, error))?;
            writeln!(to, "{line}").map_err(fault)
        })?;
        to.flush().map_err(fault)?;
        say_skipped(&skipped);
        Ok(())
    }
}

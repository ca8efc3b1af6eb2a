//! `export`: a run for others.

use std::path::PathBuf;

use clap::Parser;
use serde_json::json;

use super::exit::{answer, say};
use crate::error::Result;
use crate::method::Methods;
use crate::run::{Export, device_named};

/// Writes a folder that Hugging Face transformers loads, with the normalization of images and a
/// README, or one file of safetensors.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// A run's folder | a fine-tuned run's | a transformers folder | a file of published weights
    #[arg(long)]
    checkpoint: PathBuf,
    /// The folder to make
    #[arg(long)]
    out: PathBuf,
    /// The whole model of a pre-training run, with its decoder or head [default: the encoder alone]
    #[arg(long)]
    whole: bool,
    /// The epoch with the smallest validation loss [default: the newest checkpoint]
    #[arg(long)]
    best: bool,
    /// One file of safetensors by this program's names, in place of a folder for transformers
    #[arg(long)]
    bare: bool,
}

/// Runs the command.
pub(super) fn run<L: Methods>(args: &Args) -> Result<()> {
    // Weights are only moved, so any backend will do.
    let device = &device_named("flex")?;
    let Args { checkpoint, out, whole, best, bare } = args;
    let export = Export::new().with_whole(*whole).with_best(*best).with_bare(*bare);
    let done = export.run::<L>(checkpoint, out, device)?;
    done.notes.iter().for_each(|note| say(format_args!("note: {note}")));
    answer(json!({ "out": out, "class": done.class }))
}

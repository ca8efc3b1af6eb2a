//! `inspect`: what a folder or a file holds.

use std::path::PathBuf;

use clap::Parser;

use super::exit::answer;
use crate::error::{Error, Result};
use crate::run::{device_named, inspect};

/// Tells what a folder or a file holds: a run with its checkpoints, a fine-tuned run, or weights with
/// their layout and their keys.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// A run's folder | a fine-tuned run's | a transformers folder | a file of weights
    path: PathBuf,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<()> {
    let found = inspect(&args.path, &device_named("flex")?)?;
    if !args.json {
        return answer(found.lines().join("\n"));
    }
    let json = serde_json::to_string_pretty(&found);
    answer(json.map_err(|error| Error::config(error.to_string()))?)
}

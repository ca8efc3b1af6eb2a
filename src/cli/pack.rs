//! `pack`: any data set in tar files.

use std::path::PathBuf;

use clap::Parser;
use serde_json::json;

use super::data::{self, Waiting};
use super::exit::{answer, say};
use super::images::say_skipped;
use crate::data::{DataSpec, OnBadImage, PackOptions};
use crate::error::Result;

/// Packs a data set into tar files of the WebDataset layout, which `--data tar:DIR` reads; the same
/// command goes on after an interruption.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// shapes | cifar10[:DIR] | cifar100[:DIR] | idx:DIR | folder:DIR | tar:DIR | parquet:DIR
    #[arg(long, value_parser = data::spec())]
    data: DataSpec,
    /// The folder for the tar files
    #[arg(long)]
    out: PathBuf,
    /// The largest size of a tar file, such as 300MB, 1GB, or a number of bytes
    #[arg(long, default_value = "1GB", value_parser = super::numbers::bytes)]
    shard_size: u64,
    /// error | skip: what becomes of a file that cannot be read as an image
    #[arg(long, default_value_t)]
    on_bad_image: OnBadImage,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<()> {
    let Args { data, out, shard_size, on_bad_image } = args;
    let options = PackOptions { shard_bytes: *shard_size, on_bad_image: *on_bad_image };
    let mut waiting = Waiting::new();
    let packed = data.pack(out, options, &mut |progress| waiting.tell(progress))?;
    packed.notes.iter().for_each(|note| say(format_args!("note: {note}")));
    say_skipped(&packed.left_out);
    answer(json!({
        "out": out, "train": packed.train, "test": packed.test, "shards": packed.shards,
        "bytes": packed.bytes, "left_out": packed.left_out.len(),
    }))
}

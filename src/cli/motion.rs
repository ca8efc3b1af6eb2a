//! `motion`: what moves in a film.

use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::json;

use super::exit::{answer, interrupt, say, tell};
use super::numbers::positive;
use crate::data::source::{MovingShapes, clips};
use crate::error::Result;
use crate::method::Methods;
use crate::run::apply::{Differences, MotionBy, MotionFiles, MotionModel};
use crate::run::device_named;

/// Shows what moves in a film, frame by frame: without a model by differences from the background, or
/// with an encoder of clips.
///
/// `--out` becomes a folder with 000001.png, ..., each pixel's share of motion in 16 bits, and
/// before_after.gif and before_after.png, which show the film beside it.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The film: a folder of frames, an animated GIF, PNG or WebP, a .npy array, or a video that ffmpeg
    /// reads
    #[arg(long, required_unless_present = "roc", conflicts_with = "roc")]
    film: Option<PathBuf>,
    /// An encoder of clips: a run of VideoMAE | a transformers folder or file [default: differences
    /// from the background alone]
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// The folder to write, which is empty or not there
    #[arg(long, default_value = "motion")]
    out: PathBuf,
    /// Take the camera for still: no shift from frame to frame is looked for
    #[arg(long)]
    still_camera: bool,
    /// Frames before and after a frame that tell its background
    #[arg(long, default_value_t = 24, value_parser = positive)]
    reach: usize,
    /// Measure it in place of a film: the area under the ROC curve over all pixels of the built-in
    /// moving-shapes, whose true motion is known
    #[arg(long)]
    roc: bool,
    /// Clips of the test split that --roc takes
    #[arg(long, default_value_t = 200, value_parser = positive, requires = "roc")]
    clips: usize,
    /// Pixels a frame that the camera drifts by at most in the clips of --roc
    #[arg(long, default_value_t = MovingShapes::test().drift, requires = "roc")]
    drift: f32,
    /// Levels of noise at most in the clips of --roc
    #[arg(long, default_value_t = MovingShapes::test().noise, requires = "roc")]
    noise: f32,
    /// The seed of the clips of --roc: another one gives other clips of the same kind
    #[arg(long, default_value_t = MovingShapes::test().seed, requires = "roc")]
    seed: u64,
    /// Measure the encoder of --checkpoint with random weights of this seed, as a baseline
    #[arg(long, requires_all = ["roc", "checkpoint"])]
    random: Option<u64>,
    /// flex | ndarray | wgpu | cuda, as compiled in
    #[arg(long, default_value = "flex")]
    device: String,
}

/// Runs the command.
pub(super) fn run<L: Methods>(args: &Args) -> Result<()> {
    let differences = Differences::new().with_reach(args.reach).with_camera(!args.still_camera);
    let by = match &args.checkpoint {
        None => MotionBy::Differences(differences),
        Some(path) => {
            let device = device_named(&args.device)?;
            let mut model = match args.random {
                Some(seed) => MotionModel::open_random::<L>(path, seed, &device)?,
                None => MotionModel::open::<L>(path, &device)?,
            };
            model.notes.iter().for_each(say);
            model.differences = differences;
            MotionBy::Model(Box::new(model))
        }
    };
    match &args.film {
        Some(film) => write(args, &by, film),
        None => measure(args, &by),
    }
}

fn write(args: &Args, by: &MotionBy, film: &Path) -> Result<()> {
    let (frames, interrupt) = (clips::frames(film)?, interrupt()?);
    let mut files = MotionFiles::create(&args.out)?;
    for moving in by.of(frames) {
        files.add(&moving?)?;
        interrupt.check()?;
    }
    let count = files.finish()?;
    tell(format_args!(
        "{count} frames, before_after.gif and before_after.png in {}",
        args.out.display()
    ));
    Ok(())
}

fn measure(args: &Args, by: &MotionBy) -> Result<()> {
    let (len, drift, noise, seed) = (args.clips, args.drift, args.noise, args.seed);
    let clips = MovingShapes { seed, len, drift, noise, ..MovingShapes::test() };
    let area = by.area_under_roc(&clips, &mut |done| {
        if done.is_multiple_of(100) {
            say(format_args!("{done} of {len} clips"));
        }
    })?;
    answer(
        json!({ "area_under_roc": area, "clips": len, "drift": drift, "noise": noise, "seed": seed }),
    )
}

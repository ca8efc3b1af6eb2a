//! A teacher for methods that have none.

use std::path::PathBuf;

use super::MaeConfig;
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::method::{Preset, Run};
use crate::train::RunFolder;

/// Training images, with repetitions, that it sees.
const SHOWN_IMAGES: usize = 20_000;

/// Trains the paper's model for small images for a while, in `teacher` in the run's folder; answers that
/// folder.
pub(in crate::method) fn small_teacher(run: &Run, image: ImageShape) -> Result<PathBuf> {
    let preset = Preset::<MaeConfig>::named("mae_pixels_small_images").expect("it is one of MAE's");
    let out = run.out.join("teacher");
    let epochs = SHOWN_IMAGES.div_ceil(run.data.train.len().max(1)).min(preset.recipe.epochs);
    run.progress.note(&format!(
        "no teacher is given (--teacher): MAE's model for small images is trained first, in {}",
        out.display()
    ));
    let first = Run {
        resume: run.resume && RunFolder::new(&out).newest_whole()?.is_some(),
        recipe: Some(preset.recipe.with_epochs(epochs).with_accumulation(run.accumulation())),
        augmentation: Some(preset.augmentation),
        budget: None,
        init_from: None,
        refine: None,
        probe: 0,
        out,
        ..run.clone()
    };
    match first.pretrain(&(preset.numbers)(image))?.interrupted {
        true => Err(Error::Interrupted),
        false => Ok(first.out),
    }
}

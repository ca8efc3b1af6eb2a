//! The report of a restoration model: image quality before and after, for every corruption.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Restoration, RestorationCollate, RestorationConfig};
use crate::data::augment::Augmentation;
use crate::error::Result;
use crate::file::write_json;
use crate::method::{DataFacts, Method, Run};
use crate::viz::{PictureGrid, pictures};

/// Rows of the picture.
const SHEET_ROWS: usize = 4;

/// How good images are, as means over the test split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Peak signal-to-noise ratio in decibels.
    pub psnr: f64,
    /// Structural similarity.
    pub ssim: f64,
}

/// How good spoilt and restored images are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// The quality before restoration; for a loss of resolution this is bicubic interpolation.
    pub corrupted: Quality,
    /// The quality after restoration.
    pub restored: Quality,
}

/// Leaves `restoration.json` and `reconstruction.png` in the folder of a run that has ended.
///
/// # Errors
///
/// When an image cannot be read or a file cannot be written.
pub(super) fn leave(config: &RestorationConfig, task: &Restoration, run: &Run) -> Result<()> {
    let facts = DataFacts::new(run.data.statistics.clone());
    let collate = config.collate(&facts, Augmentation::none())?;
    write_json(&run.out.join("restoration.json"), &restored(config, task, run, &collate)?)?;
    sheet(config, task, run, &collate)?.save(run.out.join("reconstruction.png"))
}

/// How good test images are before and after, for each corruption by name.
fn restored(
    config: &RestorationConfig,
    task: &Restoration,
    run: &Run,
    collate: &RestorationCollate,
) -> Result<BTreeMap<String, Restored>> {
    let of = |corruption: usize| {
        let loader = run.loader(&run.data.test, collate.clone().with_only(corruption), false)?;
        let (mut corrupted, mut restored) = (Quality::default(), Quality::default());
        // Images that are left out do not count.
        let mut images = 0.0;
        for batch in loader.epoch(0, 0) {
            let batch = batch?;
            let count = batch.clean.dims()[0] as f64;
            images += count;
            let output = task.restore(batch.corrupted.clone(), corruption);
            corrupted.add(task.quality(batch.corrupted, batch.clean.clone()), count);
            restored.add(task.quality(output, batch.clean), count);
        }
        corrupted.divide(images);
        restored.divide(images);
        Ok(Restored { corrupted, restored })
    };
    let named = config.corruptions.iter().enumerate();
    named.map(|(index, corruption)| Ok((corruption.to_string(), of(index)?))).collect()
}

/// A few test images, clean, and spoilt and restored in every way.
fn sheet(
    config: &RestorationConfig,
    task: &Restoration,
    run: &Run,
    collate: &RestorationCollate,
) -> Result<PictureGrid> {
    let mut titles = vec!["clean".to_string()];
    let mut columns = Vec::new();
    for (index, corruption) in config.corruptions.iter().enumerate() {
        let batch = run.validation_batch(collate.clone().with_only(index))?;
        let shown = |images: Tensor<4>| {
            let count = images.dims()[0].min(SHEET_ROWS);
            pictures(task.displayed(images.narrow(0, 0, count)))
        };
        if index == 0 {
            columns.push(shown(batch.clean)?);
        }
        columns.push(shown(batch.corrupted.clone())?);
        columns.push(shown(task.restore(batch.corrupted, index))?);
        titles.extend([corruption.to_string(), "restored".to_string()]);
    }
    let mut sheet = PictureGrid::new("Restoration: validation images", titles);
    for row in 0..columns[0].len() {
        sheet.push_row(columns.iter().map(|column| column[row].clone()).collect())?;
    }
    Ok(sheet)
}

impl Quality {
    fn add(&mut self, [psnr, ssim]: [Tensor<1>; 2], count: f64) {
        self.psnr += count * psnr.into_scalar::<f64>();
        self.ssim += count * ssim.into_scalar::<f64>();
    }

    fn divide(&mut self, count: f64) {
        self.psnr /= count;
        self.ssim /= count;
    }
}

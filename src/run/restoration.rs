//! A restoration run, and what it is worth on every corruption.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::Run;
use crate::data::ImageData;
use crate::data::augment::Augmentation;
use crate::error::{Error, Result};
use crate::file::write_whole;
use crate::method::RestorationCollate;
use crate::method::{Restoration, RestorationConfig};
use crate::nn::InitialWeights;
use crate::train::{Pretrained, Recipe};
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
    /// As they come; for a loss of resolution that is bicubic interpolation.
    pub corrupted: Quality,
    /// As the model leaves them.
    pub restored: Quality,
}

impl Run {
    /// Trains the model of `config`, as [`Run::train`] does, and leaves `restoration.json` and
    /// `reconstruction.png` beside the rest: how good test images are before and after, for each
    /// corruption by name.
    ///
    /// # Errors
    ///
    /// As [`Run::train`], and when a file cannot be written.
    pub fn pretrain_restoration(
        &self,
        config: &RestorationConfig,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
    ) -> Result<(Pretrained<Restoration>, BTreeMap<String, Restored>)> {
        config.validate()?;
        let (_lock, data) = &self.begin(data)?;
        let corruptions = config.corruptions.iter().map(|corruption| corruption.build()).collect();
        let collate = RestorationCollate::new(config.encoder.image, &data.statistics, corruptions)?;
        let augmented = collate.clone().with_augmentation(augmentation)?;
        let weights = &mut InitialWeights::new(self.seed, &self.device.clone().autodiff());
        let model = config.init(&data.statistics.mean, &data.statistics.std, weights);
        let collates = [augmented, collate.clone()];
        let task = config.clone().into();
        let pretrained =
            self.train_probed(task, model, data, augmentation, collates, recipe, |task| {
                &task.encoder
            })?;
        let report = self.restored(config, &pretrained.task, data, &collate)?;
        let json = serde_json::to_vec_pretty(&report);
        let json = json.map_err(|error| Error::config(error.to_string()))?;
        let path = self.out.join("restoration.json");
        write_whole(&path, &json).map_err(|error| Error::data(&path, error))?;
        self.restoration_sheet(config, &pretrained.task, data, &collate)?
            .save(self.out.join("reconstruction.png"))?;
        Ok((pretrained, report))
    }

    fn restored(
        &self,
        config: &RestorationConfig,
        model: &Restoration,
        data: &ImageData,
        collate: &RestorationCollate,
    ) -> Result<BTreeMap<String, Restored>> {
        let of = |corruption: usize| {
            let loader = self.loader(&data.test, collate.clone().with_only(corruption), false)?;
            let (mut corrupted, mut restored) = (Quality::default(), Quality::default());
            // Images that are left out do not count.
            let mut images = 0.0;
            for batch in loader.epoch(0, 0) {
                let batch = batch?;
                let count = batch.clean.dims()[0] as f64;
                images += count;
                let output = model.restore(batch.corrupted.clone(), corruption);
                corrupted.add(model.quality(batch.corrupted, batch.clean.clone()), count);
                restored.add(model.quality(output, batch.clean), count);
            }
            corrupted.divide(images);
            restored.divide(images);
            Ok(Restored { corrupted, restored })
        };
        let named = config.corruptions.iter().enumerate();
        named.map(|(index, corruption)| Ok((corruption.to_string(), of(index)?))).collect()
    }

    /// A few test images, clean, and spoilt and restored in every way.
    fn restoration_sheet(
        &self,
        config: &RestorationConfig,
        model: &Restoration,
        data: &ImageData,
        collate: &RestorationCollate,
    ) -> Result<PictureGrid> {
        let mut titles = vec!["clean".to_string()];
        let mut columns = Vec::new();
        for (index, corruption) in config.corruptions.iter().enumerate() {
            let batch = self.validation_batch(data, collate.clone().with_only(index))?;
            let shown = |images: Tensor<4>| {
                let count = images.dims()[0].min(SHEET_ROWS);
                pictures(model.displayed(images.narrow(0, 0, count)))
            };
            if index == 0 {
                columns.push(shown(batch.clean)?);
            }
            columns.push(shown(batch.corrupted.clone())?);
            columns.push(shown(model.restore(batch.corrupted, index))?);
            titles.extend([corruption.to_string(), "restored".to_string()]);
        }
        let mut sheet = PictureGrid::new("Restoration: validation images", titles);
        for row in 0..columns[0].len() {
            sheet.push_row(columns.iter().map(|column| column[row].clone()).collect())?;
        }
        Ok(sheet)
    }
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

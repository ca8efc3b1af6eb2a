//! One pre-training run and the files it leaves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor};

use super::config::mim_collate;
use super::probe::OnlineProbe;
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{DataSpec, ImageData};
use crate::encoder::{Backbone, Encoder};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::PredictionHead;
use crate::target::{Depict, Reconstruct};
use crate::task::{Mim, PretextTask, TaskConfig};
use crate::train::{Precision, Pretrained, Recipe};
use crate::viz::{depiction_sheet, reconstruction_sheet};

/// Rows of the reconstruction sheet.
const SHEET_ROWS: usize = 8;

/// Where a run reads and writes, and what it runs on.
#[derive(Debug, Clone)]
pub struct Run {
    /// The images.
    pub data: DataSpec,
    /// The folder for checkpoints, metrics and pictures.
    pub out: PathBuf,
    /// Samples per batch.
    pub batch_size: usize,
    /// Seed of weights, order, crops and masks.
    pub seed: u64,
    /// Threads that prepare batches.
    pub workers: usize,
    /// Where the model is trained.
    pub device: Device,
    /// What a step computes in.
    pub precision: Precision,
    /// Whether to go on from the newest checkpoint in `out`.
    pub resume: bool,
    /// Every how many epochs to measure the encoder's k-NN accuracy on a part of the labelled
    /// images, as `knn_top1` among the epoch's metrics; never with 0.
    pub probe: usize,
}

impl Run {
    /// Trains `model`, the one `task` describes, on masked images, as [`Run::train`] does, and
    /// leaves `reconstruction.png` beside the rest.
    ///
    /// # Errors
    ///
    /// As [`Run::train`], when the picture cannot be written, and when there are no labels to probe
    /// with.
    pub fn pretrain<E, H, T>(
        &self,
        task: TaskConfig,
        model: Mim<E, H, T>,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
    ) -> Result<Pretrained<Mim<E, H, T>>>
    where
        E: Encoder,
        H: PredictionHead<E::Features>,
        T: Reconstruct,
    {
        let title = task.title();
        let (pretrained, batch) =
            self.train_masked(task, model, data, augmentation, recipe, |model| &model.encoder)?;
        self.sheet(title, &pretrained.task, batch, data)?;
        Ok(pretrained)
    }

    /// As [`Run::pretrain`], for a target that is no image: `reconstruction.png` shows its values.
    ///
    /// # Errors
    ///
    /// As [`Run::pretrain`].
    pub fn pretrain_depicted<E, H, T>(
        &self,
        task: TaskConfig,
        model: Mim<E, H, T>,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
    ) -> Result<Pretrained<Mim<E, H, T>>>
    where
        E: Encoder,
        H: PredictionHead<E::Features>,
        T: Depict<Value = Tensor<3>>,
    {
        let title = format!("{}: validation images", task.title());
        let (pretrained, batch) =
            self.train_masked(task, model, data, augmentation, recipe, |model| &model.encoder)?;
        let (mean, std) = (&data.statistics.mean, &data.statistics.std);
        depiction_sheet(&title, &pretrained.task, &batch, mean, std)?
            .save(self.out.join("reconstruction.png"))?;
        Ok(pretrained)
    }

    /// Trains `model` on masked images, and yields it with the first few validation images to show
    /// what it makes of them; `encoder` is what a probe measures.
    pub(super) fn train_masked<M, E>(
        &self,
        task: TaskConfig,
        model: M,
        data: &ImageData,
        augmentation: Augmentation,
        recipe: Recipe,
        encoder: impl Fn(&M) -> &E,
    ) -> Result<(Pretrained<M>, MimBatch)>
    where
        M: PretextTask<Batch = MimBatch>,
        E: Backbone,
    {
        let collate = mim_collate(&task, &data.statistics)?;
        let augmented = collate.clone().with_augmentation(augmentation)?;
        let collates = [augmented, collate.clone()];
        let probe = self.online_probe(data, task.image())?;
        let measure = |task: &M, epoch| match &probe {
            Some(probe) => probe.measure(encoder(task), epoch),
            None => Ok(BTreeMap::new()),
        };
        let pretrained =
            self.train_with_probe(task, model, data, augmentation, collates, recipe, measure)?;
        let batch = self.validation_batch(data, collate)?.first(SHEET_ROWS)?;
        Ok((pretrained, batch))
    }

    fn online_probe(&self, data: &ImageData, image: ImageShape) -> Result<Option<OnlineProbe>> {
        let Self { probe, batch_size, workers, device, .. } = self;
        let new = || OnlineProbe::new(*probe, data, image, *batch_size, *workers, device);
        (*probe > 0).then(new).transpose()
    }

    pub(super) fn sheet<E, H, T>(
        &self,
        title: &str,
        model: &Mim<E, H, T>,
        batch: MimBatch,
        data: &ImageData,
    ) -> Result<()>
    where
        E: Encoder,
        H: PredictionHead<E::Features>,
        T: Reconstruct,
    {
        let sheet = reconstruction_sheet(
            &format!("{title}: validation images"),
            model,
            &batch,
            &data.statistics.mean,
            &data.statistics.std,
        )?;
        sheet.save(self.out.join("reconstruction.png"))
    }
}

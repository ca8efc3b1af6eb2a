//! One pre-training run and the files it leaves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::Device;

use super::config::mim_collate;
use super::probe::OnlineProbe;
use crate::batch::MimBatch;
use crate::data::augment::Augmentation;
use crate::data::{Collate, DataSpec, ImageData};
use crate::encoder::{Backbone, Encoder};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::PredictionHead;
use crate::method::TaskConfig;
use crate::target::{Depict, Reconstruct};
use crate::task::{Mim, PretextTask};
use crate::train::{Interrupt, Precision, Pretrained, Progress, Recipe};
use crate::viz::{depiction_sheet, reconstruction_sheet};

/// Rows of the reconstruction sheet.
const SHEET_ROWS: usize = 8;

/// Where a run reads and writes, and what it runs on.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
    /// Whether to go on from the newest whole checkpoint in `out`; it is an error if there is none.
    pub resume: bool,
    /// Whether to go on with other images than those the run began with.
    pub accept_changed_data: bool,
    /// Every how many epochs to measure the encoder's k-NN accuracy on a part of the labelled
    /// images, as `knn_top1` among the epoch's metrics; never with 0.
    pub probe: usize,
    /// Who may stop it.
    pub interrupt: Interrupt,
    /// How it reports.
    pub progress: Progress,
}

impl Run {
    /// A run on `data` that leaves its files in `out`: batches of 64 made by one thread, in f32, of
    /// seed 0, from the start, without a probe and without a word. All of that is in public fields.
    pub fn new(data: DataSpec, out: impl Into<PathBuf>, device: &Device) -> Self {
        Self {
            data,
            out: out.into(),
            batch_size: 64,
            seed: 0,
            workers: 1,
            device: device.clone(),
            precision: Precision::F32,
            resume: false,
            accept_changed_data: false,
            probe: 0,
            interrupt: Interrupt::default(),
            progress: Progress::Silent,
        }
    }

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
        H: PredictionHead<E::Features, Prediction = T::Prediction>,
        T: Reconstruct,
    {
        let (_lock, data) = &self.begin(data)?;
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
        H: PredictionHead<E::Features, Prediction = T::Prediction>,
        T: Depict,
    {
        let (_lock, data) = &self.begin(data)?;
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
        let pretrained =
            self.train_probed(task, model, data, augmentation, collates, recipe, encoder)?;
        let batch = self.validation_batch(data, collate)?.first(SHEET_ROWS)?;
        Ok((pretrained, batch))
    }

    /// As [`Run::train`], and measures `encoder` every few epochs if [`Run::probe`] says so.
    #[allow(clippy::too_many_arguments, reason = "those of `train`, and one more")]
    pub(super) fn train_probed<M, C, E>(
        &self,
        task: TaskConfig,
        model: M,
        data: &ImageData,
        augmentation: Augmentation,
        collates: [C; 2],
        recipe: Recipe,
        encoder: impl Fn(&M) -> &E,
    ) -> Result<Pretrained<M>>
    where
        M: PretextTask<Batch = C::Batch>,
        C: Collate,
        E: Backbone,
    {
        let probe = self.online_probe(data, task.image())?;
        let measure = |task: &M, epoch| match &probe {
            Some(probe) => probe.measure(encoder(task), epoch),
            None => Ok(BTreeMap::new()),
        };
        self.train_with_probe(task, model, data, augmentation, collates, recipe, measure)
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
        H: PredictionHead<E::Features, Prediction = T::Prediction>,
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

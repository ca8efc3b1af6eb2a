//! Fine-tuning with every seed, in folders that later evaluations find again.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::{Evaluation, FineTunedConfig, Subject};
use crate::data::{ImageDataset, Subset};
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::eval::{Classification, FineTuning, Score, TestResult};
use crate::nn::{InitialWeights, trainable};
use crate::train::{Pretraining, RunFolder, sha256, weights_sha256};

impl<B: Backbone + Clone> Evaluation<'_, B> {
    /// Fine-tuning with every seed, each in a folder of its own below `out`, whose name contains a
    /// checksum of everything that decides the result: an interrupted evaluation goes on where it
    /// was, and a finished run is only tested again. From random weights it is training from
    /// scratch, where all layers have the same learning rate.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`], when a number of `tuning` is broken, and when somebody asked to stop.
    pub fn fine_tune(&self, tuning: &FineTuning, subject: Subject, out: &Path) -> Result<Score> {
        let started = Instant::now();
        let (mut results, mut train_images) = (Vec::new(), 0);
        let mut tuning = FineTuning { pooling: self.pooling, ..tuning.clone() };
        if subject == Subject::Random {
            tuning.recipe.layer_decay = 1.0;
        }
        let (protocol, setting) = match tuning.last_blocks {
            None => ("finetune", format!("epochs: {}", tuning.recipe.epochs)),
            Some(1) => ("partial", "last block".into()),
            Some(blocks) => ("partial", format!("last {blocks} blocks")),
        };
        for seed in self.all_seeds() {
            let train = self.train(seed)?;
            train_images = train.len();
            let name = format!("{protocol} {setting} {subject:?} seed {seed}");
            let folder = out.join(name.to_lowercase().replace(": ", "-").replace(' ', "-"));
            results.push(self.fine_tune_once(&tuning, subject, seed, &train, &folder)?);
        }
        Ok(self.score(protocol, setting, subject, results, train_images, started))
    }

    /// One run in a folder whose name begins with `folder`.
    fn fine_tune_once(
        &self,
        tuning: &FineTuning,
        subject: Subject,
        seed: u64,
        train: &Arc<dyn ImageDataset>,
        folder: &Path,
    ) -> Result<TestResult> {
        let (task, config) = self.to_tune(tuning, subject, seed)?;
        let name = &sha256(config.identity()?.to_string().as_bytes())[..8];
        let folder = RunFolder::new(format!("{}-{name}", folder.display()));
        let resume = matches!(folder.newest_whole(), Ok(Some(_)));
        Ok(self.tune(task, &config, train, &folder, resume)?.1)
    }

    /// Fine-tunes the encoder with the first seed in `folder`, which
    /// [`RunFolder::load_fine_tuned`] loads then, and tests it on all test images. With `resume` it
    /// goes on from the newest checkpoint there; without, it starts anew, and what is in the folder
    /// is moved aside.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`], when a number of `tuning` is broken, and when somebody asked to stop.
    pub fn fine_tune_in(
        &self,
        tuning: &FineTuning,
        folder: &Path,
        resume: bool,
    ) -> Result<(Classification<B>, TestResult)> {
        let tuning = FineTuning { pooling: self.pooling, ..tuning.clone() };
        let (task, config) = self.to_tune(&tuning, Subject::Given, self.seed)?;
        let train = self.train(self.seed)?;
        self.tune(task, &config, &train, &RunFolder::new(folder), resume)
    }

    /// The task to train, and what its run says of itself.
    fn to_tune(
        &self,
        tuning: &FineTuning,
        subject: Subject,
        seed: u64,
    ) -> Result<(Classification<B>, FineTunedConfig)> {
        tuning.validate()?;
        let device = self.device.clone().autodiff();
        let encoder = self.backbone(subject, seed)?.with_drop_path(tuning.drop_path);
        let encoder = trainable(encoder, &device);
        let classes = self.data.class_names.len();
        let task = tuning.task(encoder, classes, &mut InitialWeights::new(seed, &device))?;
        let config = FineTunedConfig {
            format: FineTunedConfig::FORMAT.into(),
            encoder: self.encoder.spec.clone(),
            title: self.title(subject),
            start: weights_sha256(&task),
            image: self.encoder.image,
            statistics: self.statistics().clone(),
            class_names: self.data.class_names.clone(),
            tuning: tuning.clone(),
            labels: self.labels,
            data: self.data.origin.clone(),
            data_options: self.data.options.clone(),
            data_identity: self.data.identity.clone(),
            batch_size: self.batch_size,
            seed,
        };
        Ok((task, config))
    }

    fn tune(
        &self,
        task: Classification<B>,
        config: &FineTunedConfig,
        train: &Arc<dyn ImageDataset>,
        folder: &RunFolder,
        resume: bool,
    ) -> Result<(Classification<B>, TestResult)> {
        let FineTunedConfig { tuning, seed, .. } = config;
        let plain = self.collate()?;
        // After an epoch only a part of the test images is classified, so that validation takes no
        // longer than training.
        let glimpse = (train.len() / 4).max(256);
        let glimpse: Arc<dyn ImageDataset> =
            Arc::new(Subset::balanced(self.data.test.clone(), glimpse, *seed)?);
        let batches = self.loader(train, tuning.collate(plain.clone())?, *seed, true)?;
        let glimpse = self.loader(&glimpse, plain.clone(), *seed, false)?;
        let tuned = Pretraining::new(folder.path(), tuning.recipe.clone())
            .seed(*seed)
            .resume(resume)
            .keep(1)
            .interrupt(self.interrupt.clone())
            .progress(self.progress)
            .config(config)?
            .identity(&config.identity()?)?
            .run(task, &batches, &glimpse)?;
        if tuned.interrupted {
            return Err(Error::Interrupted);
        }
        let result = tuned.task.test(&self.loader(&self.data.test, plain, *seed, false)?)?;
        Ok((tuned.task, result))
    }
}

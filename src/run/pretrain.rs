//! Pre-training by any method, and the files it leaves.

use super::RunDocument;
use super::init_from::{Beginning, Begun};
use super::watch::Watcher;
use crate::data::ImageData;
use crate::data::augment::Augmentation;
use crate::error::Result;
use crate::file::FileLock;
use crate::image::ChannelStatistics;
use crate::method::{DataFacts, Fitted, Method, Run, RunConfig};
use crate::nn::InitialWeights;
use crate::train::{Pretrained, Pretraining, Progress, Recipe, RunFolder};

impl Run {
    /// Trains the task of `method` on the training split, and measures it on the test split.
    ///
    /// Leaves checkpoints, `config.json`, `config.toml` (the [`RunDocument`] that repeats the run),
    /// `metrics.json`, `loss_curve.png` and the method's own picture in the run's folder; the
    /// pictures are renewed after an epoch, at most every ten seconds. The run's interrupt stops it
    /// after the step it is in, with everything saved.
    ///
    /// # Errors
    ///
    /// As [`Pretraining::run`] and [`Method::validate`]; when the weights to begin with cannot be
    /// loaded, are of another encoder, or for other images; when what the method fits to the images
    /// first cannot be fitted or was stopped; when a picture cannot be written; when there are no
    /// labels to probe with.
    pub fn pretrain<M: Method>(&self, method: &M) -> Result<Pretrained<M::Task>> {
        method.validate()?;
        let (_lock, run, mut beginning) = self.ranks.together(self.begin(method))?;
        let facts = DataFacts::new(run.data.statistics.clone());
        let recipe = run.recipe.clone().unwrap_or_else(|| method.recipe());
        let augmentation = run.augmentation.unwrap_or_else(|| method.augmentation());
        let Fitted { task, resumed } = run.task(method, &facts, &mut beginning)?;
        for warning in run.size_warnings(method, &task, &recipe) {
            run.progress.note(&format!("warning: {warning}"));
        }
        let mut config = RunConfig::new(method, &run.data, augmentation, run.seed);
        (config.init_from, config.initial_weights) = beginning.identity.clone();
        let resume = run.resume && !resumed;
        let pretrained = run.train(method, &config, task, recipe, resume, beginning)?;
        run.ranks.first(|| {
            run.draw(method, &facts, &pretrained.task, &pretrained.history)?;
            method.finish(&pretrained.task, &run)
        })?;
        Ok(pretrained)
    }

    /// Locks the run's folder, and sets the statistics that its images are normalized with: the
    /// method's, those of the weights it begins with, or in a resumed run the saved ones, since the
    /// images may have changed. Also yields how the run begins.
    fn begin<M: Method>(&self, method: &M) -> Result<(Option<FileLock>, Self, Beginning)> {
        let folder = RunFolder::new(&self.out);
        let (lock, mut run) = (self.lock()?, self.clone());
        if !run.ranks.is_first() {
            run.progress = Progress::Silent;
        }
        let ImageData { statistics, shape, .. } = &mut run.data;
        let newest = if self.resume { folder.newest_whole()? } else { None };
        let beginning = Beginning::of(self, method, newest.is_some())?;
        run.init_from = beginning.identity.0.clone();
        let known = beginning.statistics().unwrap_or(statistics.clone());
        *statistics = method.normalization(known);
        if let Some((checkpoint, _)) = &newest {
            let saved = &checkpoint.snapshot().fingerprint["config"]["statistics"];
            let saved: Option<ChannelStatistics> = serde_json::from_value(saved.clone()).ok();
            let fits = |saved: &ChannelStatistics| saved.mean.len() == shape.channels;
            *statistics = saved.filter(fits).unwrap_or(statistics.clone());
        }
        Ok((lock, run, beginning))
    }

    /// The task to train.
    fn task<M: Method>(
        &self,
        method: &M,
        facts: &DataFacts,
        beginning: &mut Beginning,
    ) -> Result<Fitted<M::Task>> {
        let weights = &mut InitialWeights::new(self.seed, &self.device.clone().autodiff());
        let task = method.init(facts, weights)?;
        beginning.task(method, task, self)
    }

    fn train<M: Method>(
        &self,
        method: &M,
        config: &RunConfig<M>,
        task: M::Task,
        recipe: Recipe,
        resume: bool,
        beginning: Beginning,
    ) -> Result<Pretrained<M::Task>> {
        let (facts, data) = (config.facts(), &self.data);
        let train = self.loader(&data.train, method.collate(&facts, config.augmentation)?, true)?;
        let valid = method.collate(&facts, Augmentation::none())?;
        let valid = self.loader(&data.test, valid, false)?;
        let mut watcher = Watcher::new(self, method, facts)?;
        let pretraining = Pretraining::new(&self.out, recipe)
            .budget(self.budget)
            .origin(beginning.begun.map(|Begun { report, notes }| (report, notes)))
            .log_every(self.log_every)
            .saves(self.saves)
            .seed(self.seed)
            .precision(self.precision)
            .resume(resume)
            .interrupt(self.interrupt.clone())
            .ranks(self.ranks.clone())
            .progress(self.progress)
            .accept_changed_data(self.accept_changed_data)
            .images(data.train.len(), data.test.len(), &data.identity)
            .config(config)?
            .identity(&config.identity()?)?;
        // The loop adds the budget, once it knows how many steps a number of minutes is.
        let mut document = RunDocument::of(self, method);
        document.budget = None;
        let pretraining = match document.to_toml() {
            Ok(document) => pretraining.document(document),
            // A method of somebody else may have numbers that TOML cannot say.
            Err(_) => pretraining,
        };
        pretraining.run_watched(task, &train, &valid, &mut watcher)
    }
}

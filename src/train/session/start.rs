//! The start of a run: nothing of an earlier run is touched before this one is known to start.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use serde_json::{Value, json};

use super::log::Meter;
use super::save::Saving;
use super::{Session, loss_of};
use crate::data::{Collate, Loader};
use crate::error::{Error, Result};
use crate::task::PretextTask;
use crate::train::budget::{length, length_in, steps_per_epoch_in};
use crate::train::history::{History, RunningMean};
use crate::train::layer_rates::LayerRates;
use crate::train::parameters::{Parameters, check_identities};
use crate::train::progress::Reporter;
use crate::train::run_folder::Log;
use crate::train::{Checkpoint, Pretraining, Recipe, Schedule, Snapshot, optimizer, resume};

/// How many validation batches the trivial predictor is measured on.
const TRIVIAL_BATCHES: usize = 8;

impl<'a, T: PretextTask> Session<'a, T> {
    /// Checks that the run can start, and then makes room for it or restores it.
    pub(super) fn start<C: Collate<Batch = T::Batch>>(
        plan: &'a Pretraining,
        task: T,
        train: &Loader<C>,
        valid: &Loader<C>,
    ) -> Result<Self> {
        let prepared = Self::prepare(plan, task, train.batch_size(), train.batches());
        let (mut run, mut notes) = plan.ranks.together(prepared)?;
        run.check_shared()?;
        let trivial = plan.ranks.first(|| run.rehearse(train, valid))?;
        let known = &mut run.snapshot.history.trivial_loss;
        *known = known.or(trivial);
        if !plan.resume {
            notes.extend(plan.ranks.first(|| {
                let aside = plan.folder.set_aside()?;
                let said = |aside: PathBuf| {
                    let aside = aside.display();
                    format!("the folder held another run: its files are now in {aside}")
                };
                Ok(aside.map(said))
            })?);
            run.save()?;
            run.finish_saving()?;
        }
        plan.ranks.first(|| run.begin_files())?;
        run.introduce(&notes);
        run.clock = Instant::now();
        run.last_save = run.clock;
        Ok(run)
    }

    /// A run that can start, with notes for the report.
    fn prepare(
        plan: &'a Pretraining,
        task: T,
        batch_size: usize,
        batches: usize,
    ) -> Result<(Self, Vec<String>)> {
        let device = Self::check(plan, &task)?;
        let mut run = Self::fresh(plan, task, device, batch_size, batches)?;
        let mut notes = plan.notes.clone();
        if plan.resume {
            notes.extend(run.resume()?);
        }
        run.parameters = Parameters::of(run.task()).check()?;
        Ok((run, notes))
    }

    /// Writes the files of a run that starts or goes on.
    fn begin_files(&mut self) -> Result<()> {
        let plan = self.plan;
        plan.folder.clean();
        plan.write_config()?;
        if let Some(origin) = &plan.origin {
            plan.folder.write_json("init_from.json", origin)?;
        }
        self.open_log()?;
        if !self.snapshot.history.epochs.is_empty() {
            self.write_metrics()?;
        }
        Ok(())
    }

    /// Begins the log, or goes on with it from the checkpoint.
    fn open_log(&mut self) -> Result<()> {
        let (folder, step) = (self.plan.folder.path(), self.snapshot.step);
        let log = match self.plan.resume {
            true => Log::go_on(folder, step, self.snapshot.history.epochs.len()),
            false => Log::begin(folder),
        };
        self.log = Some(log.map_err(|error| Error::checkpoint(folder.join("log.jsonl"), error))?);
        Ok(())
    }

    /// Checks that `task` can be trained; returns the device that it is trained on.
    pub(super) fn check(plan: &Pretraining, task: &T) -> Result<Device> {
        let device = task.devices().into_iter().next().filter(Device::is_autodiff);
        let device = device.ok_or_else(|| {
            Error::config(
                "a task to be trained needs parameters on an autodiff device: build it with \
                 InitialWeights::new(seed, &device.autodiff())",
            )
        })?;
        plan.saves.validate()?;
        plan.precision.check(&device)?;
        check_identities(task)?;
        Ok(device)
    }

    /// A run before its first step, which has touched nothing yet.
    pub(super) fn fresh(
        plan: &'a Pretraining,
        task: T,
        device: Device,
        batch_size: usize,
        batches: usize,
    ) -> Result<Self> {
        let recipe = &plan.recipe;
        let (history, running) = (History::default(), RunningMean::default());
        let snapshot = Snapshot {
            fingerprint: fingerprint(plan, batch_size, batches),
            epoch: 0,
            batch: 0,
            step: 0,
            history,
            running,
            spent: Default::default(),
            offset: 0,
            unreached: None,
            checksums: true,
        };
        let length = length(recipe, plan.settled);
        let steps_per_epoch = batches.div_ceil(recipe.accumulation);
        let mut schedule = Schedule::new(recipe, batch_size, steps_per_epoch);
        if plan.settled.is_some() {
            schedule = schedule.stretched(length.epochs(steps_per_epoch));
        }
        Ok(Self {
            plan,
            _lock: plan.ranks.is_first().then(|| plan.folder.lock()).transpose()?,
            schedule,
            length,
            average: recipe.ema.map(|_| task.valid()),
            optimizer: optimizer(&task, recipe),
            rates: LayerRates::new(&task, recipe.layer_decay),
            parameters: Parameters::default(),
            task: Some(task),
            device,
            snapshot,
            stepped: running,
            step_loss: running,
            log: None,
            meter: Meter::new(),
            saving: Saving::default(),
            saved: PathBuf::new(),
            resumed_from: None,
            best_step: None,
            last_save: Instant::now(),
            clock: Instant::now(),
            training_since: None,
            reporter: Reporter::new(plan.own_progress(), 0, 0),
            batch_size,
            batches,
            all_stop: false,
            all_save: false,
        })
    }

    /// Restores the newest whole checkpoint; returns notes for the report.
    fn resume(&mut self) -> Result<Vec<String>> {
        let folder = &self.plan.folder;
        let Some((checkpoint, damaged)) = folder.newest_whole()? else {
            let nothing = "there is no checkpoint to resume from: is this the run's folder? Without \
                           resuming, a new run starts here";
            return Err(Error::checkpoint(folder.path(), nothing));
        };
        let allowed = self.plan.accept_changed_data;
        let now = self.snapshot.fingerprint.clone();
        let compared = resume::compare(checkpoint.snapshot(), &now, allowed);
        let mut notes = compared.map_err(|difference| {
            Error::checkpoint(checkpoint.path(), format!("cannot be resumed: {difference}"))
        })?;
        notes.extend(damaged.iter().map(|error| format!("warning: {error}")));
        if !checkpoint.has_checksums() {
            notes.push("the checkpoint has no checksums to compare its files with".into());
        }
        self.restore(&checkpoint, now)?;
        notes.extend(self.change_of_rates(&checkpoint.snapshot().fingerprint));
        notes.push(format!("resumed from {}", checkpoint.path().display()));
        Ok(notes)
    }

    fn restore(&mut self, checkpoint: &Checkpoint, fingerprint: Value) -> Result<()> {
        let recipe = &self.plan.recipe;
        let task = self.task.take().expect("the task is there between steps");
        let (task, average) = checkpoint.restore_weights(task, self.average.take())?;
        // The restored parameters have the ids they were saved with, so the parameter groups are
        // made from them.
        self.optimizer = checkpoint.restore_optimizer(optimizer(&task, recipe))?;
        self.rates = LayerRates::new(&task, recipe.layer_decay);
        (self.task, self.average) = (Some(task), average);
        self.snapshot = Snapshot { fingerprint, ..checkpoint.snapshot().clone() };
        // With other images an epoch may have fewer batches than were already done.
        self.snapshot.batch = self.snapshot.batch.min(self.batches);
        if self.snapshot.ends_within_an_epoch() && !self.has_all_steps() {
            // The epoch that the run ended within goes on.
            self.snapshot.history.epochs.pop();
        }
        let place = self.snapshot.place(self.steps_per_epoch(), recipe.accumulation);
        self.snapshot.offset = self.snapshot.step as i64 - place as i64;
        self.snapshot.running.limit(self.snapshot.batch);
        self.stepped = self.snapshot.running;
        let best = self.plan.folder.best_path()?.map(|path| Snapshot::load(&path)).transpose()?;
        let known = self.snapshot.history.best();
        self.best_step = best.filter(|saved| saved.history.last() == known).map(|saved| saved.step);
        self.saved = checkpoint.path().to_path_buf();
        self.resumed_from = Some(self.saved.clone());
        Ok(())
    }

    /// What another length than the checkpoint's does to the learning rate.
    fn change_of_rates(&self, saved: &Value) -> Option<String> {
        let recipe: Recipe = serde_json::from_value(saved["recipe"].clone()).ok()?;
        let (length, steps_per_epoch) = (length_in(saved)?, steps_per_epoch_in(saved)?);
        let earlier = Schedule::new(&recipe, self.batch_size, steps_per_epoch)
            .stretched(length.epochs(steps_per_epoch));
        let step = self.scheduled(self.snapshot.step);
        let (was, is) = (earlier.at(step), self.schedule.at(step));
        (was != is).then(|| {
            format!(
                "the learning rate of the next step is {is:.2e}, it would have been {was:.2e}; from \
                 here on it is at most {:.2e}",
                self.schedule.peak_from(step)
            )
        })
    }

    /// Makes one forward pass over the first batches of both splits, on a copy that is not trained,
    /// so that a batch or a task that cannot be computed is found before anything is written. It
    /// also measures the trivial predictor.
    fn rehearse<C: Collate<Batch = T::Batch>>(
        &self,
        train: &Loader<C>,
        valid: &Loader<C>,
    ) -> Result<Option<f64>> {
        let task = self.task().valid();
        let Snapshot { epoch, batch, step, .. } = self.snapshot;
        let finite = |split: &str, loss: f32| match loss.is_finite() || step > 0 {
            true => Ok(()),
            false => Err(Error::config(format!(
                "the loss of the first {split} batch is {loss} before the first step: look at the \
                 images, the weights and the precision"
            ))),
        };
        if let Some(batch) = train.epoch(epoch as u64, batch).next() {
            let output = loss_of(&task, batch?, self.plan.precision)?;
            finite("training", output.loss.try_into_scalar().map_err(Error::device)?)?;
        }
        let mut trivial = RunningMean::default();
        let count = if self.snapshot.history.trivial_loss.is_none() { TRIVIAL_BATCHES } else { 1 };
        for (index, batch) in valid.epoch(0, 0).take(count).enumerate() {
            let batch = batch?;
            let loss = task.trivial_loss(&batch);
            if let Some(loss) = &loss {
                trivial.add(loss.clone().try_into_scalar().map_err(Error::device)?, 1);
            }
            if index == 0 {
                finite(
                    "validation",
                    task.loss(batch).loss.try_into_scalar().map_err(Error::device)?,
                )?;
            }
            if loss.is_none() {
                break;
            }
        }
        Ok((trivial.count() > 0).then(|| trivial.mean()))
    }

    /// Reports the sizes and rates of the run, and the loss of the trivial predictor for
    /// comparison.
    fn introduce(&mut self, notes: &[String]) {
        let Pretraining { recipe, ranks, .. } = self.plan;
        let (batch_size, batches) = (self.batch_size, self.batches);
        let done = self.snapshot.epoch * batches + self.snapshot.batch;
        let total = self.length.batches(batches, recipe.accumulation);
        let images = |batches: usize| batches.saturating_mul(batch_size);
        self.reporter = Reporter::new(self.plan.own_progress(), images(total), images(done));
        let say = |text: &str| self.reporter.note(text);
        say(&format!(
            "{}, {batches} batches of {batch_size} an epoch, {}",
            self.parameters, self.length,
        ));
        if self.plan.settled.is_some() {
            say(&format!(
                "the recipe's schedule of {} epochs is fitted to these {:.2}: its warm-up takes \
                 {:.2}",
                recipe.epochs,
                self.length.epochs(self.steps_per_epoch()),
                self.schedule.warmup_epochs(),
            ));
        }
        say(&format!(
            "effective batch {}, peak learning rate {:.2e} (base {:.2e} × {}/{})",
            recipe.effective_batch(batch_size),
            recipe.base_lr * recipe.lr_scale(batch_size),
            recipe.base_lr,
            recipe.effective_batch(batch_size),
            recipe.lr_batch,
        ));
        if ranks.ranks() > 1 {
            let ranks = ranks.ranks();
            say(&format!(
                "{ranks} processes share out the {} micro-batches of a step",
                recipe.accumulation
            ));
        }
        let warnings = recipe.warnings(batch_size, batches);
        for warning in self.parameters.plain_warning().into_iter().chain(warnings) {
            say(&format!("warning: {warning}"));
        }
        notes.iter().for_each(|note| say(note));
        if let Some(loss) = self.snapshot.history.trivial_loss {
            say(&format!("a predictor that does not look at the images has a loss of {loss:.4}"));
        }
    }
}

/// What must be the same for a resumed run to equal an uninterrupted one.
fn fingerprint(plan: &Pretraining, batch_size: usize, batches: usize) -> Value {
    json!({
        "budget": plan.settled, "recipe": plan.recipe, "seed": plan.seed, "precision": plan.precision,
        "config": plan.identity.as_ref().unwrap_or(&plan.config), "images": plan.images,
        "batch_size": batch_size, "batches": batches,
    })
}

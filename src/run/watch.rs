//! What a run does after each of its epochs: further metrics, and pictures that are renewed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::probe::OnlineProbe;
use crate::data::augment::Augmentation;
use crate::error::Result;
use crate::method::{DataFacts, Method, Run};
use crate::train::{History, Watch};
use crate::viz::LossCurve;

/// The shortest time between two renewals of the pictures.
const INTERVAL: Duration = Duration::from_secs(10);

/// How many times as long as it takes to draw the pictures there are at least between two renewals.
const SHARE: u32 = 40;

/// Watches a run: probes its encoder, and renews its pictures.
pub(super) struct Watcher<'a, M> {
    run: &'a Run,
    method: &'a M,
    facts: DataFacts,
    probe: Option<OnlineProbe>,
    pictures: Renewal,
}

impl<'a, M: Method> Watcher<'a, M> {
    pub(super) fn new(run: &'a Run, method: &'a M, facts: DataFacts) -> Result<Self> {
        let probe = (run.probe > 0).then(|| OnlineProbe::new(run, method.image())).transpose()?;
        Ok(Self { run, method, facts, probe, pictures: Renewal::new(Instant::now()) })
    }
}

impl<M: Method> Watch<M::Task> for Watcher<'_, M> {
    fn probe(&mut self, task: &M::Task, epoch: usize) -> Result<BTreeMap<String, f64>> {
        match &self.probe {
            Some(probe) => probe.measure(M::encoder(task), epoch),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Renews the pictures if that is due. The next renewal may do better than one that fails, and
    /// the last one, after training, is the one that must not fail.
    fn after_epoch(&mut self, task: &M::Task, history: &History) -> Result<()> {
        let started = Instant::now();
        if self.pictures.is_due(started) {
            if let Err(error) = self.run.draw(self.method, &self.facts, task, history) {
                self.run.progress.note(&format!("warning: the pictures are not renewed: {error}"));
            }
            self.pictures.done(started, Instant::now());
        }
        Ok(())
    }
}

impl Run {
    /// Writes the loss curve and the method's picture, each whole under its name.
    pub(super) fn draw<M: Method>(
        &self,
        method: &M,
        facts: &DataFacts,
        task: &M::Task,
        history: &History,
    ) -> Result<()> {
        let epochs = || history.epochs.iter();
        let mut curve = LossCurve::new(format!("{}: loss", M::TITLE))
            .with_train(epochs().map(|e| (e.epoch, e.train_loss)))
            .with_validation(epochs().map(|e| (e.epoch, e.valid_loss)))
            .with_learning_rate(epochs().map(|e| (e.epoch, e.learning_rate)));
        if let Some(loss) = history.trivial_loss {
            curve = curve.with_trivial(loss);
        }
        curve.save(self.out.join("loss_curve.png"))?;
        let batch = self.validation_batch(method.collate(facts, Augmentation::none())?)?;
        match method.picture(task, batch, facts)? {
            Some(picture) => picture.save(self.out.join(M::PICTURE)),
            None => Ok(()),
        }
    }
}

/// When pictures are renewed: so seldom that it takes a small share of the run's time.
struct Renewal {
    next: Instant,
}

impl Renewal {
    /// From `begun` on.
    fn new(begun: Instant) -> Self {
        Self { next: begun + INTERVAL }
    }

    fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// After a renewal that took from `started` to `ended`.
    fn done(&mut self, started: Instant, ended: Instant) {
        self.next = ended + INTERVAL.max((ended - started) * SHARE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_renewed_every_ten_seconds_and_seldomer_where_drawing_is_slow() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut renewal = Renewal::new(begun);
        assert!(!renewal.is_due(at(9)) && renewal.is_due(at(10)));
        renewal.done(at(10), at(10));
        assert!(!renewal.is_due(at(19)) && renewal.is_due(at(20)));
        // A drawing of a second is a fortieth of what follows.
        renewal.done(at(20), at(21));
        assert!(!renewal.is_due(at(60)) && renewal.is_due(at(61)));
    }
}

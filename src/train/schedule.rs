//! The learning rate of every step.

use burn::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use super::{Decay, Recipe};

/// The learning rate of a recipe as a function of the step, so that a resumed run needs only the
/// number of its step.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    recipe: Recipe,
    scale: f64,
    steps_per_epoch: f64,
    /// The epochs of the run, of which the last may be a part.
    epochs: f64,
    /// The factor of the recipe's epochs, 1 unless the run is longer or shorter than them.
    stretch: f64,
    step: usize,
}

impl Schedule {
    /// The schedule of `recipe` for batches of `batch_size` and this many steps per epoch.
    pub fn new(recipe: &Recipe, batch_size: usize, steps_per_epoch: usize) -> Self {
        let scale = recipe.lr_scale(batch_size);
        let (steps_per_epoch, epochs) = (steps_per_epoch.max(1) as f64, recipe.epochs as f64);
        Self { recipe: recipe.clone(), scale, steps_per_epoch, epochs, stretch: 1.0, step: 0 }
    }

    /// The same schedule over `epochs` epochs, of which the last may be a part: the warm-up and the
    /// milestones keep their shares of the run.
    pub fn stretched(self, epochs: f64) -> Self {
        Self { epochs, stretch: epochs / self.recipe.epochs as f64, ..self }
    }

    /// Epochs of linear warm-up.
    pub(super) fn warmup_epochs(&self) -> f64 {
        self.recipe.warmup_epochs * self.stretch
    }

    /// The largest learning rate of `step` and the steps after it.
    pub(super) fn peak_from(&self, step: usize) -> f64 {
        let warm = step as f64 / self.steps_per_epoch >= self.warmup_epochs();
        if warm { self.at(step) } else { self.recipe.base_lr * self.scale }
    }

    /// The learning rate of `step`, counted from 0: linear over the warm-up, then the decay, both
    /// in fractions of an epoch as in the papers' code.
    pub fn at(&self, step: usize) -> f64 {
        let Recipe { base_lr, warmup_lr, min_lr, .. } = self.recipe;
        let warmup_epochs = self.warmup_epochs();
        let epoch = step as f64 / self.steps_per_epoch;
        let base = if epoch < warmup_epochs {
            warmup_lr + (base_lr - warmup_lr) * epoch / warmup_epochs
        } else {
            match &self.recipe.decay {
                Decay::Cosine => {
                    let left = self.epochs - warmup_epochs;
                    let done = ((epoch - warmup_epochs) / left).min(1.0);
                    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                    min_lr + (base_lr - min_lr) * cosine
                }
                Decay::MultiStep { epochs, factor } => {
                    let is_passed = |&&milestone: &&f64| epoch >= milestone * self.stretch;
                    let passed = epochs.iter().filter(is_passed).count();
                    base_lr * factor.powi(passed as i32)
                }
            }
        };
        base * self.scale
    }
}

impl LrScheduler for Schedule {
    fn step(&mut self) -> f64 {
        self.step += 1;
        self.at(self.step - 1)
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar("step", self.step)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(step) = record.scalar::<usize>("step") {
            self.step = step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn a_cosine_starts_at_its_warm_up_peaks_and_ends_at_the_smallest_rate() {
        let recipe = Recipe::simmim().with_epochs(20).with_base_lr(1e-3).with_warmup_epochs(4.0);
        let schedule = Schedule::new(&recipe, 1024, 10);
        assert!(close(schedule.at(0), 2.0 * 1e-6));
        assert!(close(schedule.at(20), 2.0 * (1e-6 + (1e-3 - 1e-6) / 2.0)));
        assert!(close(schedule.at(40), 2.0 * 1e-3));
        assert!(close(schedule.at(120), 2.0 * (1e-5 + (1e-3 - 1e-5) / 2.0)));
        assert!(close(schedule.at(200), 2.0 * 1e-5));
        assert!(close(schedule.at(500), 2.0 * 1e-5));
    }

    #[test]
    fn a_multi_step_decay_falls_at_its_epochs() {
        let schedule = Schedule::new(&Recipe::simmim_800(), 2048, 10);
        assert!(close(schedule.at(6_999), 4e-4));
        assert!(close(schedule.at(7_000), 4e-5));
    }

    #[test]
    fn a_stretched_schedule_keeps_the_shares_of_its_parts() {
        // 40 epochs of warm-up of 800 are a twentieth: 2 steps of 40.
        let mae = Schedule::new(&Recipe::mae(), 256, 10).stretched(4.0);
        assert!(close(mae.at(1), 0.75e-4) && close(mae.at(2), 1.5e-4));
        assert!(close(mae.at(21), 0.75e-4) && close(mae.at(40), 0.0));
        assert_eq!((mae.peak_from(1), mae.peak_from(21)), (mae.at(2), mae.at(21)));
        // The step down at epoch 700 of 800 is at step 35 of 40.
        let simmim = Schedule::new(&Recipe::simmim_800(), 2048, 10).stretched(4.0);
        assert!(close(simmim.at(34), 4e-4) && close(simmim.at(35), 4e-5));
        let same = Schedule::new(&Recipe::mae(), 256, 10);
        assert_eq!(same.clone().stretched(800.0), same);
    }

    #[test]
    fn burn_steps_through_the_same_rates() {
        let mut schedule = Schedule::new(&Recipe::mae(), 256, 3);
        schedule.step();
        let record = schedule.to_record();
        let mut resumed = Schedule::new(&Recipe::mae(), 256, 3);
        resumed.load_record(record);
        assert_eq!(resumed.step(), schedule.at(1));
    }
}

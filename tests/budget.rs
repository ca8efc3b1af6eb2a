//! Where a run with a budget ends, and what its schedule makes of it.
#![cfg(feature = "train")]

mod common;

use std::f64::consts::PI;
use std::fs;
use std::path::Path;

use burn_mim::train::{Budget, Interrupt, Pretrained, Pretraining, RunFolder, Snapshot};
use burn_mim::{Backbone, Mae, Result};
use common::{IMAGE, loader, losses, mae, noise, pretraining, recipe, weights};
use serde_json::{Value, json};

/// A run of five steps an epoch, by a recipe of two epochs with half an epoch of warm-up.
fn plan(folder: &Path, budget: Budget) -> Pretraining {
    pretraining(folder, recipe(2)).budget(budget)
}

fn train(plan: Pretraining) -> Result<Pretrained<Mae>> {
    let config = mae(IMAGE);
    let mask = || config.mask().unwrap();
    let (train, valid) = (loader(IMAGE, mask(), true, 0), loader(IMAGE, mask(), false, 0));
    plan.run(config.init(&mut weights(3)), &train, &valid)
}

fn newest(folder: &Path) -> Snapshot {
    RunFolder::new(folder).require_latest().unwrap().snapshot().clone()
}

fn metrics(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("metrics.json")).unwrap()).unwrap()
}

/// What the encoder makes of an image, to the bit.
fn features(task: &Mae) -> Vec<f32> {
    task.encoder.represent(noise(IMAGE, 1)).tokens.into_data().try_to_vec().unwrap()
}

/// Trains to the end in as many processes as there are steps left; `begun` says whether the first
/// one goes on too.
fn step_by_step(begun: bool, plan: impl Fn() -> Pretraining) -> (usize, Pretrained<Mae>) {
    for stops in 0.. {
        let interrupt = Interrupt::default();
        interrupt.request();
        let trained = train(plan().resume(begun || stops > 0).interrupt(interrupt)).unwrap();
        if !trained.interrupted {
            return (stops, trained);
        }
    }
    unreachable!("a run ends")
}

#[test]
fn a_run_of_steps_ends_after_them_within_an_epoch_validated_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let history = train(plan(folder.path(), Budget::Steps(7))).unwrap().history;
    let Snapshot { epoch, batch, step, history: saved, .. } = newest(folder.path());
    assert_eq!((epoch, batch, step), (1, 2, 7));
    assert_eq!(saved, history);
    assert_eq!(history.epochs.iter().map(|e| e.epoch).collect::<Vec<_>>(), [1, 2]);
    // A quarter of the recipe is warm-up, 1.75 of 7 steps; the last step begins after 6.
    let done = (6.0 - 1.75) / (7.0 - 1.75);
    let rate = 3e-2 * 8.0 / 256.0 * 0.5 * (1.0 + f64::cos(PI * done));
    assert!((history.epochs[1].learning_rate - rate).abs() < 1e-12, "{history:?}");
    let metrics = metrics(folder.path());
    assert_eq!(metrics["budget"], json!({ "steps": 7 }));
    assert_eq!(metrics["epochs"].as_array().unwrap().len(), 2);
    // There is nothing left to do.
    let again = train(plan(folder.path(), Budget::Steps(7)).resume(true)).unwrap();
    assert_eq!(again.history, history);
}

#[test]
fn epochs_and_as_many_steps_are_the_same_run() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [epochs, steps] = [Budget::Epochs(2), Budget::Steps(10)];
    let epochs = train(plan(folders[0].path(), epochs)).unwrap();
    let steps = train(plan(folders[1].path(), steps)).unwrap();
    assert_eq!(losses(&epochs.history), losses(&steps.history));
    assert_eq!(features(&epochs.task), features(&steps.task));
    // The recipe has these two epochs too.
    let plain = train(pretraining(folders[1].path(), recipe(2))).unwrap();
    assert_eq!(losses(&plain.history), losses(&epochs.history));
}

#[test]
fn a_run_of_any_budget_resumed_after_every_step_equals_an_uninterrupted_one() {
    for (budget, steps) in [(Budget::Epochs(1), 5), (Budget::Steps(8), 8)] {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let whole = train(plan(folders[0].path(), budget)).unwrap();
        let (stops, stepped) = step_by_step(false, || plan(folders[1].path(), budget));
        assert_eq!(stops + 1, steps);
        assert_eq!(losses(&stepped.history), losses(&whole.history));
        assert_eq!(features(&stepped.task), features(&whole.task));
    }
}

#[test]
fn minutes_become_a_number_of_steps_that_the_run_keeps() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let folder = folders[0].path();
    // So little time is worth one step, whatever the machine.
    let minutes = |minutes| plan(folder, Budget::Minutes(minutes));
    let timed = train(minutes(1e-9)).unwrap();
    assert_eq!(metrics(folder)["budget"], json!({ "minutes": 1e-9, "steps": 1 }));
    assert_eq!(newest(folder).step, 1);
    // Timing leaves no trace in the weights.
    let repeated = train(plan(folders[1].path(), Budget::Steps(1))).unwrap();
    assert_eq!(losses(&timed.history), losses(&repeated.history));
    assert_eq!(features(&timed.task), features(&repeated.task));
    // Seven times the minutes are seven times the steps, and so they are for the next process.
    let (stops, longer) = step_by_step(true, || minutes(7e-9));
    assert_eq!((stops, newest(folder).step), (5, 7));
    assert_eq!(metrics(folder)["budget"], json!({ "minutes": 7e-9, "steps": 7 }));
    // In steps, it is the same run.
    let steps = train(plan(folder, Budget::Steps(7)).resume(true)).unwrap();
    assert_eq!(losses(&steps.history), losses(&longer.history));
}

#[test]
fn the_budget_of_minutes_is_known_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = mae(IMAGE);
    let mask = || config.mask().unwrap();
    let (train, valid) = (loader(IMAGE, mask(), true, 0), loader(IMAGE, mask(), false, 0));
    let task = config.init(&mut weights(3));
    let mut plan = plan(folder.path(), Budget::Minutes(0.005));
    let Some(Budget::Steps(steps)) = plan.settle_budget(&task, &train, &valid).unwrap() else {
        panic!("minutes are settled as steps")
    };
    // The same plan keeps to its number.
    assert_eq!(plan.settle_budget(&task, &train, &valid).unwrap(), Some(Budget::Steps(steps)));
    plan.run(task, &train, &valid).unwrap();
    assert_eq!(newest(folder.path()).step, steps);
}

#[test]
fn a_longer_run_goes_on_within_the_epoch_that_the_shorter_ended_in() {
    let folder = tempfile::tempdir().unwrap();
    let short = train(plan(folder.path(), Budget::Steps(7))).unwrap();
    let long = train(plan(folder.path(), Budget::Steps(12)).resume(true)).unwrap();
    let snapshot = newest(folder.path());
    assert_eq!((snapshot.epoch, snapshot.batch, snapshot.step), (2, 2, 12));
    let history = losses(&long.history);
    assert_eq!((history.len(), history[0]), (3, losses(&short.history)[0]));
    // The second epoch is whole now: the mean of five losses, with the rate of step 10.
    let done = (9.0 - 3.0) / (12.0 - 3.0);
    let rate = 3e-2 * 8.0 / 256.0 * 0.5 * (1.0 + f64::cos(PI * done));
    assert!((history[1][2] - rate).abs() < 1e-12, "{history:?}");
    assert_ne!(history[1][0], losses(&short.history)[1][0]);
}

#[test]
fn a_run_cannot_be_made_shorter() {
    let folder = tempfile::tempdir().unwrap();
    train(plan(folder.path(), Budget::Steps(7))).unwrap();
    let refusal = |budget| {
        let refused = train(plan(folder.path(), budget).resume(true));
        refused.unwrap_err().to_string()
    };
    let steps = refusal(Budget::Steps(6));
    assert!(steps.ends_with("the run has 6 steps here and 7 steps in the checkpoint"), "{steps}");
    let epochs = refusal(Budget::Epochs(1));
    assert!(epochs.ends_with("the run has 1 epoch here and 7 steps in the checkpoint"), "{epochs}");
    let nothing = refusal(Budget::Steps(0));
    assert!(nothing.contains("budget.steps must be at least 1, got 0"), "{nothing}");
}

//! Checkpoints within epochs, by steps and by time, and runs that stop when their time is over.
#![cfg(feature = "train")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use burn_mim::train::{
    Interrupt, Pretrained, Pretraining, Recipe, RunFolder, Saves, weights_sha256,
};
use burn_mim::{MaeTask, Result};
use common::{IMAGE, loader, losses, mae, pretraining, recipe, weights};

fn train(plan: Pretraining) -> Result<Pretrained<MaeTask>> {
    let config = mae(IMAGE);
    let mask = || config.mask().unwrap();
    let (train, valid) = (loader(IMAGE, mask(), true, 0), loader(IMAGE, mask(), false, 0));
    plan.run(config.init_task(&mut weights(3)), &train, &valid)
}

/// The steps of the checkpoints in `folder`.
fn steps(folder: &Path) -> Vec<usize> {
    let names = std::fs::read_dir(folder.join("checkpoints")).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut steps: Vec<_> = names
        .map(name)
        .filter_map(|name| name.strip_prefix("step-").and_then(|step| step.parse().ok()))
        .collect();
    steps.sort_unstable();
    steps
}

fn averaged(epochs: usize) -> Recipe {
    recipe(epochs).with_ema(Some(0.9)).with_accumulation(2)
}

#[test]
fn a_run_ends_at_the_same_bits_from_each_checkpoint_within_its_epochs() {
    let whole = tempfile::tempdir().unwrap();
    let every = Saves { steps: 1, ..Saves::default() };
    let trained = train(pretraining(whole.path(), averaged(2)).saves(every).keep(100)).unwrap();
    let plain = tempfile::tempdir().unwrap();
    let unsaved = train(pretraining(plain.path(), averaged(2))).unwrap();
    assert_eq!(losses(&trained.history), losses(&unsaved.history), "saving changes nothing");
    let checkpoints = steps(whole.path());
    let within = |step: &usize| {
        let checkpoint = RunFolder::new(whole.path()).at_step(*step).unwrap();
        checkpoint.snapshot().batch > 0
    };
    assert!(checkpoints.iter().filter(|step| within(step)).count() >= 2, "{checkpoints:?}");
    for &step in &checkpoints {
        let copy = tempfile::tempdir().unwrap();
        let name = format!("checkpoints/step-{step:08}");
        std::fs::create_dir_all(copy.path().join(&name)).unwrap();
        for file in std::fs::read_dir(whole.path().join(&name)).unwrap() {
            let file = file.unwrap();
            let to = copy.path().join(&name).join(file.file_name());
            std::fs::copy(file.path(), to).unwrap();
        }
        let resumed = train(pretraining(copy.path(), averaged(2)).resume(true)).unwrap();
        assert_eq!(weights_sha256(&resumed.task), weights_sha256(&trained.task), "from {step}");
        assert_eq!(losses(&resumed.history), losses(&trained.history), "from {step}");
    }
}

#[test]
fn epochs_between_two_checkpoints_are_not_saved_and_the_last_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let rarely = Saves { epochs: 2, ..Saves::default() };
    let trained = train(pretraining(folder.path(), recipe(3)).saves(rarely).keep(100)).unwrap();
    assert_eq!(trained.history.epochs.len(), 3);
    let found = steps(folder.path());
    let last = *found.last().unwrap();
    assert_eq!(found, [0, last / 3 * 2, last]);
}

#[test]
fn a_checkpoint_is_due_when_its_minutes_are_over() {
    let folder = tempfile::tempdir().unwrap();
    // Over after any step.
    let always = Saves { minutes: 1e-12, ..Saves::default() };
    train(pretraining(folder.path(), recipe(1)).saves(always).keep(100)).unwrap();
    let found = steps(folder.path());
    assert_eq!(found, (0..=*found.last().unwrap()).collect::<Vec<_>>());
    assert!(found.len() > 2);
}

#[test]
fn a_run_whose_time_is_over_saves_its_step_and_goes_on_to_the_same_bits() {
    let whole = tempfile::tempdir().unwrap();
    let trained = train(pretraining(whole.path(), recipe(1))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let over = || Interrupt::default().with_deadline(Instant::now());
    let stopped = train(pretraining(folder.path(), recipe(1)).interrupt(over())).unwrap();
    assert!(stopped.interrupted);
    assert_eq!(steps(folder.path()), [0, 1]);
    let again = pretraining(folder.path(), recipe(1)).interrupt(over()).resume(true);
    assert!(train(again).unwrap().interrupted);
    let hour = Interrupt::default().with_deadline(Instant::now() + Duration::from_secs(3600));
    let resumed = pretraining(folder.path(), recipe(1)).interrupt(hour).resume(true);
    let resumed = train(resumed).unwrap();
    assert!(!resumed.interrupted);
    assert_eq!(weights_sha256(&resumed.task), weights_sha256(&trained.task));
    assert_eq!(losses(&resumed.history), losses(&trained.history));
}

#[test]
fn saves_that_never_come_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let never = Saves { epochs: 0, ..Saves::default() };
    let refusal = train(pretraining(folder.path(), recipe(1)).saves(never)).unwrap_err();
    assert!(refusal.to_string().contains("got 0"), "{refusal}");
    assert!(!folder.path().join("checkpoints").exists());
}

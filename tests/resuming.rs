//! What a run leaves of earlier ones, what it goes on from, and what it refuses.
#![cfg(feature = "train")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn_mim::Result;
use burn_mim::train::{Checkpoint, History, Precision, Pretraining, Recipe, RunFolder};
use common::{IMAGE, Plain, loader, losses, mae, pretraining, recipe, weights};

/// Trains a tiny MAE as `plan` says.
fn train(plan: Pretraining) -> Result<History> {
    let config = mae(IMAGE);
    let mask = || config.mask().unwrap();
    let (train, valid) = (loader(IMAGE, mask(), true, 0), loader(IMAGE, mask(), false, 0));
    Ok(plan.run(config.init(&mut weights(3)), &train, &valid)?.history)
}

fn fresh(folder: &Path, recipe: Recipe) -> History {
    train(pretraining(folder, recipe)).unwrap()
}

fn refusal(plan: Pretraining) -> String {
    train(plan).unwrap_err().to_string()
}

/// Every file below `folder` with its content, but for the lock.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut folders, mut found) = (vec![folder.to_path_buf()], BTreeMap::new());
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with(".lock") {
                found.insert(
                    path.strip_prefix(folder).unwrap().to_path_buf(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

fn newest(folder: &Path) -> PathBuf {
    RunFolder::new(folder).require_latest().unwrap().path().to_path_buf()
}

#[test]
fn a_run_that_cannot_start_leaves_an_earlier_one_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    fresh(folder.path(), recipe(1));
    let before = files(folder.path());
    let config = mae(IMAGE);
    let mask = || config.mask().unwrap();
    let task = Plain { inner: config.init(&mut weights(3)) };
    let (train, valid) = (loader(IMAGE, mask(), true, 0), loader(IMAGE, mask(), false, 0));
    let plan = pretraining(folder.path(), recipe(1)).precision(Precision::Bf16);
    let message = plan.run(task, &train, &valid).unwrap_err().to_string();
    assert!(message.contains("mixed precision"), "{message}");
    assert!(files(folder.path()) == before);
}

#[test]
fn a_new_run_moves_an_earlier_one_aside_whole() {
    let folder = tempfile::tempdir().unwrap();
    let first = fresh(folder.path(), recipe(1));
    let before = files(folder.path());
    fresh(folder.path(), recipe(2));
    let aside = folder.path().join("earlier.1");
    assert!(files(&aside) == before);
    let checkpoint = RunFolder::new(&aside).require_latest().unwrap();
    assert_eq!(losses(&checkpoint.snapshot().history), losses(&first));
    checkpoint.load(mae(IMAGE).init(&mut weights(4))).unwrap();
}

#[test]
fn more_epochs_go_on_by_their_own_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let short = losses(&fresh(folder.path(), recipe(1)));
    let long = train(pretraining(folder.path(), recipe(3)).resume(true)).unwrap();
    assert_eq!((long.epochs.len(), losses(&long)[0]), (3, short[0]));
    let fewer = refusal(pretraining(folder.path(), recipe(2)).resume(true));
    assert!(
        fewer.ends_with(
            "cannot be resumed: the run has 2 epochs here and 3 epochs in the checkpoint"
        ),
        "{fewer}"
    );
}

#[test]
fn what_differs_is_named_with_both_values_in_one_short_line() {
    let folder = tempfile::tempdir().unwrap();
    fresh(folder.path(), recipe(1));
    let other = recipe(1).with_base_lr(0.004);
    let said = refusal(pretraining(folder.path(), other).resume(true));
    let expected = "cannot be resumed: recipe.base_lr is 0.004 here and 0.03 in the checkpoint";
    assert!(said.ends_with(expected) && !said.contains('\n'), "{said}");
    let said = refusal(pretraining(folder.path(), recipe(1)).seed(2).resume(true));
    assert!(said.ends_with("cannot be resumed: seed is 2 here and 1 in the checkpoint"), "{said}");
    // What decides no bits may be another.
    train(pretraining(folder.path(), recipe(1)).keep(7).resume(true)).unwrap();
}

#[test]
fn other_images_are_refused_by_their_number_and_taken_if_that_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let plan = |epochs, count| {
        pretraining(folder.path(), recipe(epochs)).images(count, 12, format!("{count} images"))
    };
    train(plan(1, 43)).unwrap();
    let said = refusal(plan(2, 42).resume(true));
    let expected = "the data has 42 training images, the checkpoint's run had 43; bring back";
    assert!(said.contains(expected), "{said}");
    let history = train(plan(2, 42).resume(true).accept_changed_data(true)).unwrap();
    assert_eq!(history.epochs.len(), 2);
    // From then on the run is one on these images.
    train(plan(2, 42).resume(true)).unwrap();
}

#[test]
fn nothing_to_resume_is_an_error_that_names_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("typo");
    let said = refusal(pretraining(&out, recipe(1)).resume(true));
    let expected = format!("checkpoint {}: there is no checkpoint to resume from", out.display());
    assert!(said.starts_with(&expected), "{said}");
    assert!(files(&out).is_empty());
}

#[test]
fn a_damaged_newest_checkpoint_falls_back_to_the_whole_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let whole = losses(&fresh(folder.path(), recipe(3)));
    let path = newest(folder.path());
    type Damage = fn(&Path);
    let damages: &[(&str, Damage)] = &[
        ("model.bpk", |file| fs::write(file, [0; 10]).unwrap()),
        ("model.bpk", |file| {
            let mut bytes = fs::read(file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
            fs::write(file, bytes).unwrap();
        }),
        ("state.json", |file| fs::write(file, "").unwrap()),
        ("optimizer.bpk", |file| fs::remove_file(file).unwrap()),
        ("manifest.json", |file| fs::remove_file(file).unwrap()),
    ];
    for (name, damage) in damages {
        let good = fs::read(path.join(name)).unwrap();
        damage(&path.join(name));
        let before = newest(folder.path());
        assert!(before < path, "{name}");
        assert!(Checkpoint::open(&path).unwrap_err().to_string().contains(name), "{name}");
        fs::write(path.join(name), good).unwrap();
    }
    assert_eq!(newest(folder.path()), path);
    fs::write(path.join("model.bpk"), "").unwrap();
    // What else lies there is no checkpoint.
    fs::create_dir(path.with_file_name("step-99999999")).unwrap();
    fs::write(path.with_file_name("step-x"), "").unwrap();
    let resumed = train(pretraining(folder.path(), recipe(3)).resume(true)).unwrap();
    assert_eq!(losses(&resumed), whole);
}

#[test]
fn a_checkpoint_from_before_checksums_still_loads() {
    let folder = tempfile::tempdir().unwrap();
    fresh(folder.path(), recipe(1));
    let path = newest(folder.path());
    fs::remove_file(path.join("manifest.json")).unwrap();
    let state = fs::read_to_string(path.join("state.json")).unwrap();
    fs::write(
        path.join("state.json"),
        state.replace("\"checksums\": true", "\"checksums\": false"),
    )
    .unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert!(!checkpoint.has_checksums());
    checkpoint.load(mae(IMAGE).init(&mut weights(0))).unwrap();
    assert_eq!(train(pretraining(folder.path(), recipe(2)).resume(true)).unwrap().epochs.len(), 2);
}

#[test]
fn the_best_checkpoint_and_any_other_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let history = fresh(folder.path(), recipe(4));
    let run = RunFolder::new(folder.path());
    let best = run.best().unwrap().unwrap();
    assert_eq!(best.snapshot().history.last(), history.best());
    best.load(mae(IMAGE).init(&mut weights(0))).unwrap();
    assert_eq!(run.at_step(20).unwrap().snapshot().epoch, 4);
    let message = run.at_step(3).unwrap_err().to_string();
    assert!(message.contains("there is no such checkpoint; the run has the steps: "), "{message}");
    // The folder of a checkpoint is the run as it was then.
    let then = RunFolder::new(best.path());
    assert_eq!((then.path(), then.require_latest().unwrap()), (run.path(), best));
}

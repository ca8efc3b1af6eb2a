//! Following a run: what stands in its `log.jsonl`, that an interruption leaves no trace there, and
//! who looks on.
#![cfg(feature = "train")]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use burn_mim::train::{Budget, History, Interrupt, LogLine, Pretraining, Recipe, RunFolder, Watch};
use burn_mim::{Mae, Result};
use common::{IMAGE, loader, mae, pretraining, recipe, weights};
use serde_json::Value;

fn train(plan: Pretraining) -> (History, bool) {
    let config = mae(IMAGE);
    let mask = || config.mask().unwrap();
    let (train, valid) = (loader(IMAGE, mask(), true, 0), loader(IMAGE, mask(), false, 0));
    let trained = plan.run(config.init(&mut weights(3)), &train, &valid).unwrap();
    (trained.history, trained.interrupted)
}

/// Two epochs of five steps.
fn plan(folder: &Path, recipe: Recipe) -> Pretraining {
    pretraining(folder, recipe).log_every(1)
}

fn lines(folder: &Path) -> Vec<LogLine> {
    let text = fs::read_to_string(folder.join("log.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines without what the clock and the machine decide.
fn timeless(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("log.jsonl")).unwrap();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        for field in ["images_per_second", "seconds", "memory"] {
            line.remove(field).expect(field);
        }
    }
    lines
}

#[test]
fn the_lines_are_the_runs_steps_and_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let (history, _) = train(plan(folder.path(), recipe(2)));
    let (mut losses, mut ends, mut before) = (vec![], vec![], 0.0);
    for line in lines(folder.path()) {
        match line {
            LogLine::Step { step, epoch, loss, rate, gradient_norm, seconds, .. } => {
                losses.push(f64::from(loss));
                assert_eq!((step, epoch), (losses.len(), losses.len().div_ceil(5)));
                // Half an epoch of warm-up from 0, to a peak of 3e-2 for a batch of 256.
                if step <= 3 {
                    let warm = 3e-2 * 8.0 / 256.0 * (step - 1) as f64 / 2.5;
                    assert!((rate - warm).abs() < 1e-12, "{rate} is not {warm}");
                }
                assert!(gradient_norm.is_some_and(|norm| norm > 0.0));
                assert!(seconds >= before);
                before = seconds;
            }
            LogLine::Epoch { epoch, step, train_loss, valid_loss, .. } => {
                assert_eq!(step, epoch * 5);
                // The mean of its steps, as `metrics.json` has it.
                let mean = losses[step - 5..].iter().sum::<f64>() / 5.0;
                assert!((train_loss - mean).abs() < 1e-6, "{train_loss} is not {mean}");
                ends.push((train_loss, valid_loss));
            }
            other => panic!("no such line is known: {other:?}"),
        }
    }
    let known: Vec<_> = history.epochs.iter().map(|e| (e.train_loss, e.valid_loss)).collect();
    assert_eq!((losses.len(), ends), (10, known));
}

#[test]
fn every_so_many_steps_have_a_line_and_so_has_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let steps = |every| {
        train(plan(folder.path(), recipe(2)).log_every(every));
        let steps = lines(folder.path()).into_iter().filter_map(|line| match line {
            LogLine::Step { step, .. } => Some(step),
            _ => None,
        });
        steps.collect::<Vec<_>>()
    };
    assert_eq!(steps(4), [1, 4, 8]);
    assert_eq!(steps(0), [0; 0]);
}

#[test]
fn a_norm_that_no_clipping_needs_is_not_computed() {
    let folder = tempfile::tempdir().unwrap();
    train(plan(folder.path(), recipe(1).with_clip_norm(None)));
    let norms = lines(folder.path()).into_iter().filter_map(|line| match line {
        LogLine::Step { gradient_norm, .. } => Some(gradient_norm),
        _ => None,
    });
    assert_eq!(norms.collect::<Vec<_>>(), [None; 5]);
}

#[test]
fn the_log_of_a_run_that_was_killed_equals_an_uninterrupted_ones() {
    let [whole, folder] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let plan = |folder: &Path| plan(folder, recipe(3)).budget(Budget::Steps(13));
    train(plan(whole.path()));
    let expected = timeless(whole.path());
    assert_eq!(expected.len(), 13 + 3);
    // Killed after the last step, while a line was written and before the checkpoint was whole.
    train(plan(folder.path()));
    let newest = RunFolder::new(folder.path()).require_latest().unwrap();
    fs::remove_dir_all(newest.path()).unwrap();
    let path = folder.path().join("log.jsonl");
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(br#"{"kind":"step","step":14,"ep"#).unwrap();
    train(plan(folder.path()).resume(true));
    assert_eq!(timeless(folder.path()), expected);
}

#[test]
fn the_log_of_a_run_that_was_stopped_at_every_step_equals_an_uninterrupted_ones() {
    let [whole, folder] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    train(plan(whole.path(), recipe(2).with_accumulation(2)));
    for stops in 0.. {
        let interrupt = Interrupt::default();
        interrupt.request();
        let plan = plan(folder.path(), recipe(2).with_accumulation(2));
        let (_, interrupted) = train(plan.resume(stops > 0).interrupt(interrupt));
        if !interrupted {
            break;
        }
    }
    assert_eq!(timeless(folder.path()), timeless(whole.path()));
}

/// The epochs of the history after each epoch, and those in the figures that there are by then.
struct Notes<'a>(&'a Path, Vec<(usize, usize)>);

impl Watch<Mae> for Notes<'_> {
    fn after_epoch(&mut self, _: &Mae, history: &History) -> Result<()> {
        let metrics = fs::read(self.0.join("metrics.json")).unwrap();
        let metrics: Value = serde_json::from_slice(&metrics).unwrap();
        let written = metrics["epochs"].as_array().unwrap().len();
        self.1.push((history.epochs.len(), written));
        Ok(())
    }
}

#[test]
fn who_watches_a_run_is_called_after_every_epochs_figures() {
    let folder = tempfile::tempdir().unwrap();
    let config = mae(IMAGE);
    let mask = || config.mask().unwrap();
    let (train, valid) = (loader(IMAGE, mask(), true, 0), loader(IMAGE, mask(), false, 0));
    let plan = plan(folder.path(), recipe(3)).budget(Budget::Steps(12));
    let mut notes = Notes(folder.path(), vec![]);
    plan.run_watched(config.init(&mut weights(3)), &train, &valid, &mut notes).unwrap();
    assert_eq!(notes.1, [(1, 1), (2, 2), (3, 3)]);
    let last = RunFolder::new(folder.path()).require_latest().unwrap();
    assert_eq!(last.snapshot().step, 12, "a run that returns has its last checkpoint");
}

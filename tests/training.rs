//! The loop: what a run promises about seeds, restarts, accumulation and faults.
#![cfg(feature = "train")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn::train::metric::LossMetric;
use burn::train::{ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining};
use burn_mim::train::{
    BurnTask, Interrupt, OptimizerKind, Recipe, RunFolder, Schedule, Snapshot, optimizer,
};
use burn_mim::{Mim, MimBatch, PretextTask, TaskOutput};
use common::{
    IMAGE, loader, loaders, losses, mae, pretraining, recipe, simmim, sized_loader, weights,
};

/// Trains a tiny MAE from the same weights on loaders of `workers` threads.
fn train(folder: &Path, recipe: Recipe, workers: usize, resume: bool) -> Vec<[f64; 3]> {
    let config = mae(IMAGE);
    let (train, valid) = (
        loader(IMAGE, config.mask().unwrap(), true, workers),
        loader(IMAGE, config.mask().unwrap(), false, workers),
    );
    let run = pretraining(folder, recipe).resume(resume);
    losses(&run.run(config.init(&mut weights(3)), &train, &valid).unwrap().history)
}

fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("checkpoints")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn the_same_seed_gives_the_same_bits_with_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let first = train(folder.path(), recipe(3), 0, false);
    assert_eq!(first.len(), 3);
    assert!(first[2][1] < first[0][1], "{first:?}");
    for workers in [0, 1, 4] {
        assert_eq!(train(folder.path(), recipe(3), workers, false), first, "{workers} workers");
    }
}

/// What a run leaves in `folder` that is killed while it writes its last checkpoint, with the first
/// `written` of that one's files on the disk.
fn kill_at_last_save(folder: &Path, written: usize) {
    let last = checkpoints(folder).pop().unwrap();
    let fragment = last.with_file_name(".step-00000020.1.0.partial");
    fs::rename(&last, &fragment).unwrap();
    let mut files: Vec<_> =
        fs::read_dir(&fragment).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().skip(written).for_each(|file| fs::remove_file(file).unwrap());
}

#[test]
fn a_run_killed_at_any_file_of_its_last_save_and_resumed_equals_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let whole = train(folder.path(), recipe(4), 1, false);
    let files = fs::read_dir(checkpoints(folder.path()).pop().unwrap()).unwrap().count();
    assert!(files > 2, "a model, an optimizer and a state at least, got {files}");
    for written in 0..=files {
        kill_at_last_save(folder.path(), written);
        assert_eq!(train(folder.path(), recipe(4), 1, true), whole, "{written} of {files} files");
        let names = checkpoints(folder.path());
        let names: Vec<_> = names.iter().map(|path| path.file_name().unwrap()).collect();
        assert!(names.iter().all(|name| name.to_string_lossy().starts_with("step-")), "{names:?}");
    }
}

/// The losses of a run that is stopped after every step and resumed, and how often it was.
fn stopped_at_every_step(recipe: &Recipe) -> (Vec<[f64; 3]>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let config = mae(IMAGE);
    let [batches, valid] = loaders(config.mask().unwrap());
    for stops in 0.. {
        // Asked to stop before it starts, a run stops after one step.
        let interrupt = Interrupt::default();
        interrupt.request();
        let run = pretraining(folder.path(), recipe.clone());
        let run = run.resume(stops > 0).interrupt(interrupt);
        let pretrained = run.run(config.init(&mut weights(3)), &batches, &valid).unwrap();
        if !pretrained.interrupted {
            return (losses(&pretrained.history), stops);
        }
    }
    unreachable!("a run ends")
}

#[test]
fn a_run_stopped_within_an_epoch_and_resumed_equals_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let whole = train(folder.path(), recipe(2), 1, false);
    // Two epochs of five steps, and the last one ends the run.
    assert_eq!(stopped_at_every_step(&recipe(2)), (whole, 9));
}

#[test]
fn so_does_one_by_muon_with_all_that_a_recipe_can_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let muon = recipe(2)
        .with_optimizer(OptimizerKind::Muon)
        .with_layer_decay(0.75)
        .with_clip_norm(Some(1.0))
        .with_accumulation(2)
        .with_ema(Some(0.5));
    let whole = train(folder.path(), muon.clone(), 1, false);
    assert!(whole[1][1] < whole[0][1], "{whole:?}");
    assert_eq!(stopped_at_every_step(&muon), (whole, 5));
}

#[test]
fn the_last_checkpoints_and_the_best_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let history = train(folder.path(), recipe(5), 0, false);
    let best = (0..5).min_by(|&a, &b| history[a][1].total_cmp(&history[b][1])).unwrap();
    let expected = std::collections::BTreeSet::from([(best + 1) * 5, 20, 25]);
    let steps = checkpoints(folder.path())
        .iter()
        .map(|path| Snapshot::load(path).unwrap().step)
        .collect::<std::collections::BTreeSet<_>>();
    assert_eq!(steps, expected);
}

#[test]
fn an_epochs_rest_of_accumulated_batches_still_makes_a_step() {
    let config = simmim(IMAGE);
    let [train, valid] = loaders(config.mask().unwrap());
    let folder = tempfile::tempdir().unwrap();
    for (accumulation, steps) in [(1, 5), (2, 3), (4, 2), (9, 1)] {
        let recipe = recipe(1).with_accumulation(accumulation).with_lr_batch(8 * accumulation);
        let run = pretraining(folder.path(), recipe);
        let pretrained = run.run(config.init(&mut weights(3)), &train, &valid).unwrap();
        let state = RunFolder::new(folder.path()).require_latest().unwrap();
        assert_eq!(state.snapshot().step, steps);
        assert!(losses(&pretrained.history)[0].iter().all(|loss| loss.is_finite()));
    }
}

/// How far the decoder's last layer moves in an epoch of steps of `accumulation` batches of `size`.
fn moved(size: usize, accumulation: usize) -> Vec<f32> {
    let config = mae(IMAGE);
    let [train, valid] =
        [true, false].map(|training| sized_loader(IMAGE, config.mask().unwrap(), training, size));
    // AdamW divides a gradient by its own size, and clipping cuts it: with an epsilon far above all
    // gradients and no clipping, a step is as long as its gradient.
    let recipe = Recipe::mae()
        .with_epochs(1)
        .with_epsilon(1e3)
        .with_base_lr(1e3)
        .with_weight_decay(0.0)
        .with_lr_batch(8)
        .with_accumulation(accumulation);
    let folder = tempfile::tempdir().unwrap();
    let run = pretraining(folder.path(), recipe);
    let before = config.init(&mut weights(3)).head.projection().weight.val().without_autodiff();
    let after = run.run(config.init(&mut weights(3)), &train, &valid).unwrap().task;
    (after.head.projection().weight.val() - before).into_data().try_to_vec().unwrap()
}

#[test]
fn accumulated_gradients_are_those_of_one_large_batch() {
    let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    let large = moved(8, 1);
    assert!(norm(&large) > 0.0);
    // The same 40 of the 43 images, in steps of the same eight.
    let parts = moved(4, 2);
    let off: Vec<f32> = parts.iter().zip(&large).map(|(a, b)| a - b).collect();
    // A sum instead of a mean would be off by the whole.
    let off = norm(&off) / norm(&large);
    assert!(off < 1e-3, "off by {off}");
}

/// A task whose loss is NaN from its fourth batch on, after the two that are tried first.
#[derive(Module, Debug)]
struct Diverging<T: Module> {
    inner: T,
    #[module(skip)]
    batches: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl<T: PretextTask<Batch = MimBatch>> PretextTask for Diverging<T> {
    type Batch = MimBatch;
    type Observed = T::Observed;

    fn loss(&self, batch: MimBatch) -> TaskOutput<T::Observed> {
        let count = self.batches.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let output = self.inner.loss(batch);
        let factor = if count < 5 { 1.0 } else { f32::NAN };
        TaskOutput { loss: output.loss * factor, ..output }
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_with_its_step_and_a_good_checkpoint() {
    let config = mae(IMAGE);
    let task = Diverging { inner: config.init(&mut weights(3)), batches: Default::default() };
    let [train, valid] = loaders(config.mask().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let error = pretraining(folder.path(), recipe(2)).run(task, &train, &valid).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("the loss became NaN at step 3 (epoch 1)"), "{message}");
    let saved = RunFolder::new(folder.path()).require_latest().unwrap();
    assert!(message.ends_with(&saved.path().display().to_string()));
    let task = Diverging { inner: config.init(&mut weights(4)), batches: Default::default() };
    let task = RunFolder::new(folder.path()).load_into(task).unwrap();
    let weight = task.inner.encoder.body.patch_embed.weight.val();
    assert!(weight.into_data().iter::<f32>().all(f32::is_finite));
}

#[test]
fn a_run_cannot_be_resumed_with_other_numbers() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), recipe(1), 0, false);
    let config = mae(IMAGE);
    let batches = loader(IMAGE, config.mask().unwrap(), true, 0);
    let valid = loader(IMAGE, config.mask().unwrap(), false, 0);
    let run = pretraining(folder.path(), recipe(1)).seed(2).resume(true);
    let message = run.run(config.init(&mut weights(3)), &batches, &valid).unwrap_err().to_string();
    let expected = "cannot be resumed: seed is 2 here and 1 in the checkpoint";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn a_checkpoint_that_is_cut_or_of_another_model_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    train(folder.path(), recipe(1), 0, false);
    let run = RunFolder::new(folder.path());
    let of_width = |width| {
        let config = mae(IMAGE);
        let encoder = burn_mim::VitConfig { width, ..config.encoder };
        let other = burn_mim::MaeConfig { encoder, ..config }.init(&mut weights(0));
        run.load_into(other).unwrap_err().to_string()
    };
    // A wider model does not fit into the file at all, a narrower one has other tensors.
    let message = of_width(32);
    assert!(message.contains("average.bpk") && message.contains("parameters, which"), "{message}");
    let message = of_width(8);
    assert!(message.contains("average.bpk") && message.contains("patch_embed"), "{message}");

    let model = run.require_latest().unwrap().path().join("average.bpk");
    let bytes = fs::read(&model).unwrap();
    fs::write(&model, &bytes[..bytes.len() / 2]).unwrap();
    let message = run.load_into(mae(IMAGE).init(&mut weights(0))).unwrap_err().to_string();
    assert!(message.contains("average.bpk"), "{message}");

    let empty = RunFolder::new(folder.path().join("nothing"));
    let message = empty.load_into(mae(IMAGE).init(&mut weights(0))).unwrap_err().to_string();
    assert!(message.ends_with("this run has no checkpoint"), "{message}");
}

#[test]
fn a_model_that_cannot_be_trained_is_refused() {
    let config = mae(IMAGE);
    let [train, valid] = loaders(config.mask().unwrap());
    let plain = config.init(&mut burn_mim::nn::InitialWeights::new(0, &common::device()));
    let folder = tempfile::tempdir().unwrap();
    let error = pretraining(folder.path(), recipe(1)).run(plain, &train, &valid).unwrap_err();
    assert!(error.to_string().contains("autodiff device"), "{error}");
}

#[test]
fn metrics_say_what_was_trained_and_how_well() {
    let folder = tempfile::tempdir().unwrap();
    let losses = train(folder.path(), recipe(2), 0, false);
    let json = fs::read(folder.path().join("metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(metrics["seed"], 1);
    assert_eq!(metrics["epochs"][1]["valid_loss"], losses[1][1]);
    assert_eq!(metrics["epochs"].as_array().unwrap().len(), 2);
    // Normalized patches have a variance of (n − 1) / n about their own mean, n = 3 · 4 · 4.
    let trivial = metrics["trivial_loss"].as_f64().unwrap();
    assert!((0.8..1.0).contains(&trivial), "{trivial}");
    // All but the fixed tables of 16 cells and a class token, 16 wide and 8 wide.
    let count = |name: &str| metrics[name].as_u64().unwrap();
    assert_eq!(count("parameters") - count("trained_parameters"), 17 * (16 + 8));
    assert!(count("trained_parameters") > 1000);
    assert_eq!(metrics["unreached_parameters"], serde_json::json!([]));
    assert!(metrics["images_per_second"].as_f64().unwrap() > 0.0);
}

/// The first weights before and after an epoch on burn's trainer.
fn on_burns_trainer(strategy: impl Fn(Device) -> ExecutionStrategy) -> [Vec<f32>; 2] {
    let config = mae(IMAGE);
    let folder = tempfile::tempdir().unwrap();
    let task = BurnTask::new(config.init(&mut weights(3)), 5).unwrap();
    let before = first_weight(&task.task);
    let train = loader(IMAGE, config.mask().unwrap(), true, 2);
    let valid = loader(IMAGE, config.mask().unwrap(), false, 0);
    let device = common::device().autodiff();
    let (train, valid) = (train.to_device(&device), valid.to_device(&device));
    let optimizer = optimizer(&task, &recipe(1));
    let schedule = Schedule::new(&recipe(1), 8, 5);
    let result = SupervisedTraining::new(folder.path(), train, valid)
        .metrics((LossMetric::new(),))
        .num_epochs(1)
        .with_application_logger(None)
        .with_training_strategy(strategy(device).into())
        .launch(Learner::new(task, optimizer, schedule));
    assert!(result.error.is_none(), "{:?}", result.error);
    [before, first_weight(&result.model.task)]
}

#[test]
fn burns_own_trainer_runs_the_same_tasks_and_loaders() {
    let [before, after] = on_burns_trainer(ExecutionStrategy::single);
    assert_ne!(after, before);
}

#[test]
fn burns_own_trainer_shares_a_task_out_among_devices() {
    let [main, sharded] =
        [MultiDeviceOptim::OptimMainDevice, MultiDeviceOptim::OptimSharded].map(|optimizer| {
            let two = |device: Device| ExecutionStrategy::multi(vec![device; 2], optimizer);
            let [before, after] = on_burns_trainer(two);
            assert_ne!(after, before);
            after
        });
    // The sum of two gradients does not depend on which comes first.
    assert_eq!(main, sharded);
}

fn first_weight<H: Module, T: Module>(task: &Mim<burn_mim::VisibleVit, H, T>) -> Vec<f32> {
    let weight: Tensor<2> = task.encoder.body.patch_embed.weight.val();
    weight.into_data().try_to_vec().unwrap()
}

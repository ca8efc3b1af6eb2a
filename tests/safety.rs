//! What training refuses or tells, because nobody would see it: parameters of one identity, parameters
//! that no loss reaches, and a collapse.
#![cfg(feature = "train")]

mod common;

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn_mim::nn::teacher_of;
use burn_mim::train::BurnTask;
use burn_mim::{Mae, Measured, MimBatch, PretextTask, TaskOutput};
use common::{IMAGE, loaders, mae, pretraining, recipe, weights};

/// What the run in `folder` left in `metrics.json`.
fn metrics(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("metrics.json")).unwrap()).unwrap()
}

fn first_weight(task: &Mae) -> Vec<f32> {
    task.encoder.body.patch_embed.weight.val().into_data().iter().collect()
}

/// A task beside a module that it does not look at.
#[derive(Module, Debug)]
struct Taught<T: Module> {
    student: T,
    teacher: T,
}

impl<T: PretextTask<Batch = MimBatch>> PretextTask for Taught<T> {
    type Batch = MimBatch;
    type Observed = T::Observed;

    fn loss(&self, batch: MimBatch) -> TaskOutput<T::Observed> {
        self.student.loss(batch)
    }
}

#[test]
fn a_cloned_teacher_is_refused_and_one_with_its_own_weights_trained_beside() {
    let config = mae(IMAGE);
    let [train, valid] = loaders(config.mask().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let student = config.init(&mut weights(3));
    let task = Taught { teacher: student.clone().no_grad(), student: student.clone() };
    let run = pretraining(folder.path(), recipe(1));
    let message = run.clone().run(task, &train, &valid).unwrap_err().to_string();
    let named = message.contains("student.encoder.") && message.contains(" and teacher.encoder.");
    assert!(named && message.contains("are one parameter"), "{message}");
    let task = Taught { teacher: student.clone(), student: student.clone() };
    assert_eq!(BurnTask::new(task, 1).unwrap_err().to_string(), message);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let student = config.init(&mut weights(3));
    let before = first_weight(&student);
    let task = Taught { teacher: teacher_of(&student), student };
    let trained = run.run(task, &train, &valid).unwrap().task;
    assert_eq!(first_weight(&trained.teacher), before);
    assert_ne!(first_weight(&trained.student), before);
    assert_eq!(metrics(folder.path())["unreached_parameters"], serde_json::json!([]));
}

#[test]
fn parameters_that_no_loss_reaches_and_nobody_froze_stand_in_the_metrics() {
    let config = mae(IMAGE);
    let [train, valid] = loaders(config.mask().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let [student, teacher] = [3, 4].map(|seed| config.init(&mut weights(seed)));
    let task = Taught { student, teacher };
    let run = pretraining(folder.path(), recipe(1));
    run.run(task.clone(), &train, &valid).unwrap();
    let metrics = metrics(folder.path());
    let named = metrics["unreached_parameters"].as_array().unwrap();
    assert!(named.len() > 10);
    assert!(named.iter().all(|path| path.as_str().unwrap().starts_with("teacher.")), "{named:?}");

    // A run that has ended does no step when it is resumed, and its report stays.
    pretraining(folder.path(), recipe(1)).resume(true).run(task, &train, &valid).unwrap();
    let again = self::metrics(folder.path());
    assert_eq!(again["unreached_parameters"], metrics["unreached_parameters"]);
}

/// A task of somebody else that looks at vectors of its own: `same` is the share of each that all
/// images have in common.
#[derive(Module, Debug)]
struct Watched<T: Module> {
    inner: T,
    same: f64,
}

impl<T: PretextTask<Batch = MimBatch>> PretextTask for Watched<T> {
    type Batch = MimBatch;
    type Observed = T::Observed;

    fn loss(&self, batch: MimBatch) -> TaskOutput<T::Observed> {
        self.inner.loss(batch)
    }

    fn measure(&self, batch: MimBatch) -> Measured {
        let own = batch.images.clone().flatten::<2>(1, 3) * (1.0 - self.same) + self.same;
        Measured { embeddings: vec![("pixel", own)], ..self.inner.measure(batch) }
    }
}

#[test]
fn a_collapse_of_any_tasks_vectors_is_told_and_the_run_goes_on() {
    let config = mae(IMAGE);
    let [train, valid] = loaders(config.mask().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let run = |same: f64| {
        let task = Watched { inner: config.init(&mut weights(3)), same };
        let run = pretraining(folder.path(), recipe(2));
        run.run(task, &train, &valid).unwrap().history.epochs
    };
    for epoch in run(0.5) {
        assert!(epoch.valid_metrics["pixel_spread"] > 0.1, "{epoch:?}");
        assert!(epoch.valid_metrics["pixel_rank_me"] > 1.0, "{epoch:?}");
        assert_eq!(epoch.collapse(), None);
    }
    let epochs = run(0.9999);
    assert_eq!(epochs.len(), 2);
    for epoch in epochs {
        assert_eq!(epoch.collapsed, ["pixel"]);
        let told = epoch.collapse().unwrap();
        assert!(told.contains("nearly the same for all images: pixel (spread "), "{told}");
    }
    assert_eq!(metrics(folder.path())["epochs"][1]["collapsed"], serde_json::json!(["pixel"]));
}

//! A target that follows the encoder: data2vec's teacher (Baevski et al. 2022, arXiv 2202.03555) in
//! a few lines, on the public parts alone.
#![cfg(feature = "train")]

mod common;

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use burn_mim::nn::follow;
use burn_mim::train::{History, Interrupt, Pretraining, RunFolder};
use burn_mim::{Backbone, LinearHead, Mim, MimBatch, RandomMask, Target, Vit};
use common::{IMAGE, encoder, loader, losses, pretraining, recipe, weights};

/// The hidden cells' features of a teacher that is a moving average of the encoder.
#[derive(Module, Debug)]
struct TeacherFeatures {
    teacher: Vit,
}

impl Target for TeacherFeatures {
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        self.teacher.width()
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        let features = self.teacher.represent(batch.images.clone());
        batch.mask.at(features.grid).asked.select(features.tokens)
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        (prediction - value).square().mean()
    }

    /// From 0.5 to 1 in the course of the run.
    fn after_step<E: Module>(self, encoder: &E, progress: f64) -> Self {
        Self { teacher: follow(self.teacher, encoder, 0.5 + 0.5 * progress) }
    }
}

/// Student and teacher start alike.
fn data2vec() -> Mim<Vit, LinearHead, TeacherFeatures> {
    let (config, weights) = (encoder(IMAGE), &mut weights(3));
    let teacher = config.init(&mut common::weights(3)).valid().no_grad();
    Mim {
        encoder: config.init(weights),
        head: LinearHead::new(config.width, config.width, weights),
        target: TeacherFeatures { teacher },
    }
}

fn train(plan: Pretraining) -> (History, Mim<Vit, LinearHead, TeacherFeatures>) {
    let mask = || RandomMask::mae(encoder(IMAGE).grid(), 0.5).unwrap();
    let (train, valid) = (loader(IMAGE, mask(), true, 0), loader(IMAGE, mask(), false, 0));
    let trained = plan.run(data2vec(), &train, &valid).unwrap();
    (trained.history, trained.task)
}

fn first_weight(vit: &Vit) -> Vec<f32> {
    vit.body.patch_embed.weight.val().into_data().iter().collect()
}

fn saved_weight(folder: &Path) -> Vec<f32> {
    first_weight(&RunFolder::new(folder).load_into(data2vec()).unwrap().target.teacher)
}

#[test]
fn a_teacher_follows_the_encoder_without_being_it_and_resumes_to_the_bit() {
    let whole = tempfile::tempdir().unwrap();
    let (history, task) = train(pretraining(whole.path(), recipe(3)));
    let (start, teacher) = (first_weight(&data2vec().encoder), first_weight(&task.target.teacher));
    assert!(teacher != start && teacher != first_weight(&task.encoder));
    assert_eq!(saved_weight(whole.path()), teacher);

    let parts = tempfile::tempdir().unwrap();
    // Asked from the start, a run stops after its first step.
    let interrupt = Interrupt::default();
    interrupt.request();
    train(pretraining(parts.path(), recipe(3)).interrupt(interrupt));
    let (resumed, task) = train(pretraining(parts.path(), recipe(3)).resume(true));
    assert_eq!(losses(&resumed), losses(&history));
    assert_eq!(first_weight(&task.target.teacher), teacher);
}

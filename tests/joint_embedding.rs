//! I-JEPA, iBOT and LeJEPA in training: what they leave, resumed or not.
#![cfg(feature = "run")]

mod common;

use std::path::Path;

use burn::tensor::Tensor;
use burn_mim::data::augment::Augmentation;
use burn_mim::data::{ChannelStatistics, Collate, Loader, LoaderConfig, Sample};
use burn_mim::encoder::VitBody;
use burn_mim::method::{DataFacts, Method};
use burn_mim::train::{Interrupt, Pretrained, Pretraining, RunFolder};
use burn_mim::{
    DecoderConfig, Grid, IBot, IBotConfig, IJepa, IJepaConfig, LeJepa, LeJepaConfig, MaskConfig,
    MultiBlockConfig, SigReg,
};
use common::{IMAGE, device, encoder, losses, pretraining, recipe, waves, weights};

fn facts() -> DataFacts {
    DataFacts::new(ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] })
}

fn fresh<M: Method>(method: &M) -> M::Task {
    method.init(&facts(), &mut weights(3)).unwrap()
}

fn train<M>(method: &M, plan: Pretraining) -> Pretrained<M::Task>
where
    M: Method<Collate: Collate<Sample = Sample>>,
{
    let loader = |training: bool| {
        let augmentation = if training { method.augmentation() } else { Augmentation::none() };
        let collate = method.collate(&facts(), augmentation).unwrap();
        let config = LoaderConfig { batch_size: 8, seed: 5, workers: 0, training };
        let dataset = waves(IMAGE, if training { 43 } else { 12 });
        Loader::new(dataset, collate, config, &device()).unwrap()
    };
    plan.run(fresh(method), &loader(true), &loader(false)).unwrap()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn weight(body: &VitBody) -> Vec<f32> {
    values(body.patch_embed.weight.val())
}

fn saved<M: Method>(method: &M, folder: &Path) -> M::Task {
    RunFolder::new(folder).load_into(fresh(method)).unwrap()
}

/// Trains once in one go and once with an interruption after the first step, and compares what
/// `state` says of both; yields the trained task.
fn same_bits_when_resumed<M>(method: &M, state: fn(&M::Task) -> Vec<Vec<f32>>) -> M::Task
where
    M: Method<Collate: Collate<Sample = Sample>>,
{
    let whole = tempfile::tempdir().unwrap();
    let trained = train(method, pretraining(whole.path(), recipe(3)));
    let kept = state(&trained.task);
    for (after, before) in kept.iter().zip(state(&fresh(method))) {
        assert_ne!(*after, before);
    }
    assert_eq!(state(&saved(method, whole.path())), kept);

    let parts = tempfile::tempdir().unwrap();
    // Asked from the start, a run stops after its first step.
    let interrupt = Interrupt::default();
    interrupt.request();
    train(method, pretraining(parts.path(), recipe(3)).interrupt(interrupt));
    let resumed = train(method, pretraining(parts.path(), recipe(3)).resume(true));
    assert_eq!(losses(&resumed.history), losses(&trained.history));
    assert_eq!(state(&resumed.task), kept);
    trained.task
}

#[test]
fn the_target_encoder_is_saved_and_a_resumed_run_has_the_same_bits() {
    let predictor = DecoderConfig::new().with_width(12).with_depth(1).with_heads(2);
    let config = IJepaConfig::new(encoder(IMAGE).with_class_token(false))
        .with_predictor(predictor)
        .with_mask(MultiBlockConfig::small_images(Grid::square(4)));
    let state = |task: &IJepa| vec![weight(&task.encoder)];
    let task = same_bits_when_resumed(&config, state);
    assert_ne!(weight(IJepaConfig::encoder(&task)), weight(&task.context_encoder.body));
}

#[test]
fn teacher_centers_and_temperature_are_saved_and_a_resumed_run_has_the_same_bits() {
    let config = IBotConfig::new(encoder(IMAGE))
        .with_mask(MaskConfig::blocks(0.3, 2))
        .with_head_hidden(16)
        .with_bottleneck(8)
        .with_outputs(12)
        .with_temperature_warmup(0.5);
    let state = |task: &IBot| {
        vec![
            weight(&task.encoder),
            values(task.teacher_head.directions.val()),
            values(task.class_center.val()),
            values(task.patch_center.val()),
            values(task.temperature.val()),
        ]
    };
    let task = same_bits_when_resumed(&config, state);
    assert_ne!(weight(IBotConfig::encoder(&task)), weight(&task.student.body));
    assert_ne!(values(task.class_center.val()), values(task.patch_center.val()));
}

#[test]
fn a_resumed_run_of_lejepa_sees_the_same_views_and_directions() {
    let config = LeJepaConfig::new(encoder(IMAGE))
        .with_masks(2)
        .with_projector_hidden(12)
        .with_embedding(6)
        .with_sigreg(SigReg::new().with_slices(8).with_knots(5));
    same_bits_when_resumed(&config, |task: &LeJepa| vec![weight(&task.encoder.body)]);
}

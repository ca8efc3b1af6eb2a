//! I-JEPA and LeJEPA in training: what they leave, resumed or not.
#![cfg(feature = "run")]

mod common;

use std::path::Path;

use burn_mim::data::augment::Augmentation;
use burn_mim::data::{ChannelStatistics, Loader, LoaderConfig};
use burn_mim::encoder::VitBody;
use burn_mim::method::{DataFacts, Method};
use burn_mim::train::{Interrupt, Pretrained, Pretraining, RunFolder};
use burn_mim::{DecoderConfig, Grid, IJepaConfig, LeJepaConfig, MultiBlockConfig, SigReg};
use common::{IMAGE, device, encoder, losses, pretraining, recipe, waves, weights};

fn ijepa() -> IJepaConfig {
    let predictor = DecoderConfig::new().with_width(12).with_depth(1).with_heads(2);
    IJepaConfig::new(encoder(IMAGE).with_class_token(false))
        .with_predictor(predictor)
        .with_mask(MultiBlockConfig::small_images(Grid::square(4)))
}

fn lejepa() -> LeJepaConfig {
    LeJepaConfig::new(encoder(IMAGE))
        .with_masks(2)
        .with_projector_hidden(12)
        .with_embedding(6)
        .with_sigreg(SigReg::new().with_slices(8).with_knots(5))
}

fn facts() -> DataFacts {
    DataFacts::new(ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] })
}

fn fresh<M: Method>(method: &M) -> M::Task {
    method.init(&facts(), &mut weights(3)).unwrap()
}

fn train<M: Method>(method: &M, plan: Pretraining) -> Pretrained<M::Task> {
    let loader = |training: bool| {
        let augmentation = if training { method.augmentation() } else { Augmentation::none() };
        let collate = method.collate(&facts(), augmentation).unwrap();
        let config = LoaderConfig { batch_size: 8, seed: 5, workers: 0, training };
        let dataset = waves(IMAGE, if training { 43 } else { 12 });
        Loader::new(dataset, collate, config, &device()).unwrap()
    };
    plan.run(fresh(method), &loader(true), &loader(false)).unwrap()
}

fn weight(body: &VitBody) -> Vec<f32> {
    body.patch_embed.weight.val().into_data().iter().collect()
}

/// Trains a method in one go and in two, which leave the same bits, and returns the former.
fn resumed_as_whole<M>(method: &M) -> M::Task
where
    M: Method<Encoder = VitBody>,
{
    let whole = tempfile::tempdir().unwrap();
    let trained = train(method, pretraining(whole.path(), recipe(3)));
    let kept = weight(M::encoder(&trained.task));
    assert_ne!(kept, weight(M::encoder(&fresh(method))));
    assert_eq!(saved(method, whole.path()), kept);

    let parts = tempfile::tempdir().unwrap();
    // Asked from the start, a run stops after its first step.
    let interrupt = Interrupt::default();
    interrupt.request();
    train(method, pretraining(parts.path(), recipe(3)).interrupt(interrupt));
    let resumed = train(method, pretraining(parts.path(), recipe(3)).resume(true));
    assert_eq!(losses(&resumed.history), losses(&trained.history));
    assert_eq!(weight(M::encoder(&resumed.task)), kept);
    trained.task
}

fn saved<M: Method<Encoder = VitBody>>(method: &M, folder: &Path) -> Vec<f32> {
    weight(M::encoder(&RunFolder::new(folder).load_into(fresh(method)).unwrap()))
}

#[test]
fn the_target_encoder_is_saved_and_a_resumed_run_has_the_same_bits() {
    let trained = resumed_as_whole(&ijepa());
    assert_ne!(weight(&trained.encoder), weight(&trained.context_encoder.body));
}

#[test]
fn a_resumed_run_of_lejepa_sees_the_same_views_and_directions() {
    resumed_as_whole(&lejepa());
}

//! I-JEPA in training: what it leaves, resumed or not.
#![cfg(feature = "run")]

mod common;

use std::path::Path;

use burn_mim::data::augment::Augmentation;
use burn_mim::data::{ChannelStatistics, Loader, LoaderConfig};
use burn_mim::encoder::VitBody;
use burn_mim::method::{IJepaCollate, Method};
use burn_mim::train::{Interrupt, Pretrained, Pretraining, RunFolder};
use burn_mim::{DecoderConfig, Grid, IJepa, IJepaConfig, MultiBlockConfig};
use common::{IMAGE, device, encoder, losses, pretraining, recipe, waves, weights};

fn config() -> IJepaConfig {
    let predictor = DecoderConfig::new().with_width(12).with_depth(1).with_heads(2);
    IJepaConfig::new(encoder(IMAGE).with_class_token(false))
        .with_predictor(predictor)
        .with_mask(MultiBlockConfig::small_images(Grid::square(4)))
}

fn train(plan: Pretraining) -> Pretrained<IJepa> {
    let loader = |training: bool| {
        let statistics = ChannelStatistics { mean: vec![0.5; 3], std: vec![0.25; 3] };
        let augmentation = if training { Augmentation::ijepa() } else { Augmentation::none() };
        let mask = config().mask().unwrap();
        let collate = IJepaCollate::new(IMAGE, &statistics, augmentation, mask).unwrap();
        let config = LoaderConfig { batch_size: 8, seed: 5, workers: 0, training };
        let dataset = waves(IMAGE, if training { 43 } else { 12 });
        Loader::new(dataset, collate, config, &device()).unwrap()
    };
    plan.run(config().init(&mut weights(3)), &loader(true), &loader(false)).unwrap()
}

fn weight(body: &VitBody) -> Vec<f32> {
    body.patch_embed.weight.val().into_data().iter().collect()
}

fn saved(folder: &Path) -> Vec<f32> {
    let task = config().init(&mut weights(3));
    weight(&RunFolder::new(folder).load_into(task).unwrap().encoder)
}

#[test]
fn the_target_encoder_is_saved_and_a_resumed_run_has_the_same_bits() {
    let whole = tempfile::tempdir().unwrap();
    let trained = train(pretraining(whole.path(), recipe(3)));
    let kept = weight(IJepaConfig::encoder(&trained.task));
    assert_ne!(kept, weight(&trained.task.context_encoder.body));
    assert_ne!(kept, weight(&config().init(&mut weights(3)).encoder));
    assert_eq!(saved(whole.path()), kept);

    let parts = tempfile::tempdir().unwrap();
    // Asked from the start, a run stops after its first step.
    let interrupt = Interrupt::default();
    interrupt.request();
    train(pretraining(parts.path(), recipe(3)).interrupt(interrupt));
    let resumed = train(pretraining(parts.path(), recipe(3)).resume(true));
    assert_eq!(losses(&resumed.history), losses(&trained.history));
    assert_eq!(weight(&resumed.task.encoder), kept);
}

//! Mixed precision: steps in half precision train the same f32 weights to nearly the same losses.
#![cfg(feature = "train")]

mod common;
#[path = "common/precision.rs"]
mod half;

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::DType;
use burn_mim::train::{OptimizerKind, Precision, RunFolder};
use burn_mim::{MaskConfig, SimMimConfig};
use common::{
    IMAGE, Plain, loaders, losses, mae, masked, noise, pretraining, recipe, simmim, swin, weights,
};
use half::nearly_the_same;

#[test]
fn losses_and_gradients_of_half_precision_are_nearly_those_of_f32() {
    let config = mae(IMAGE);
    let batch = masked(noise(IMAGE, 4), &config.mask().unwrap());
    nearly_the_same(&config.init(&mut weights(3)), &batch);
    let config = simmim(IMAGE);
    let encoder = burn_mim::VitConfig { drop_path: 0.0, ..config.encoder.clone() };
    let config = SimMimConfig { encoder, ..config };
    let batch = masked(noise(IMAGE, 4), &config.mask().unwrap());
    nearly_the_same(&config.init(&mut weights(3)), &batch);
    let config =
        SimMimConfig::new(swin(IMAGE)).with_mask(MaskConfig::Simmim { unit: 4, ratio: 0.6 });
    nearly_the_same(&config.init(&mut weights(3)), &batch);
}

#[test]
fn a_run_in_half_precision_keeps_its_weights_in_f32_and_learns_as_much() {
    let config = mae(IMAGE);
    let [train, valid] = loaders(config.mask().unwrap());
    let run = |precision, optimizer| {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe(3).with_optimizer(optimizer);
        let run = pretraining(folder.path(), recipe).precision(precision);
        let trained = run.run(config.init(&mut weights(3)), &train, &valid).unwrap();
        let weight = trained.task.encoder.body.patch_embed.weight.val();
        assert_eq!(weight.dtype(), DType::F32);
        let checkpoint = RunFolder::new(folder.path()).require_latest().unwrap();
        let record = ModuleRecord::load(checkpoint.path().join("model.bpk")).unwrap();
        let saved = config.init(&mut weights(4)).try_load_record(record).unwrap();
        assert_eq!(saved.head.mask_token().val().dtype(), DType::F32);
        losses(&trained.history)
    };
    let whole = [OptimizerKind::AdamW, OptimizerKind::Muon].map(|by| (by, run(Precision::F32, by)));
    for ((by, whole), precision) in
        whole.iter().flat_map(|whole| [(whole, Precision::Bf16), (whole, Precision::F16)])
    {
        let half = &run(precision, *by);
        assert_ne!(half, whole);
        for ([_, half, _], [_, whole, _]) in half.iter().zip(whole) {
            assert!((half - whole).abs() < 0.02 * whole, "{by:?}, {precision}: {half} for {whole}");
        }
    }
}

#[test]
fn the_scale_of_a_half_precision_loss_does_not_reach_the_weights() {
    let config = mae(IMAGE);
    let [train, valid] = loaders(config.mask().unwrap());
    let moved = |precision| {
        let folder = tempfile::tempdir().unwrap();
        // AdamW divides a gradient by its own size, and clipping cuts it: with an epsilon far above
        // all gradients and no clipping, a step is as long as its gradient.
        let recipe = recipe(1)
            .with_epsilon(1e3)
            .with_clip_norm(None)
            .with_ema(None)
            .with_weight_decay(0.0)
            .with_base_lr(1e3);
        let run = pretraining(folder.path(), recipe).precision(precision);
        let before = config.init(&mut weights(3)).head.projection().weight.val().without_autodiff();
        let after = run.run(config.init(&mut weights(3)), &train, &valid).unwrap().task;
        let moved = (after.head.projection().weight.val() - before).square().sum().sqrt();
        moved.into_scalar::<f32>()
    };
    let (whole, half) = (moved(Precision::F32), moved(Precision::F16));
    assert!(whole > 0.0 && (half / whole - 1.0).abs() < 0.05, "{half} for {whole}");
}

#[test]
fn a_run_cannot_be_resumed_in_another_precision() {
    let config = mae(IMAGE);
    let [train, valid] = loaders(config.mask().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let model = || config.init(&mut weights(3));
    pretraining(folder.path(), recipe(1)).run(model(), &train, &valid).unwrap();
    let run = pretraining(folder.path(), recipe(1)).precision(Precision::Bf16).resume(true);
    let message = run.run(model(), &train, &valid).unwrap_err().to_string();
    let expected = "cannot be resumed: precision is \"bf16\" here and \"f32\" in the checkpoint";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn a_task_that_computes_in_f32_alone_says_so() {
    let config = mae(IMAGE);
    let [train, valid] = loaders(config.mask().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let task = Plain { inner: config.init(&mut weights(3)) };
    let run = pretraining(folder.path(), recipe(1)).precision(Precision::Bf16);
    let message = run.run(task, &train, &valid).unwrap_err().to_string();
    assert!(message.contains("cannot be trained in mixed precision"), "{message}");
}

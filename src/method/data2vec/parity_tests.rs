//! Three steps of either version against PyTorch: `tests/parity/data2vec.py` makes what is compared
//! with here.

use super::*;
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::method::parity_tests::{begun, descended, masks, read, same, tensor, weights};
use crate::nn::Positions;
use crate::target::{FeatureLoss, FeatureNorm};
use crate::task::{PretextTask, StepEnd};
use crate::test_device;

const STEPS: usize = 3;

/// The encoder and the teacher's momentum of both.
fn parts() -> (VitConfig, Momentum) {
    let encoder = VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2);
    (encoder.with_positions(Positions::Learned), Momentum::new(0.6, 0.9).with_ramp(0.5))
}

fn compare<T>(case: &str, task: T, with_view: bool)
where
    T: PretextTask<Batch = MimBatch, Observed = ()>,
{
    let file = read("data2vec.safetensors", case);
    let mut task = begun(task, &file);
    for step in 0..STEPS {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3)).unwrap();
        let images = tensor(&file, &format!("images.{step}"));
        let target_view = with_view.then(|| tensor(&file, &format!("view.{step}")));
        let batch = MimBatch { target_view, ..MimBatch::new(images, mask) };
        let loss = task.loss(batch).loss;
        let (ours, theirs) =
            (loss.clone().into_scalar::<f32>(), file[&format!("loss.{step}")].1[0]);
        assert!((ours - theirs).abs() < 1e-5 * theirs, "{step}: {ours} and {theirs}");
        let (moved, gradients) = descended(task, loss, 0.01);
        same(case, &format!("gradient.{step}."), &gradients, &file, 1e-4);
        let progress = (step + 1) as f64 / STEPS as f64;
        task = moved.after_step(StepEnd { progress, observed: vec![()] });
    }
    same(case, "end.", &weights(&task), &file, 1e-4);
}

#[test]
fn three_steps_of_the_second_version_are_those_of_pytorch_with_the_teacher() {
    let (encoder, momentum) = parts();
    let config = Data2VecConfig::new(encoder)
        .with_decoder(ConvDecoderConfig::new().with_width(8).with_depth(2).with_groups(2))
        .with_masks(2)
        .with_features(FeatureConfig::new(FeatureLayers::Mlps { last: 2 }))
        .with_class_loss(0.7)
        .with_momentum(momentum);
    let task = config.init(&mut InitialWeights::new(0, &test_device().autodiff()));
    compare("second", task, true);
}

#[test]
fn three_steps_of_the_first_version_are_those_of_pytorch_with_the_teacher() {
    let (encoder, momentum) = parts();
    let features = FeatureConfig::new(FeatureLayers::Blocks { last: 2 })
        .with_each(FeatureNorm::Layer)
        .with_loss(FeatureLoss::SmoothL1 { beta: 0.5 });
    let config = Data2VecV1Config::new(encoder).with_features(features).with_momentum(momentum);
    let task = config
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
        .init(&mut InitialWeights::new(0, &test_device().autodiff()));
    compare("first", task, false);
}

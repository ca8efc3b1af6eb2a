//! Three steps of either version against PyTorch: `tests/parity/data2vec.py` makes what is compared
//! with here.

use super::*;
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::nn::Positions;
use crate::target::{FeatureLoss, FeatureNorm};
use crate::task::PretextTask;
use crate::test_device;

/// The encoder and the teacher's momentum of both.
fn parts() -> (VitConfig, Momentum) {
    let encoder = VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2);
    (encoder.with_positions(Positions::Learned), Momentum::new(0.6, 0.9).with_ramp(0.5))
}

fn compare(case: &str, task: impl PretextTask<Batch = MimBatch>, with_view: bool) {
    let file = read("data2vec.safetensors", case);
    three_steps(case, task, &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3)).unwrap();
        let images = tensor(&file, &format!("images.{step}"));
        let target_view = with_view.then(|| tensor(&file, &format!("view.{step}")));
        MimBatch { target_view, ..MimBatch::new(images, mask) }
    });
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

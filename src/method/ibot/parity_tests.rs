//! Three steps against PyTorch: `tests/parity/ibot.py` makes what is compared with here.

use super::*;
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::test_device;

fn compare(case: &str, lengths: bool) {
    let file = read("ibot.safetensors", case);
    let encoder = VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2);
    let config = IBotConfig::new(encoder.with_positions(Positions::Learned))
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
        .with_head_hidden(6)
        .with_bottleneck(5)
        .with_outputs(7)
        .with_lengths(lengths)
        .with_student_temperature(0.2)
        .with_teacher_temperature([0.3, 0.5])
        .with_temperature_warmup(0.5)
        .with_center_momentum(0.8)
        .with_class_loss(0.7)
        .with_patch_loss(1.3)
        .with_momentum(Momentum::new(0.9, 1.0));
    let task = config.init(&mut InitialWeights::new(0, &test_device().autodiff()));
    three_steps(case, task, &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3)).unwrap();
        let images = tensor(&file, &format!("images.{step}"));
        let target_view = Some(tensor(&file, &format!("view.{step}")));
        MimBatch { target_view, ..MimBatch::new(images, mask) }
    });
}

#[test]
fn three_steps_are_those_of_pytorch_with_the_teacher_and_the_centers() {
    compare("unit", false);
}

#[test]
fn three_steps_with_trained_lengths_are_those_of_pytorch_too() {
    compare("lengths", true);
}

//! Three steps against PyTorch: `tests/parity/eva.py` makes what is compared with here.

use super::*;
use crate::batch::MimBatch;
use crate::encoder::BackboneConfig;
use crate::grid::Grid;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::test_device;

#[test]
fn three_steps_are_those_of_pytorch_and_the_teacher_stays_as_it_is() {
    let file = read("eva.safetensors", "steps");
    let vit = |image, patch, width, depth, heads| {
        VitConfig::new(image, patch, width, depth, heads).with_positions(Positions::Learned)
    };
    let statistics = |mean, std| ChannelStatistics { mean: vec![mean], std: vec![std] };
    let teacher = BackboneConfig::Vit(vit(ImageShape::new(1, 4, 6), 2, 12, 1, 3));
    let teacher = TeacherConfig::new(teacher).with_statistics(Some(statistics(0.4, 0.3)));
    let config = EvaConfig::new(vit(ImageShape::new(1, 8, 12), 4, 8, 2, 2), teacher)
        .with_mask(MaskConfig::Mae { ratio: 0.5 });
    let weights = &mut InitialWeights::new(0, &test_device().autodiff());
    three_steps("steps", config.init(&statistics(0.5, 0.25), weights), &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3)).unwrap();
        let images = tensor(&file, &format!("images.{step}"));
        let target_view = Some(tensor(&file, &format!("view.{step}")));
        MimBatch { target_view, ..MimBatch::new(images, mask) }
    });
}

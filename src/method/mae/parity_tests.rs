//! Three steps against PyTorch: `tests/parity/can.py` makes what is compared with here.

use super::*;
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::nn::Positions;
use crate::test_device;

/// The steps of a case, of a vision transformer that may begin with convolutions.
fn three_steps_are_those_of_pytorch(case: &str, stem: Option<ConvStemConfig>) {
    let file = read("can.safetensors", case);
    let encoder = VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2)
        .with_positions(Positions::Learned)
        .with_stem(stem);
    let contrast = ViewContrastConfig::new()
        .with_weight(0.7)
        .with_temperature(0.2)
        .with_hidden(6)
        .with_layers(2)
        .with_projection(5);
    let config = MaeConfig::new(encoder)
        .with_decoder(DecoderConfig::new().with_width(8).with_depth(1).with_heads(2))
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
        .with_contrast(Some(contrast));
    let task = config.init_task(&mut InitialWeights::new(0, &test_device().autodiff()));
    three_steps(case, task, &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3)).unwrap();
        MimBatch::new(tensor(&file, &format!("images.{step}")), mask)
    });
}

#[test]
fn three_steps_with_a_contrast_are_those_of_pytorch() {
    three_steps_are_those_of_pytorch("steps", None);
}

#[test]
fn three_steps_with_a_stem_are_those_of_sparse_convolutions_in_pytorch() {
    let stem = ConvStemConfig::new(vec![5]).with_first(3);
    three_steps_are_those_of_pytorch("stem", Some(stem));
}

//! Three steps against PyTorch: `tests/parity/cmae.py` makes what is compared with here.

use super::*;
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::nn::Positions;
use crate::test_device;

#[test]
fn three_steps_are_those_of_pytorch_with_the_teacher() {
    let file = read("cmae.safetensors", "steps");
    let encoder =
        VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2).with_positions(Positions::Learned);
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    let config = CmaeConfig::new(encoder)
        .with_feature_decoder(decoder.clone())
        .with_decoder(decoder)
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
        .with_shift(1)
        .with_projector_hidden(6)
        .with_projection(5)
        .with_predictor_hidden(7)
        .with_temperature(0.2)
        .with_contrast(0.7)
        .with_momentum(0.9);
    let task = config.init(&mut InitialWeights::new(0, &test_device().autodiff()));
    three_steps("steps", task, &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3)).unwrap();
        let images = tensor(&file, &format!("images.{step}"));
        let target_view = Some(tensor(&file, &format!("view.{step}")));
        MimBatch { target_view, ..MimBatch::new(images, mask) }
    });
}

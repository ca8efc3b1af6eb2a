//! Three steps against PyTorch: `tests/parity/fcmae.py` makes what is compared with here.

use super::*;
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::test_device;

#[test]
fn three_steps_are_those_of_pytorch() {
    let file = read("fcmae.safetensors", "steps");
    let encoder = ConvNextV2Config::new(ImageShape::new(2, 12, 16), 2, vec![4, 6], vec![1, 2]);
    let decoder = ConvNextDecoderConfig::new().with_width(8);
    let config = FcMaeConfig::new(encoder).with_decoder(decoder);
    let weights = &mut InitialWeights::new(0, &test_device().autodiff());
    three_steps("steps", config.init(weights), &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(3, 4)).unwrap();
        MimBatch::new(tensor(&file, &format!("images.{step}")), mask)
    });
}

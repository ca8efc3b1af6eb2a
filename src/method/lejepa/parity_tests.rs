//! Three steps against PyTorch: `tests/parity/lejepa.py` makes what is compared with here.

use super::*;
use crate::batch::MimBatch;
use crate::grid::Grid;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::test_device;

#[test]
fn three_steps_are_those_of_pytorch() {
    let file = read("lejepa.safetensors", "steps");
    let encoder =
        VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2).with_positions(Positions::Learned);
    let config = LeJepaConfig::new(encoder)
        .with_mask(MaskConfig::Mae { ratio: 0.5 })
        .with_masks(2)
        .with_projector_hidden(7)
        .with_embedding(5)
        // Of the 17 places of the whole axis, those that are not negative.
        .with_sigreg(SigReg::new().with_slices(11).with_knots(9).with_t_max(5.0))
        .with_lambda(0.3);
    let task = config.init(&mut InitialWeights::new(0, &test_device().autodiff()));
    three_steps("steps", task, &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3)).unwrap();
        let crops = MimBatch::new(tensor(&file, &format!("crops.{step}")), mask);
        LeJepaBatch { crops, directions: tensor(&file, &format!("directions.{step}")) }
    });
}

//! Three steps against PyTorch: `tests/parity/refine.py` makes what is compared with here.

use super::*;
use crate::encoder::VitBody;
use crate::grid::Grid;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::nn::Positions;
use crate::test_device;

fn config(masked: bool) -> RefineConfig {
    let encoder =
        VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2).with_positions(Positions::Learned);
    let config = RefineConfig::new(encoder)
        .with_projector_hidden(6)
        .with_projection(5)
        .with_predictor_hidden(7)
        .with_queue(9)
        .with_temperature(0.2)
        .with_momentum(0.9);
    if masked { config.with_pooling(RefinedFeatures::Both).with_frozen(1) } else { config }
}

#[test]
fn three_steps_are_those_of_pytorch_with_the_teacher_and_the_queue() {
    for (case, masked) in [("whole", false), ("masked", true)] {
        let file = read("refine.safetensors", case);
        let task: Refinement<VitBody> =
            config(masked).init(&mut InitialWeights::new(0, &test_device().autodiff()));
        three_steps(case, task, &file, |step| {
            let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3));
            RefineBatch { views: tensor(&file, &format!("views.{step}")), mask }
        });
    }
}

//! Three steps against PyTorch: `tests/parity/refine.py` makes what is compared with here.

use super::*;
use crate::encoder::VitBody;
use crate::grid::Grid;
use crate::method::parity_tests::{begun, descended, masks, read, same, tensor, weights};
use crate::nn::Positions;
use crate::task::{PretextTask, StepEnd};
use crate::test_device;

const STEPS: usize = 3;

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
        let task = config(masked).init(&mut InitialWeights::new(0, &test_device().autodiff()));
        let mut task: Refinement<VitBody> = begun(task, &file);
        for step in 0..STEPS {
            let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3));
            let views = tensor(&file, &format!("views.{step}"));
            let output = task.loss(RefineBatch { views, mask });
            let loss = output.loss.clone().into_scalar::<f32>();
            let expected = file[&format!("loss.{step}")].1[0];
            assert!(
                (loss - expected).abs() < 1e-5 * expected,
                "{case} {step}: {loss} and {expected}"
            );
            let (moved, gradients) = descended(task, output.loss, 0.01);
            same(case, &format!("gradient.{step}."), &gradients, &file, 1e-4);
            let progress = (step + 1) as f64 / STEPS as f64;
            task = moved.after_step(StepEnd { progress, observed: vec![output.observed] });
        }
        same(case, "end.", &weights(&task), &file, 1e-4);
    }
}

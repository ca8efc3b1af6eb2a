//! Three steps against PyTorch: `tests/parity/ijepa.py` makes what is compared with here.

use super::*;
use crate::grid::Grid;
use crate::mask::{BlockMasks, Mask};
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::test_device;

const GRID: Grid = Grid::new(3, 4);
const TARGETS: usize = 2;

#[test]
fn three_steps_are_those_of_pytorch_with_the_target_encoder() {
    let file = read("ijepa.safetensors", "steps");
    let encoder = VitConfig::new(ImageShape::new(1, 6, 8), 2, 8, 2, 2).with_class_token(false);
    let config = IJepaConfig::new(encoder)
        .with_predictor(DecoderConfig::new().with_width(12).with_depth(2).with_heads(3))
        .with_mask(MultiBlockConfig::small_images(GRID))
        .with_momentum(Momentum::new(0.9, 1.0));
    let task = config.init(&mut InitialWeights::new(0, &test_device().autodiff()));
    three_steps("steps", task, &file, |step| {
        let context = masks(&file, &format!("hidden.{step}"), GRID).unwrap();
        let asked = masks(&file, &format!("asked.{step}"), GRID).unwrap();
        let hidden = context.samples().iter().flat_map(|mask| vec![mask.clone(); TARGETS]);
        let targets = Mask::new(hidden.collect::<Vec<_>>(), &test_device()).unwrap();
        let targets = targets.with_asked(asked.samples()).unwrap();
        let images = tensor(&file, &format!("images.{step}"));
        IJepaBatch { images, masks: BlockMasks { context, targets } }
    });
}

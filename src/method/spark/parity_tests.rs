//! Three steps against PyTorch: `tests/parity/spark.py` makes what is compared with here.

use super::*;
use crate::batch::MimBatch;
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::test_device;

#[test]
fn three_steps_are_those_of_a_sparse_convolution_cell_by_cell_in_pytorch() {
    let file = read("spark.safetensors", "steps");
    let encoder = ResidualConfig::new(2).with_widths(vec![4, 6]).with_groups(2);
    let config = SparkConfig::new(ImageShape::new(2, 8, 12), encoder)
        .with_patch(4)
        .with_decoder(UNetDecoderConfig::new().with_width(8).with_groups(2))
        .with_mask(MaskConfig::Mae { ratio: 0.5 });
    let weights = &mut InitialWeights::new(0, &test_device().autodiff());
    three_steps("steps", config.init(weights), &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3)).unwrap();
        MimBatch::new(tensor(&file, &format!("images.{step}")), mask)
    });
}

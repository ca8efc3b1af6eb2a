//! Three steps against PyTorch: `tests/parity/milan.py` makes what is compared with here.

use burn::tensor::Tensor;

use super::*;
use crate::batch::MimBatch;
use crate::encoder::BackboneConfig;
use crate::grid::Grid;
use crate::mask::{Mask, UnitMask};
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::nn::Positions;
use crate::target::FeatureNorm;
use crate::test_device;

const GRID: Grid = Grid::new(2, 3);

fn compare(
    case: &str,
    own: Option<ChannelStatistics>,
    change: impl Fn(MilanConfig) -> MilanConfig,
) {
    let file = read("milan.safetensors", case);
    let vit = |width, depth, heads| {
        let vit = VitConfig::new(ImageShape::new(1, 8, 12), 4, width, depth, heads);
        vit.with_positions(Positions::Learned)
    };
    let teacher = TeacherConfig::new(BackboneConfig::Vit(vit(12, 1, 3))).with_statistics(own);
    let decoder = DecoderConfig::new().with_width(8).with_depth(2).with_heads(2);
    let config = change(MilanConfig::new(vit(8, 2, 2), teacher).with_decoder(decoder));
    let statistics = ChannelStatistics { mean: vec![0.5], std: vec![0.25] };
    let task = config.init(&statistics, &mut InitialWeights::new(0, &test_device().autodiff()));
    three_steps(case, task, &file, |step| {
        let images: Tensor<4> = tensor(&file, &format!("images.{step}"));
        // Of the masks of semantic ones the number of cells alone counts.
        let mask = masks(&file, &format!("hidden.{step}"), GRID).unwrap_or_else(|| {
            let any = UnitMask::from_indices(GRID, [0, 1, 2, 3]).unwrap();
            Mask::new(vec![any; images.dims()[0]], &test_device()).unwrap()
        });
        let noise = config.semantic.then(|| tensor(&file, &format!("noise.{step}")));
        MilanBatch { images: MimBatch::new(images, mask), noise }
    });
}

#[test]
fn three_steps_with_semantic_masks_are_those_of_pytorch_and_the_teacher_stays_as_it_is() {
    let own = ChannelStatistics { mean: vec![0.4], std: vec![0.3] };
    compare("semantic", Some(own), |config| config);
}

#[test]
fn three_steps_with_given_masks_and_normalized_features_are_those_of_pytorch() {
    let features = FeatureConfig::new(FeatureLayers::Output {}).with_each(FeatureNorm::None);
    compare("given", None, |config| config.with_semantic(false).with_features(features));
}

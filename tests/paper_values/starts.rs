//! Where weights start, and what else the methods' models are that is no number of a configuration.

use burn::tensor::Tensor;
use burn_mim::Network;
use burn_mim::encoder::{CondensedVitConfig, VitInit};
use burn_mim::image::GradientOperator;
use burn_mim::method::BeitV2Config;
use burn_mim::nn::{InitialWeights, Positions};
use burn_mim::target::tokenizer::VqConfig;
use burn_mim::{
    BeitConfig, GradientTarget, HogTarget, ImageShape, MaskConfig, MaskFeatConfig, MaskStrategy,
    SimMimConfig, VitConfig,
};

use crate::common::device;

/// A normal that is truncated at ±σ has a deviation of 0.5396 σ.
const TRUNCATED: f32 = 0.539_6;

/// The standard deviation and the largest of a tensor's values.
fn spread<const D: usize>(tensor: Tensor<D>) -> (f32, f32) {
    let values: Vec<f32> = tensor.into_data().try_to_vec().unwrap();
    let square: f32 = values.iter().map(|value| value * value).sum();
    let largest = values.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    ((square / values.len() as f32).sqrt(), largest)
}

#[track_caller]
fn assert_truncated<const D: usize>(tensor: Tensor<D>, deviation: f32) {
    let (std, largest) = spread(tensor);
    assert!((std / (TRUNCATED * deviation) - 1.0).abs() < 0.1, "{std}");
    assert!(largest <= deviation && largest > 0.9 * deviation, "{largest}");
}

#[track_caller]
fn assert_normal<const D: usize>(tensor: Tensor<D>, deviation: f32) {
    let (std, largest) = spread(tensor);
    assert!((std / deviation - 1.0).abs() < 0.1, "{std}");
    assert!(largest > 2.5 * deviation, "{largest}");
}

/// The preset's encoder of another size.
fn small(preset: VitConfig) -> VitConfig {
    VitConfig {
        image: ImageShape::square(3, 16),
        patch: 4,
        width: 64,
        depth: 3,
        heads: 4,
        ..preset
    }
}

#[test]
fn beits_matrices_and_its_head_are_truncated_at_their_deviation() {
    // unilm/beit/modeling_pretrain.py: `trunc_normal_` of all linear layers, the head among them,
    // at ±0.02; `fix_init_weight` divides by √(2 · number).
    let encoder = small(BeitConfig::base_patch16().encoder);
    let network = Network::beit(&encoder, 512, &mut InitialWeights::new(0, &device()));
    assert_truncated(network.head.projection.weight.val(), 0.02);
    let block = &network.encoder.body.transformer.blocks[1];
    assert_truncated(block.mlp.fc1.weight.val(), 0.02);
    assert_truncated(block.attention.out.weight.val(), 0.01);
    assert_truncated(block.mlp.fc2.weight.val(), 0.01);
}

#[test]
fn so_are_those_of_the_second_beit_and_its_condenser_goes_on_counting() {
    // unilm/beit2/modeling_pretrain.py: `fix_init_cls_pt_weight` counts on from the early layers.
    let encoder = CondensedVitConfig::new(small(BeitV2Config::base_patch16(512).beit.encoder));
    let encoder = encoder.with_early_blocks(3).with_condenser_blocks(5);
    let network = Network::beit_v2(&encoder, 512, &mut InitialWeights::new(0, &device()));
    assert_truncated(network.head.projection.weight.val(), 0.02);
    let last = &network.encoder.condenser[4];
    assert_truncated(last.mlp.fc2.weight.val(), 0.02 / 16f32.sqrt());
}

#[test]
fn simmims_encoder_starts_as_beits_and_its_head_at_0_02() {
    let mut config = SimMimConfig::base_patch16();
    config.encoder = small(config.encoder);
    let simmim = config
        .with_mask(MaskConfig::Simmim { unit: 8, ratio: 0.6 })
        .init(&mut InitialWeights::new(0, &device()));
    assert_truncated(simmim.encoder.body.transformer.blocks[1].mlp.fc2.weight.val(), 0.01);
    assert_normal(simmim.head.projection.weight.val(), 0.02);
}

#[test]
fn maskfeats_encoder_starts_normal_with_learned_positions() {
    // SlowFast: `trunc_normal_(std=0.02)` of matrices, tokens and positions, at ±2.
    let mut config = MaskFeatConfig::base_patch16();
    config.encoder = small(config.encoder);
    let config = config.with_target(burn_mim::GradientTargetConfig::Hog { cell: 4, window: None });
    let maskfeat = config.init(&mut InitialWeights::new(0, &device()));
    let body = &maskfeat.encoder.body;
    assert_normal(body.transformer.blocks[2].mlp.fc2.weight.val(), 0.02);
    assert_normal(body.patch_embed.weight.val(), 0.02);
    assert_normal(body.positions.as_ref().unwrap().table.val(), 0.02);
    assert_normal(maskfeat.head.projection.weight.val(), 0.02);
}

#[test]
fn the_second_beits_tokenizer_starts_normal_and_divides_by_depth() {
    // unilm/beit2/modeling_finetune.py and modeling_vqkd.py: timm's `trunc_normal_(std=.02)`.
    let preset = VqConfig::base_patch16(512);
    assert_eq!(preset.encoder.positions, Positions::Learned);
    assert_eq!(preset.encoder.init, VitInit::NormalByDepth);
    let vq = VqConfig { encoder: small(preset.encoder.clone()), ..preset };
    let vq = vq.init(&mut InitialWeights::new(0, &device()));
    assert_normal(vq.encoder.body.transformer.blocks[1].mlp.fc1.weight.val(), 0.02);
    assert_normal(vq.encoder.body.transformer.blocks[1].mlp.fc2.weight.val(), 0.01);
    assert_normal(vq.to_code.first.weight.val(), 0.02);
    assert_normal(vq.to_output.second.weight.val(), 0.02);
    assert_eq!(vq.decoder.blocks.len(), 3);
}

#[test]
fn maskfeats_histograms_have_9_bins_of_sobels_gradients_without_a_window() {
    // SlowFast's masked.py: `HOGLayerC(nbins=9, pool=8)`, whose `gaussian_window` is 0.
    let config = MaskFeatConfig::base_patch16();
    assert_eq!(config.mask().unwrap().hidden(), 78);
    let GradientTarget::Hog(target) = config.target.init(3, 16) else { panic!("no histograms") };
    let HogTarget { channels, patch, cell, bins, window, operator } = target;
    assert_eq!([channels, patch, cell, bins], [3, 16, 8, 9]);
    assert_eq!((window, operator), (None, GradientOperator::Sobel));
}

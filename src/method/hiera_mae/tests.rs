//! What MAE on Hiera promises.

use super::*;
use crate::batch::MimBatch;
use crate::encoder::Encoder;
use crate::mask::{Mask, UnitMask};
use crate::nn::Init;
use crate::target::Target;
use crate::task::PretextTask;
use crate::test_device;
use burn::optim::GradientsParams;
use burn::tensor::Tolerance;

/// Mask units of 8 × 8 pixels, 2 × 3 of them, of four cells each.
fn config() -> HieraMaeConfig {
    let small = HieraMaeConfig::small_images(ImageShape::new(2, 16, 24));
    let encoder = small.encoder.clone();
    let decoder = DecoderConfig::new().with_width(8).with_depth(1).with_heads(2);
    HieraMaeConfig { encoder: HieraConfig { width: 8, ..encoder }, ..small }.with_decoder(decoder)
}

fn weights() -> InitialWeights {
    InitialWeights::new(3, &test_device())
}

/// Two images that hide three mask units each.
fn batch() -> MimBatch {
    let init = Init::Normal { std: 1.0 };
    let images = InitialWeights::new(1, &test_device()).param([2, 2, 16, 24], init).val();
    let mask = |hidden: [usize; 3]| UnitMask::from_indices(Grid::new(2, 3), hidden).unwrap();
    let masks = [mask([0, 2, 4]), mask([1, 2, 5])];
    MimBatch::new(images, Mask::new(masks, &test_device()).unwrap())
}

#[test]
fn the_cells_of_hidden_units_are_predicted_and_no_others() {
    let mae = config().init(&mut weights());
    let (batch, cells) = (batch(), Grid::new(4, 6));
    let prediction = mae.predict(&batch);
    assert_eq!((prediction.dims(), mae.target.width()), ([2, 12, 32], 32));
    let all = mae.head.predict_all(mae.encoder.encode(batch.images, &batch.mask), &batch.mask);
    let hidden = batch.mask.at(cells).asked.select(all).into_data();
    prediction.into_data().assert_approx_eq::<f32>(&hidden, Tolerance::absolute(1e-5));
}

#[test]
fn a_prediction_does_not_depend_on_the_other_images_nor_on_hidden_pixels() {
    let mae = config().init(&mut weights());
    let whole = mae.predict(&batch());
    let first = batch().images.narrow(0, 0, 1);
    let mask = Mask::new([batch().mask.samples()[0].clone()], &test_device()).unwrap();
    let alone = mae.predict(&MimBatch::new(first, mask)).into_data();
    let among = whole.clone().narrow(0, 0, 1).into_data();
    among.assert_approx_eq::<f32>(&alone, Tolerance::absolute(1e-5));
    let hidden = batch().mask.at(Grid::new(2, 3)).visible.contains().bool_not();
    let hidden = hidden.reshape([2, 1, 2, 1, 3, 1]).expand([2, 2, 2, 8, 3, 8]);
    let other = batch().images.mask_fill(hidden.reshape([2, 2, 16, 24]), 7.0);
    let other = mae.predict(&MimBatch { images: other, ..batch() }).into_data();
    other.assert_eq(&whole.into_data(), true);
}

#[test]
fn every_parameter_learns() {
    let mae = config().init(&mut InitialWeights::new(3, &test_device().autodiff()));
    let gradients = mae.loss(batch()).loss.backward();
    let moved = GradientsParams::from_grads(gradients, &mae).len();
    assert_eq!(moved, crate::nn::named_parameters(&mae).len());
}

#[test]
fn a_stage_says_of_a_cell_what_a_convolution_over_its_tokens_says() {
    // The first stage's tokens of one unit, 4 × 4 of them, and their convolution by 2 × 2.
    let mae = config().init(&mut weights());
    let layer = &mae.head.fusion[0];
    let features = mae.encoder.encode(batch().images, &batch().mask);
    let first = features.stages[0].clone().reshape([6, 1, 16, 8]);
    let map = crate::encoder::hiera::in_rows(first, [1, 1], [2, 2]).permute([0, 3, 1, 2]);
    let weight = layer.weight.val().transpose().reshape([32, 8, 2, 2]);
    let bias = layer.bias.as_ref().map(|bias| bias.val());
    let options = burn::tensor::ops::ConvOptions::new([2, 2], [0, 0], [1, 1], 1);
    let expected = burn::tensor::module::conv2d(map, weight, bias, options);
    let expected = expected.permute([0, 2, 3, 1]).reshape([6, 4, 32]);
    let last = features.stages[2].clone().reshape([6, 4, 32]);
    // The four cells of a unit in the order of their places, which is row by row.
    let sum = mae.head.fused(features).reshape([6, 4, 32]) - last;
    sum.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-4));
}

#[test]
fn every_broken_rule_is_named_with_its_values() {
    let broken = |config: HieraMaeConfig| config.validate().unwrap_err().to_string();
    config().validate().unwrap();
    let encoder = |change: fn(HieraConfig) -> HieraConfig| HieraMaeConfig {
        encoder: change(config().encoder),
        ..config()
    };
    let units = encoder(|encoder| encoder.with_image(ImageShape::new(2, 16, 32)).with_unit([8, 8]));
    assert!(broken(units).contains("mask units of 8×8 tokens cannot be hidden, only of 4×4"));
    let oblong = encoder(|encoder| encoder.with_query_stride([2, 1]).with_unit([4, 1]));
    assert!(broken(oblong).contains("cells of 4×2 pixels are not square"));
    let heads = config().with_decoder(DecoderConfig::new().with_width(8).with_heads(3));
    assert!(broken(heads).contains("3 heads do not divide a width of 8"));
    let cross = DecoderConfig::new().with_attention(crate::head::DecoderAttention::Cross);
    assert!(broken(config().with_decoder(cross)).contains("not cross-attention"));
    let ratio = config().with_mask(MaskConfig::Mae { ratio: 1.5 });
    assert!(broken(ratio).contains("1.5"));
}

#[test]
fn the_papers_model_hides_30_of_49_units_and_predicts_cells_of_16_pixels() {
    let base = HieraMaeConfig::base();
    base.validate().unwrap();
    let mask = base.mask().unwrap();
    // Of 49 units int(49 · 0.4) = 19 are visible.
    assert_eq!((mask.grid(), mask.hidden()), (Grid::square(7), 30));
    assert_eq!((base.target_width(), base.encoder.stage_grid(2)), (768, Grid::square(14)));
}

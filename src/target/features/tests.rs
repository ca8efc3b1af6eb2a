use super::*;
use crate::encoder::{VisibleVit, VitConfig};
use crate::grid::{Grid, ImageShape};
use crate::mask::{Mask, UnitMask};
use crate::nn::{Init, InitialWeights};
use crate::test_device;
use burn::tensor::Tolerance;

fn vit() -> VitConfig {
    VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 3, 2).with_layer_scale(Some(0.5))
}

fn teacher(seed: u64) -> VisibleVit {
    vit().init_visible(&mut InitialWeights::new(seed, &test_device().autodiff()))
}

fn images(seed: u64) -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(seed, &test_device()).param([2, 1, 8, 12], init).val()
}

/// Two masks of each of two images, which hide these cells.
const HIDDEN: [[usize; 2]; 4] = [[0, 4], [1, 2], [3, 5], [0, 1]];

fn batch() -> MimBatch {
    let masks = HIDDEN.map(|cells| UnitMask::from_indices(Grid::new(2, 3), cells).unwrap());
    MimBatch::new(images(1), Mask::new(masks, &test_device()).unwrap())
}

fn config(layers: FeatureLayers) -> FeatureConfig {
    FeatureConfig::new(layers)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn each_mask_asks_for_the_cells_of_its_image_and_the_teacher_sees_an_image_once() {
    let target = FeatureTarget::frozen(teacher(0), config(FeatureLayers::Mlps { last: 2 }));
    let cells = target.of_cells(&batch(), None).tokens;
    assert_eq!(cells.dims(), [2, 6, 8]);
    let (cells, value) = (values(cells), values(target.of(&batch())));
    for (row, (mask, cell)) in (0..)
        .zip(HIDDEN.iter().enumerate().flat_map(|(mask, cells)| cells.map(|cell| (mask, cell))))
    {
        let cell = mask / 2 * 6 + cell;
        assert_eq!(value[row * 8..][..8], cells[cell * 8..][..8], "mask {mask}");
    }
}

#[test]
fn what_an_mlp_computes_is_what_its_block_adds_before_its_scale() {
    let teacher = teacher(0).valid();
    let [mlp] = &teacher.represent_mlps(images(1), &[3])[..] else { panic!() };
    let [before, after] = &teacher.represent_layers(images(1), &[2, 3])[..] else { panic!() };
    let block = &teacher.body.transformer.blocks[2];
    let [next, whole] = {
        let tokens = before.tokens.clone();
        let class_token = before.class_token.clone().unwrap().unsqueeze_dim::<3>(1);
        block.forward_with_mlp(Tensor::cat(vec![class_token, tokens], 1), None, None)
    };
    let cells = |tokens: Tensor<3>| tokens.narrow(1, 1, 6).into_data();
    let tolerance = Tolerance::absolute(1e-5);
    after.tokens.to_data().assert_approx_eq::<f32>(&cells(next), tolerance);
    mlp.tokens.to_data().assert_approx_eq::<f32>(&cells(whole), tolerance);
}

#[test]
fn layers_are_normalized_each_and_their_mean_again() {
    let none = |layers| FeatureConfig {
        each: FeatureNorm::None,
        mean: FeatureNorm::None,
        ..config(layers)
    };
    let of = |config| FeatureTarget::frozen(teacher(0), config).of_cells(&batch(), None).tokens;
    let expected = teacher(0).valid().represent(images(1)).tokens.into_data();
    of(none(FeatureLayers::Output {})).into_data().assert_eq(&expected, true);
    let layers = teacher(0).valid().represent_layers(images(1), &[2, 3]);
    let normed = layers.into_iter().map(|layer| FeatureNorm::Instance.apply(layer.tokens));
    let mean = normed.reduce(|sum, layer| sum + layer).unwrap() / 2.0;
    let got = of(config(FeatureLayers::Blocks { last: 2 }));
    let expected = FeatureNorm::Layer.apply(mean).into_data();
    got.clone().into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    assert!(values(got.mean_dim(2)).iter().all(|mean| mean.abs() < 1e-5));
}

#[test]
fn the_teacher_reads_the_target_view_where_there_is_one() {
    let target = FeatureTarget::frozen(teacher(0), config(FeatureLayers::Output {}));
    let with_view = MimBatch { target_view: Some(images(2)), ..batch() };
    let other = MimBatch { images: images(2), ..batch() };
    let expected = target.of(&other).into_data();
    target.of(&with_view).into_data().assert_eq(&expected, true);
}

#[test]
fn a_teacher_follows_by_the_momentum_of_now_or_stays() {
    let (start, student) = (teacher(0).valid(), teacher(1));
    let weight = |vit: &VisibleVit| values(vit.body.patch_embed.weight.val().inner());
    let features = config(FeatureLayers::Output {});
    let target = FeatureTarget::following(teacher(0), features, Momentum::new(0.5, 1.0));
    let moved = target.after_step(&student, 0.5);
    for ((new, old), student) in
        weight(&moved.teacher).iter().zip(weight(&start)).zip(weight(&student))
    {
        assert!((new - (0.75 * old + 0.25 * student)).abs() < 1e-6);
    }
    assert_eq!(weight(&moved.beginning_at(&student).teacher), weight(&student));
    let frozen = FeatureTarget::frozen(teacher(0), features).after_step(&student, 0.5);
    assert_eq!(weight(&frozen.beginning_at(&student).teacher), weight(&start));
}

#[test]
fn losses_are_those_of_pencil_and_paper() {
    let tensor = |rows: [[f32; 2]; 2]| Tensor::<2>::from_floats(rows, &test_device()).unsqueeze();
    let (predicted, value) = (tensor([[1.0, 0.0], [0.0, 4.0]]), tensor([[1.0, 1.0], [0.0, 1.0]]));
    let loss = |loss: FeatureLoss| loss.of(predicted.clone(), value.clone()).into_scalar::<f32>();
    // Differences of 0, 1, 0 and 3.
    assert_eq!(loss(FeatureLoss::Squared {}), 10.0 / 4.0);
    assert_eq!(loss(FeatureLoss::SmoothL1 { beta: 2.0 }), (0.25 + 2.0) / 4.0);
    let cosine = 1.0 - (0.5f32.sqrt() + 1.0) / 2.0;
    assert!((loss(FeatureLoss::Cosine {}) - cosine).abs() < 1e-6);
}

#[test]
fn more_layers_than_there_are_and_a_useless_beta_are_refused() {
    let refused = |config: FeatureConfig| config.validate(3).unwrap_err().to_string();
    let layers = refused(config(FeatureLayers::Mlps { last: 4 }));
    assert!(layers.contains("the last 4 blocks cannot be asked of a teacher of 3"), "{layers}");
    assert!(refused(config(FeatureLayers::Blocks { last: 0 })).contains("last 0 blocks"));
    let beta = config(FeatureLayers::Output {}).with_loss(FeatureLoss::SmoothL1 { beta: 0.0 });
    assert!(refused(beta).contains("above 0, got 0.0"));
}

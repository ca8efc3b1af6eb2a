//! What CAE promises beside its numbers.

use burn::tensor::{FloatDType, Tensor};

use super::*;
use crate::batch::MimBatch;
use crate::grid::{Grid, ImageShape};
use crate::mask::{Mask, UnitMask};
use crate::nn::Init;
use crate::target::tokenizer::{Palette, PaletteConfig};
use crate::task::PretextTask;
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 8, 12);
const GRID: Grid = Grid::new(2, 3);

fn palette() -> PaletteConfig {
    PaletteConfig::new(IMAGE).with_patch(4).with_vocabulary(5)
}

fn config() -> CaeConfig {
    let encoder = VitConfig::new(IMAGE, 4, 8, 2, 2);
    let beit = BeitConfig::new(encoder, TokenizerConfig::Palette(palette()));
    CaeConfig::new(beit.with_mask(MaskConfig::Mae { ratio: 0.5 }))
        .with_regressor_depth(2)
        .with_decoder_depth(1)
}

fn task(config: &CaeConfig) -> Cae<Palette> {
    let tokenizer = palette().init(&mut InitialWeights::new(1, &test_device()));
    let weights = &mut InitialWeights::new(3, &test_device().autodiff());
    config.init(tokenizer, &[0.5; 3], &[0.25; 3], weights)
}

fn images(seed: u64) -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(seed, &test_device()).param([2, 3, 8, 12], init).val()
}

fn batch(images: Tensor<4>, hidden: [[usize; 3]; 2]) -> MimBatch {
    let masks = hidden.map(|hidden| UnitMask::from_indices(GRID, hidden).unwrap());
    let target_view = Some(images.clone() * 0.25 + 0.5);
    MimBatch { target_view, ..MimBatch::new(images, Mask::new(masks, &test_device()).unwrap()) }
}

const HIDDEN: [[usize; 3]; 2] = [[0, 2, 5], [1, 2, 3]];

fn measured(task: &Cae<Palette>, batch: MimBatch) -> (f32, Vec<(&'static str, f32)>) {
    let measured = task.measure(batch);
    let metrics = measured.metrics.into_iter().map(|(name, value)| (name, value.into_scalar()));
    (measured.loss.into_scalar(), metrics.collect())
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    let refused = |config: CaeConfig| config.validate().unwrap_err().to_string();
    assert!(refused(config().with_regressor_depth(0)).contains("regressor_depth"));
    assert!(refused(config().with_decoder_depth(usize::MAX)).contains("decoder_depth"));
    assert!(refused(config().with_alignment(f64::NAN)).contains("alignment"));
    let mut relative = config();
    relative.beit.encoder.relative_positions = RelativePositions::Shared;
    assert!(refused(relative).contains("absolute positions"));
    let mut rotary = config();
    rotary.beit.encoder.rotary = Some(100.0);
    assert!(refused(rotary).contains("rotary must be null"));
}

#[test]
fn half_of_the_patches_are_hidden_in_the_papers_models() {
    for config in [CaeConfig::base_patch16(), CaeConfig::large_patch16()] {
        config.validate().unwrap();
        assert_eq!(config.beit.mask().unwrap().hidden(), 98);
    }
}

#[test]
fn the_loss_is_that_of_the_tokens_and_the_weighted_one_of_the_alignment() {
    let of = |weight| measured(&task(&config().with_alignment(weight)), batch(images(1), HIDDEN));
    let ((without, _), (with, metrics)) = (of(0.0), of(3.0));
    let named = |name| metrics.iter().find(|(n, _)| *n == name).unwrap().1;
    assert_eq!(named("tokens"), without);
    assert!((with - without - 3.0 * named("aligned")).abs() < 1e-5);
    assert!(named("aligned") > 0.0);
}

#[test]
fn what_is_predicted_sees_no_hidden_pixel_and_what_it_is_aligned_with_no_visible_one() {
    let task = task(&config());
    let mask = batch(images(1), HIDDEN).mask;
    let changed = |visible: bool| {
        let cells = mask.at(GRID);
        let part = if visible { &cells.visible } else { &cells.asked };
        let patches =
            crate::image::patchify(images(1), 4, crate::image::PatchLayout::ChannelsFirst);
        let patches = patches + part.map().reshape([2, 6, 1]);
        crate::image::unpatchify(patches, GRID, 4, crate::image::PatchLayout::ChannelsFirst)
    };
    let predicted = |images: Tensor<4>| task.mim.predict(&batch(images, HIDDEN)).into_data();
    predicted(changed(false)).assert_eq(&predicted(images(1)), true);
    assert_ne!(predicted(changed(true)), predicted(images(1)));
    let target = |images: Tensor<4>| {
        let (_, target) = task.measure(batch(images, HIDDEN)).embeddings.remove(1);
        target.into_data()
    };
    target(changed(true)).assert_eq(&target(images(1)), true);
    assert_ne!(target(changed(false)), target(images(1)));
}

#[test]
fn the_encoder_learns_of_what_it_sees_and_not_of_what_its_features_are_aligned_with() {
    // With hidden patches of zeros, only the bias of the embedding knows them; with visible ones of
    // zeros no gradient of a pixel's weight is left.
    let task = task(&config());
    let mask = batch(images(1), HIDDEN).mask.at(GRID);
    let layout = crate::image::PatchLayout::ChannelsFirst;
    let patches = crate::image::patchify(images(1), 4, layout);
    let only_hidden = patches * mask.asked.map().reshape([2, 6, 1]);
    let images = crate::image::unpatchify(only_hidden, GRID, 4, layout);
    let gradients = task.loss(batch(images, HIDDEN)).loss.backward();
    let weight = task.mim.encoder.body.patch_embed.weight.grad(&gradients).unwrap();
    assert_eq!(weight.abs().max().into_scalar::<f32>(), 0.0);
    let bias = task.mim.encoder.body.patch_embed.bias.as_ref().unwrap().grad(&gradients).unwrap();
    assert!(bias.abs().max().into_scalar::<f32>() > 0.0);
    let key = task.mim.head.regressor.blocks[1].key.weight.grad(&gradients).unwrap();
    assert!(key.abs().max().into_scalar::<f32>() > 0.0);
}

#[test]
fn hidden_patches_look_at_each_other_and_branches_are_scaled_and_dropped_as_the_encoders() {
    let mut config = config();
    config.beit.encoder.layer_scale = Some(0.1);
    config.beit.encoder.drop_path = 0.5;
    let task = task(&config);
    let block = &task.mim.head.regressor.blocks[1];
    assert_eq!(block.drop_path.probability(), 0.5);
    assert!(block.scale1.is_some() && block.scale2.is_some());
    assert_eq!(task.mim.head.decoder.blocks[0].drop_path.probability(), 0.0);
    assert_eq!(task.layers_above("mim.encoder.body.patch_embed.weight"), 3);
    assert_eq!(task.layers_above("mim.head.projection.weight"), 0);
}

#[test]
fn it_computes_in_half_precision_and_is_judged_in_single() {
    let task = task(&config());
    let whole: f32 = task.loss(batch(images(1), HIDDEN)).loss.into_scalar();
    let half = task.loss_in(batch(images(1), HIDDEN), FloatDType::BF16).unwrap().loss;
    assert_eq!(half.dtype(), images(1).dtype());
    assert!((half.into_scalar::<f32>() - whole).abs() < 0.02 * whole);
}

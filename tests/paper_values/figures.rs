//! The papers' figures and formulas, worked out by hand.

use crate::common::device;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData, Tolerance};
use burn_mim::image::{PatchLayout, patchify};
use burn_mim::nn::{InitialWeights, sin_cos_table};
use burn_mim::rng::{Purpose, stream};
use burn_mim::train::{Recipe, Schedule};
use burn_mim::{
    AnyDecoder, BlockMask, DecoderConfig, Grid, ImageShape, Mae, MaeConfig, Mask, MaskStrategy,
    MimBatch, PixelLoss, PixelTarget, RandomMask, SimMimConfig, Target, UnitMask,
};

/// How many cells a strategy says it hides, and does.
fn hidden(strategy: &impl MaskStrategy) -> usize {
    for sample in 0..20 {
        let mask = strategy.sample(&mut stream(0, Purpose::Mask, 0, sample));
        assert_eq!(mask.hidden(), strategy.hidden());
    }
    strategy.hidden()
}

#[test]
fn mae_hides_147_of_196_patches() {
    let mask = MaeConfig::base_patch16().mask().unwrap();
    assert_eq!((mask.grid(), hidden(&mask)), (Grid::square(14), 147));
    let mask = MaeConfig::huge_patch14().mask().unwrap();
    assert_eq!((mask.grid(), hidden(&mask)), (Grid::square(16), 192));
}

#[test]
fn simmim_hides_22_of_36_units_of_32_pixels() {
    let mask = RandomMask::simmim(ImageShape::square(3, 192), 32, 0.6).unwrap();
    assert_eq!((mask.grid(), hidden(&mask)), (Grid::square(6), 22));
    let mask = SimMimConfig::base_patch16().mask().unwrap();
    assert_eq!((mask.grid(), hidden(&mask)), (Grid::square(7), 30));
}

#[test]
fn beit_hides_75_of_196_patches() {
    assert_eq!(hidden(&BlockMask::beit(Grid::square(14)).unwrap()), 75);
}

/// A model that has not drawn one weight.
fn undrawn(config: &MaeConfig) -> Mae {
    config.init(&mut InitialWeights::new(0, &device()))
}

#[test]
fn mae_has_the_papers_parameters() {
    // A block of width w: 4w of norms, 3w² + 3w of queries, keys and values, w² + w after them,
    // 8w² + 5w of MLP, so 12w² + 13w. ViT-B/16: patches 768·768 + 768, class token 768, positions
    // 197·768, blocks 12 · (12·768² + 13·768), norm 2·768. Its decoder: embedding 768·512 + 512,
    // mask token 512, positions 197·512, blocks 8 · (12·512² + 13·512), norm 2·512, pixels
    // 512·768 + 768. The others likewise.
    for (config, encoder, all) in [
        (MaeConfig::base_patch16(), 85_798_656, 111_907_840),
        (MaeConfig::large_patch16(), 303_301_632, 329_541_888),
        (MaeConfig::huge_patch14(), 630_764_800, 657_074_508),
    ] {
        let mae = undrawn(&config);
        assert_eq!(Module::num_params(&mae.encoder), encoder);
        assert_eq!(Module::num_params(&mae), all);
        assert!(!mae.encoder.body.patch_embed.weight.is_initialized());
    }
}

#[test]
fn simmim_has_the_papers_parameters() {
    // ViT-B/16 without positions: patches 590,592, class and mask token 2·768, bias table
    // (27² + 3) · 12, 12 blocks of 12·768² + 13·768 less the keys' bias and with two layer scales,
    // norm 2·768; the head 768·768 + 768.
    let simmim = SimMimConfig::base_patch16().init(&mut InitialWeights::new(0, &device()));
    let encoder = 590_592 + 2 * 768 + 732 * 12 + 12 * (7_087_872 + 768) + 2 * 768;
    assert_eq!(Module::num_params(&simmim.encoder), encoder);
    assert_eq!(Module::num_params(&simmim.head), 590_592);
}

#[test]
fn the_presets_have_the_papers_decoder() {
    let shape = |layer: &Linear| layer.weight.lazy_shape().to_vec();
    let paper = DecoderConfig::new();
    assert_eq!((paper.width, paper.depth, paper.heads, paper.mlp_ratio), (512, 8, 16, 4.0));
    for (config, width, pixels) in [
        (MaeConfig::base_patch16(), 768, 768),
        (MaeConfig::large_patch16(), 1024, 768),
        (MaeConfig::huge_patch14(), 1280, 588),
    ] {
        assert_eq!(config.decoder, paper);
        let AnyDecoder::Full(decoder) = undrawn(&config).head else { panic!("{config}") };
        assert_eq!(shape(&decoder.embed), [width, 512]);
        assert_eq!(decoder.transformer.blocks.len(), 8);
        assert_eq!(decoder.transformer.blocks[7].attention.heads, 16);
        assert_eq!(shape(&decoder.transformer.blocks[7].mlp.fc1), [512, 2048]);
        assert_eq!(shape(&decoder.projection), [512, pixels]);
    }
}

#[test]
fn the_recipes_reach_the_papers_learning_rates() {
    // MAE: 1.5e-4 · 4096 / 256; SimMIM: 2e-4 · 2048 / 512 for 100 epochs, half of it for 800.
    for (recipe, batch, epoch, rate) in [
        (Recipe::mae(), 4096, 40, 2.4e-3),
        (Recipe::simmim(), 2048, 10, 8e-4),
        (Recipe::simmim_800(), 2048, 10, 4e-4),
    ] {
        let peak = Schedule::new(&recipe, batch, 1).at(epoch);
        assert!((peak - rate).abs() < 1e-12, "{peak}");
    }
}

fn assert_close(values: &[f32], expected: &[f32]) {
    let data = |values: &[f32]| TensorData::new(values.to_vec(), [values.len()]);
    data(values).assert_approx_eq::<f32>(&data(expected), Tolerance::absolute(1e-6));
}

#[test]
fn a_sin_cos_row_is_sines_and_cosines_of_the_column_then_of_the_row() {
    // Width 8: the frequencies are 1 and 10000^(−1/2) = 0.01.
    let table = sin_cos_table(Grid::new(2, 3), 8);
    assert_eq!(table[..8], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
    let column_2 = [0.909_297_4, 0.019_998_67, -0.416_146_8, 0.999_8];
    let row_1 = [0.841_471, 0.009_999_833, 0.540_302_3, 0.999_95];
    assert_close(&table[5 * 8..], &[column_2, row_1].concat());
}

#[test]
fn the_base_models_table_has_a_row_of_zeros_and_then_192_frequencies() {
    let positions = undrawn(&MaeConfig::base_patch16()).encoder.body.positions.unwrap();
    let table: Vec<f32> = positions.table.val().into_data().try_to_vec().unwrap();
    assert_eq!(table.len(), 197 * 768);
    assert!(table[..768].iter().all(|&value| value == 0.0));
    // Row 13, column 1: frequency i is 10000^(−i/192).
    let cell = &table[(1 + 13 * 14 + 1) * 768..];
    assert_close(&cell[..2], &[0.841_471, 0.815_250_65]);
    assert_close(&cell[192..194], &[0.540_302_3, 0.579_108_26]);
    assert_close(&cell[384..386], &[0.420_167_04, -0.174_370_2]);
    assert_close(&cell[384 + 191..384 + 192], &[0.001_363_881_2]);
}

/// A 2×4×6 image in which channel c, row y and column x have the value 100c + 10y + x.
fn numbered() -> Tensor<4> {
    let value = |place: usize| (place / 24 * 100 + place / 6 % 4 * 10 + place % 6) as f32;
    let values = (0..48).map(value).collect();
    Tensor::from_data(TensorData::new(values, [1, 2, 4, 6]), &device())
}

#[test]
fn patches_are_row_major_and_so_are_their_pixels() {
    let patch = |layout, cell: usize| {
        let patches: Vec<f32> = patchify(numbered(), 2, layout).into_data().try_to_vec().unwrap();
        patches[cell * 8..][..8].to_vec()
    };
    // The fifth of 2×3 patches: rows 2 and 3, columns 2 and 3.
    let mae = [22., 122., 23., 123., 32., 132., 33., 133.];
    assert_eq!(patch(PatchLayout::ChannelsLast, 4), mae);
    let simmim = [22., 23., 32., 33., 122., 123., 132., 133.];
    assert_eq!(patch(PatchLayout::ChannelsFirst, 4), simmim);
}

/// Two 1×2×4 images of two patches; the right one of the first and the left one of the second are
/// hidden, and hold 1, 2, 3, 6 and 0, 0, 0, 4.
fn batch() -> MimBatch {
    let first = [[[9.0, 9.0, 1.0, 2.0], [9.0, 9.0, 3.0, 6.0]]];
    let second = [[[0.0, 0.0, 9.0, 9.0], [0.0, 4.0, 9.0, 9.0]]];
    let masks =
        [1, 0].map(|cell| UnitMask::from_indices(Grid::new(1, 2), [cell]).expect("in the grid"));
    let images = Tensor::from_floats([first, second], &device());
    MimBatch::new(images, Mask::new(masks, &device()).unwrap())
}

fn values(target: &PixelTarget) -> Vec<f32> {
    target.of(&batch()).into_data().try_to_vec().unwrap()
}

#[test]
fn targets_are_the_hidden_patches_alone() {
    assert_eq!(values(&PixelTarget::simmim(1, 2)), [1., 2., 3., 6., 0., 0., 0., 4.]);
    assert_eq!(values(&PixelTarget::mae(1, 2, false)), [1., 2., 3., 6., 0., 0., 0., 4.]);
}

#[test]
fn normalized_targets_have_mean_0_and_unbiased_variance_1() {
    // Means 3 and 1; variances (4 + 1 + 0 + 9) / 3 and (1 + 1 + 1 + 9) / 3 = 4.
    let std = (14f32 / 3.0).sqrt();
    let expected = [-2.0 / std, -1.0 / std, 0.0, 3.0 / std, -0.5, -0.5, -0.5, 1.5];
    assert_close(&values(&PixelTarget::mae(1, 2, true)), &expected);
}

#[test]
fn losses_are_means_over_the_hidden_pixels() {
    let prediction = [[[1.0, 0.0, 3.5, 6.0]], [[0.0, -1.0, 0.0, 7.0]]];
    let loss = |target: PixelTarget| -> f32 {
        let prediction = Tensor::from_floats(prediction, &device());
        target.loss(prediction, target.of(&batch())).into_scalar()
    };
    // Errors: 0, −2, ½, 0 and 0, −1, 0, 3.
    assert_eq!(loss(PixelTarget::simmim(1, 2)), 6.5 / 8.0);
    assert_eq!(loss(PixelTarget::mae(1, 2, false)), 14.25 / 8.0);
    // β = 2: d²/4 up to 2, then d − 1.
    let smooth = PixelTarget::simmim(1, 2).with_loss(PixelLoss::SmoothL1 { beta: 2.0 });
    assert_eq!(loss(smooth), (1.0 + 0.0625 + 0.25 + 2.0) / 8.0);
    // Nothing but zeros misses normalized patches of 4 pixels by (4 − 1) / 4 of their variance.
    let normalized = PixelTarget::mae(1, 2, true);
    let zero = Tensor::zeros([2, 1, 4], &device());
    let loss: f32 = normalized.loss(zero, normalized.of(&batch())).into_scalar();
    assert!((loss - 0.75).abs() < 1e-6, "{loss}");
}

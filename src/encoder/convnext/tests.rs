//! What a ConvNeXt V2 reads, and what it may not know.

use burn::tensor::{Tensor, Tolerance};

use super::{ConvNextV2, ConvNextV2Config, TokenConvNextV2};
use crate::encoder::{Backbone, Encoder, EncoderConfig};
use crate::grid::{Grid, ImageShape};
use crate::mask::{Mask, UnitMask};
use crate::nn::{Init, InitialWeights};
use crate::test_device;

/// Two stages over 6×8 and 3×4 cells.
fn config() -> ConvNextV2Config {
    ConvNextV2Config::new(ImageShape::new(2, 24, 32), 4, vec![8, 12], vec![2, 3])
}

fn weights() -> InitialWeights {
    InitialWeights::new(5, &test_device())
}

fn network() -> ConvNextV2 {
    config().init(&mut weights())
}

fn with_token() -> TokenConvNextV2 {
    EncoderConfig::init(&config(), &mut weights())
}

fn images(height: usize, width: usize) -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(1, &test_device()).param([2, 2, height, width], init).val()
}

fn mask(grid: Grid, hidden: &[usize]) -> Mask {
    let mask = UnitMask::from_indices(grid, hidden.iter().copied()).unwrap();
    Mask::new([mask.clone(), mask], &test_device()).unwrap()
}

/// The images with zeros at hidden pixels.
fn without_hidden(mask: &Mask) -> Tensor<4> {
    let visible = mask.at(Grid::new(3, 4)).visible.contains();
    let keep = visible.float().reshape([2, 1, 3, 1, 4, 1]).expand([2, 2, 3, 8, 4, 8]);
    images(24, 32) * keep.reshape([2, 2, 24, 32])
}

#[test]
fn hidden_pixels_do_not_reach_the_features() {
    let mask = mask(Grid::new(3, 4), &[0, 3, 5, 6, 11]);
    let (images, other) = (images(24, 32), without_hidden(&mask));
    let features = network().encode(images.clone(), &mask);
    assert_eq!((features.grid, features.tokens.dims()), (Grid::new(3, 4), [2, 7, 12]));
    let again = network().encode(other.clone(), &mask).tokens.into_data();
    again.assert_eq(&features.tokens.into_data(), true);
    let features = with_token().encode(images, &mask);
    assert_eq!((features.grid, features.tokens.dims()), (Grid::new(3, 4), [2, 12, 12]));
    let again = with_token().encode(other, &mask).tokens.into_data();
    again.assert_eq(&features.tokens.into_data(), true);
}

#[test]
fn with_nothing_hidden_encoding_is_representing() {
    let (images, nothing) = (images(24, 32), mask(Grid::new(3, 4), &[]));
    let tolerance = Tolerance::absolute(1e-5);
    let whole = network().represent(images.clone()).tokens.into_data();
    let encoded = network().encode(images.clone(), &nothing).tokens.into_data();
    encoded.assert_approx_eq::<f32>(&whole, tolerance);
    let encoded = with_token().encode(images, &nothing).tokens.into_data();
    encoded.assert_approx_eq::<f32>(&whole, tolerance);
}

#[test]
fn mask_units_may_be_coarser_than_the_last_stage() {
    let config = config().with_image(ImageShape::new(2, 32, 32));
    let network = config.init(&mut weights());
    let features = network.encode(images(32, 32), &mask(Grid::square(2), &[1, 2]));
    assert_eq!((features.grid, features.tokens.dims()), (Grid::square(4), [2, 8, 12]));
}

#[test]
#[should_panic(expected = "a mask of 6×8 cannot be read on a grid of 3×4")]
fn a_mask_finer_than_the_last_stage_is_refused() {
    network().encode(images(24, 32), &mask(Grid::new(6, 8), &[1, 2]));
}

#[test]
fn pixels_and_cells_that_are_no_whole_ones_are_left_out() {
    let network = network();
    for (size, grid) in [([37, 50], Grid::new(4, 6)), ([8, 15], Grid::new(1, 1))] {
        let features = network.represent(images(size[0], size[1]));
        assert_eq!((features.grid, features.tokens.dims()), (grid, [2, grid.cells(), 12]));
    }
    // The last row of pixels does not matter, nor does the last column of a stage's cells to the next
    // stage but for what the blocks before have spread.
    let whole = network.represent(images(24, 32)).tokens.into_data();
    let more = Tensor::cat(vec![images(24, 32), images(1, 32)], 2);
    network.represent(more).tokens.into_data().assert_eq(&whole, true);
}

#[test]
#[should_panic(expected = "a grid of 1×2 cells cannot be halved: the image is too small")]
fn an_image_without_a_cell_in_the_last_stage_is_refused() {
    network().represent(images(4, 8));
}

#[test]
#[should_panic(expected = "cannot be cut into squares of 4 pixels")]
fn an_image_smaller_than_a_patch_is_refused() {
    network().represent(images(3, 8));
}

#[test]
fn the_stages_end_with_the_features() {
    let pyramid = network().stages(images(24, 32));
    let grids: Vec<_> = pyramid.iter().map(|stage| (stage.grid, stage.tokens.dims())).collect();
    assert_eq!(grids, [(Grid::new(6, 8), [2, 48, 8]), (Grid::new(3, 4), [2, 12, 12])]);
    let last = pyramid[1].tokens.to_data();
    network().represent(images(24, 32)).tokens.into_data().assert_eq(&last, true);
}

#[test]
fn pooled_features_are_normed_where_there_is_a_norm() {
    let mean = network().represent(images(24, 32)).mean_pool().into_data();
    network().pooled(images(24, 32)).into_data().assert_eq(&mean, true);
    let normed = config().with_pooled_norm(Some(1e-12)).init(&mut weights());
    let pooled: Vec<f32> = normed.pooled(images(24, 32)).into_data().try_to_vec().unwrap();
    for vector in pooled.chunks(12) {
        assert!(vector.iter().sum::<f32>().abs() < 1e-4, "{vector:?}");
        assert!((vector.iter().map(|value| value * value).sum::<f32>() - 12.0).abs() < 1e-3);
    }
}

#[test]
fn every_parameter_belongs_to_the_stem_a_block_or_what_follows() {
    let (network, token) = (network(), with_token());
    assert_eq!((network.layers(), network.width()), (5, 12));
    assert_eq!(network.describe(), "ConvNeXt V2 8×2-3");
    for (parameter, layer) in [
        ("stem.projection.weight", 0),
        ("stem.norm.gamma", 0),
        ("stages.0.blocks.0.depthwise.kernel", 1),
        ("stages.0.blocks.1.response_norm.gamma", 2),
        ("stages.1.downsampling.reduction.weight", 3),
        ("stages.1.blocks.0.fc1.weight", 3),
        ("stages.1.blocks.2.fc2.bias", 5),
        ("pooled_norm.gamma", 6),
    ] {
        assert_eq!(network.layer_of(parameter), layer, "{parameter}");
        assert_eq!(token.layer_of(&format!("network.{parameter}")), layer, "{parameter}");
    }
    assert_eq!(token.layer_of("mask_token"), 0);
}

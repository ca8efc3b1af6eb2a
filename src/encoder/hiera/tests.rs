//! What a Hiera is held to.

use super::*;
use crate::encoder::{Backbone, Encoder};
use crate::grid::{Grid, ImageShape};
use crate::mask::{Mask, UnitMask};
use crate::nn::{Init, InitialWeights};
use crate::test_device;
use burn::tensor::{Tensor, Tolerance};

/// Mask units of 4 × 4 tokens of 2 pixels: 2 × 3 of them.
fn config() -> HieraConfig {
    HieraConfig { width: 8, ..HieraConfig::small_images(ImageShape::new(2, 16, 24)) }
}

fn weights() -> InitialWeights {
    InitialWeights::new(5, &test_device())
}

fn images(height: usize, width: usize) -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(1, &test_device()).param([2, 2, height, width], init).val()
}

fn mask(hidden: &[usize]) -> Mask {
    let mask = |hidden: &[usize]| UnitMask::from_indices(Grid::new(2, 3), hidden.to_vec()).unwrap();
    let other: Vec<_> = hidden.iter().map(|cell| 5 - cell).collect();
    Mask::new([mask(hidden), mask(&other)], &test_device()).unwrap()
}

#[test]
fn hidden_pixels_do_not_reach_the_features() {
    let hiera = config().init(&mut weights());
    let mask = mask(&[0, 2, 4]);
    let visible = mask.at(Grid::new(2, 3)).visible.contains();
    let hidden = visible.bool_not().reshape([2, 1, 2, 1, 3, 1]).expand([2, 2, 2, 8, 3, 8]);
    // Not a number at every hidden pixel.
    let other = images(16, 24).mask_fill(hidden.reshape([2, 2, 16, 24]), f32::NAN);
    let [seen, other] = [images(16, 24), other].map(|images| hiera.encode(images, &mask));
    for (seen, other) in seen.stages.into_iter().zip(other.stages) {
        other.into_data().assert_eq(&seen.into_data(), true);
    }
}

#[test]
fn what_is_hidden_costs_nothing_and_each_stage_keeps_its_units() {
    let features = config().init(&mut weights()).encode(images(16, 24), &mask(&[0, 2, 4]));
    let dims: Vec<_> = features.stages.iter().map(|stage| stage.dims()).collect();
    assert_eq!(
        (features.units, dims),
        (Grid::new(2, 3), vec![[2, 3, 16, 8], [2, 3, 4, 16], [2, 3, 4, 32]])
    );
}

#[test]
fn with_nothing_hidden_encoding_is_representing() {
    for pools in [0, 1, 2] {
        let hiera = config().with_pools(pools).init(&mut weights());
        let encoded = hiera.encode(images(16, 24), &mask(&[])).stages;
        let whole = hiera.stages(images(16, 24));
        for (encoded, whole) in encoded.into_iter().zip(whole) {
            let [batch, _, cells, width] = encoded.dims();
            let map = in_rows(encoded, [2, 3], [2, 2]).reshape([batch, 6 * cells, width]);
            map.into_data()
                .assert_approx_eq::<f32>(&whole.tokens.into_data(), Tolerance::absolute(1e-5));
        }
    }
}

#[test]
fn the_last_stage_is_what_is_represented_and_lies_by_places_before_units() {
    let hiera = config().init(&mut weights());
    let whole = hiera.represent(images(16, 24));
    assert_eq!((whole.grid, whole.tokens.dims()), (Grid::new(4, 6), [2, 24, 32]));
    assert_eq!(hiera.width(), 32);
    let last = hiera.stages(images(16, 24)).remove(2).tokens.into_data();
    last.assert_eq(&whole.tokens.to_data(), true);
    // The upper left cells of all units first, then the upper right ones.
    let lies = hiera.last_hidden_state(images(16, 24));
    for (index, cell) in [(0, 0), (1, 2), (3, 12), (6, 1), (12, 6), (23, 23)] {
        let at = |tokens: &Tensor<3>, index: usize| tokens.clone().narrow(1, index, 1).into_data();
        at(&lies, index).assert_eq(&at(&whole.tokens, cell), true);
    }
}

#[test]
fn tokens_see_their_mask_unit_alone_until_a_stage_attends_to_all() {
    // Where one pixel's change is felt: in its own unit, of 4 × 4 tokens and then 2 × 2; in all cells.
    let hiera = config().with_image(ImageShape::new(1, 16, 24)).init(&mut weights());
    let image = |value: f32| {
        let mut pixels = vec![0.0; 16 * 24];
        pixels[24 + 2] = value;
        Tensor::<1>::from_floats(pixels.as_slice(), &test_device()).reshape([1, 1, 16, 24])
    };
    let asked = [1, 2, 3];
    let layers = |value| hiera.represent_layers(image(value), &asked);
    for ((with, without), count) in layers(5.0).into_iter().zip(layers(0.0)).zip([16, 4, 24]) {
        let change = (with.tokens - without.tokens).abs().sum_dim(2);
        let change: Vec<f32> = change.into_data().try_to_vec().unwrap();
        assert_eq!(change.iter().filter(|change| **change > 0.0).count(), count);
    }
}

#[test]
fn another_stage_may_pool_with_the_same_weights() {
    let more = config().init(&mut weights()).with_pools(2);
    let made = config().with_pools(2).init(&mut weights());
    assert_eq!((more.config(), more.config().stride()), (made.config(), [8, 8]));
    let features = more.represent(images(16, 24));
    assert_eq!(features.grid, Grid::new(2, 3));
    let expected = made.represent(images(16, 24)).tokens.into_data();
    features.tokens.into_data().assert_eq(&expected, true);
}

#[test]
fn images_of_other_sizes_are_read_by_interpolating_positions() {
    let hiera = config().init(&mut weights());
    for (size, grid) in [([8, 8], Grid::new(2, 2)), ([32, 16], Grid::new(8, 4))] {
        let features = hiera.represent(images(size[0], size[1]));
        assert_eq!((features.grid, features.tokens.dims()), (grid, [2, grid.cells(), 32]));
    }
}

#[test]
#[should_panic(expected = "images of 16×20 pixels do not divide into squares of 8×8 pixels")]
fn images_that_do_not_divide_panic_with_both_sizes() {
    config().init(&mut weights()).represent(images(16, 20));
}

#[test]
#[should_panic(expected = "mask units of 8×8 tokens cannot be hidden, only of 4×4")]
fn mask_units_that_do_not_lie_together_are_not_hidden() {
    let config = config().with_image(ImageShape::new(2, 16, 48)).with_unit([8, 8]);
    config.init(&mut weights()).encode(images(16, 24), &mask(&[0]));
}

#[test]
fn every_parameter_belongs_to_the_embedding_or_a_block() {
    let hiera = config().init(&mut weights());
    assert_eq!(hiera.layers(), 5);
    for (parameter, layer) in [
        ("patch_embed.projection.weight", 0),
        ("patch_embed.positions.table", 0),
        ("stages.0.blocks.0.norm1.gamma", 1),
        ("stages.1.blocks.0.projection.weight", 2),
        ("stages.2.blocks.1.attention.qkv.weight", 5),
    ] {
        assert_eq!(hiera.layer_of(parameter), layer, "{parameter}");
    }
}

//! What the vision transformers promise.

use burn::tensor::{Tensor, Tolerance};

use super::{Backbone, Encoder, RelativePositions, VisibleVit, VitConfig, VitInit};
use crate::grid::{Grid, ImageShape};
use crate::mask::{Mask, UnitMask};
use crate::nn::{Init, InitialWeights, NormKind, Positions, QkvBias};
use crate::test_device;

fn config() -> VitConfig {
    VitConfig::new(ImageShape::new(2, 8, 12), 4, 8, 2, 2)
}

fn images(height: usize, width: usize, seed: u64) -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(seed, &test_device()).param([2, 2, height, width], init).val()
}

fn mask(hidden: [usize; 4]) -> Mask {
    let mask = UnitMask::from_indices(Grid::new(2, 3), hidden).unwrap();
    Mask::new([mask.clone(), mask], &test_device()).unwrap()
}

/// Every variant the papers use.
fn variants() -> Vec<VitConfig> {
    vec![
        config(),
        config().with_class_token(false).with_positions(Positions::Learned),
        config()
            .with_positions(Positions::None)
            .with_relative_positions(RelativePositions::Shared)
            .with_qkv_bias(QkvBias::QueryValue)
            .with_layer_scale(Some(0.1))
            .with_init(VitInit::Beit),
        config().with_relative_positions(RelativePositions::PerBlock).with_class_token(false),
        config()
            .with_positions(Positions::None)
            .with_rotary(Some(100.0))
            .with_registers(2)
            .with_query_key_norm(true)
            .with_norm(NormKind::RootMeanSquare)
            .with_swiglu(true),
    ]
}

#[test]
fn hidden_pixels_do_not_reach_the_features() {
    let hidden = [0, 2, 3, 5];
    let seen = images(8, 12, 1);
    let visible = mask(hidden).at(Grid::new(2, 3)).visible.contains();
    let keep = visible.float().reshape([2, 1, 2, 1, 3, 1]).expand([2, 2, 2, 4, 3, 4]);
    let other = seen.clone() * keep.reshape([2, 2, 8, 12]);
    for config in variants() {
        let vit = config.init(&mut InitialWeights::new(0, &test_device()));
        let with = vit.encode(seen.clone(), &mask(hidden)).tokens.into_data();
        vit.encode(other.clone(), &mask(hidden)).tokens.into_data().assert_eq(&with, true);
    }
    let vit = config().init_visible(&mut InitialWeights::new(0, &test_device()));
    let with = vit.encode(seen, &mask(hidden)).tokens.into_data();
    vit.encode(other, &mask(hidden)).tokens.into_data().assert_eq(&with, true);
}

#[test]
fn with_nothing_hidden_encoding_is_representing() {
    let nothing = UnitMask::all_visible(Grid::new(2, 3));
    let nothing = Mask::new([nothing.clone(), nothing], &test_device()).unwrap();
    for config in variants() {
        let vit = config.init(&mut InitialWeights::new(0, &test_device()));
        let whole = vit.represent(images(8, 12, 1)).tokens.into_data();
        let encoded = vit.encode(images(8, 12, 1), &nothing).tokens.into_data();
        encoded.assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-5));
    }
    let vit = config().init_visible(&mut InitialWeights::new(0, &test_device()));
    let whole = vit.represent(images(8, 12, 1)).tokens.into_data();
    let encoded = vit.encode(images(8, 12, 1), &nothing).tokens.into_data();
    encoded.assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-5));
}

#[test]
fn the_final_norm_follows_the_last_block() {
    let vit = config().init(&mut InitialWeights::new(0, &test_device()));
    let mut layers = vit.encode_layers(images(8, 12, 1), &mask([0, 2, 3, 5]), &[2]);
    let last = layers.remove(0);
    let normed = vit.body.transformer.finish(last.tokens).into_data();
    let encoded = vit.encode(images(8, 12, 1), &mask([0, 2, 3, 5]));
    encoded.tokens.into_data().assert_approx_eq::<f32>(&normed, Tolerance::absolute(1e-6));
    let class = vit.body.transformer.finish(last.class_token.unwrap()).into_data();
    let encoded = encoded.class_token.unwrap().into_data();
    encoded.assert_approx_eq::<f32>(&class, Tolerance::absolute(1e-6));
}

#[test]
fn visible_cells_keep_their_rotary_places() {
    // With nothing hidden both see all; with cells hidden, places are those of the whole grid.
    let config = config().with_positions(Positions::None).with_rotary(Some(100.0));
    let vit = config.with_registers(1).init_visible(&mut InitialWeights::new(5, &test_device()));
    let one = |cell: usize| {
        let hidden = (0..6).filter(|other| *other != cell && *other != 2);
        let hidden = UnitMask::from_indices(Grid::new(2, 3), hidden).unwrap();
        let mask = Mask::new([hidden.clone(), hidden], &test_device()).unwrap();
        vit.encode(Tensor::ones([2, 2, 8, 12], &test_device()), &mask).tokens.into_data()
    };
    // The same patches, but as far from each other: only differences of places count.
    let tolerance = Tolerance::absolute(1e-5);
    one(1).assert_approx_eq::<f32>(&one(1), tolerance);
    assert_ne!(one(0), one(5));
}

#[test]
fn both_encoders_share_one_body() {
    let vit = config().init(&mut InitialWeights::new(5, &test_device()));
    let whole = vit.represent(images(8, 12, 1)).tokens.into_data();
    let visible = VisibleVit::from(vit.body);
    visible.represent(images(8, 12, 1)).tokens.into_data().assert_eq(&whole, true);
}

#[test]
fn other_image_sizes_are_read_by_interpolating_positions() {
    for config in variants() {
        let vit = config.init(&mut InitialWeights::new(0, &test_device()));
        let features = vit.represent(images(16, 4, 1));
        assert_eq!((features.grid, features.tokens.dims()), (Grid::new(4, 1), [2, 4, 8]));
        assert_eq!(features.mean_pool().dims(), [2, 8]);
    }
}

#[test]
fn the_order_of_visible_cells_is_that_of_the_grid() {
    let vit = config().init_visible(&mut InitialWeights::new(0, &test_device()));
    let features = vit.encode(images(8, 12, 1), &mask([0, 2, 3, 5]));
    assert_eq!(features.tokens.dims(), [2, 2, 8]);
    assert_eq!(features.class_token.unwrap().dims(), [2, 8]);
}

#[test]
fn every_parameter_belongs_to_the_embedding_a_block_or_what_follows() {
    let per_block = config().with_relative_positions(RelativePositions::PerBlock);
    let vit = per_block.init(&mut InitialWeights::new(0, &test_device()));
    assert_eq!(vit.layers(), 2);
    for (parameter, layer) in [
        ("mask_token", 0),
        ("body.patch_embed.weight", 0),
        ("body.class_token", 0),
        ("body.positions.table", 0),
        ("body.transformer.blocks.0.norm1.gamma", 1),
        ("body.transformer.blocks.1.mlp.fc1.weight", 2),
        ("body.transformer.relative_positions.1.table", 2),
        ("body.transformer.norm.gamma", 3),
    ] {
        assert_eq!(vit.layer_of(parameter), layer, "{parameter}");
    }
}

#[test]
#[should_panic(expected = "needs absolute positions")]
fn an_encoder_that_drops_patches_refuses_relative_positions() {
    config()
        .with_relative_positions(RelativePositions::Shared)
        .init_visible(&mut InitialWeights::new(0, &test_device()));
}

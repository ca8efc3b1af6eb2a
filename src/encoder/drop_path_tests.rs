//! Every encoder with stochastic depth takes another probability of it and keeps its weights.

use burn::tensor::Tensor;

use super::{
    Backbone, CondensedVitConfig, ConvNextV2Config, EncoderConfig, HieraConfig, Patchwise,
    RelativePositions, SwinConfig, SwinV2Config, VitConfig,
};
use crate::grid::ImageShape;
use crate::nn::{Init, InitialWeights, named_parameters, trainable};
use crate::test_device;

fn images() -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(1, &test_device()).param([16, 2, 8, 8], init).val()
}

/// That the encoder `of` a probability, asked for another, is the one made with that.
fn takes_another_probability<B: Backbone + std::fmt::Display>(of: impl Fn(f64) -> B) {
    let made = of(0.0);
    let ids = |encoder: &B| {
        named_parameters(encoder)
            .into_iter()
            .map(|found| (found.path, found.id))
            .collect::<Vec<_>>()
    };
    let dropping = made.clone().with_drop_path(0.9);
    assert_eq!(ids(&dropping), ids(&made));
    // A module's display shows the probability of each of its layers.
    assert_eq!(dropping.to_string(), of(0.9).to_string());
    assert_ne!(dropping.to_string(), made.to_string());

    let validating = made.represent(images()).tokens.into_data();
    dropping.valid().represent(images()).tokens.into_data().assert_eq(&validating, true);
    let training = trainable(dropping, &test_device().autodiff());
    let features = training.represent(images().autodiff()).tokens.without_autodiff();
    let changed = (features - Tensor::from_data(validating, &test_device())).abs().max();
    assert!(changed.into_scalar::<f32>() > 1e-3);
}

fn vit(probability: f64) -> VitConfig {
    let vit = VitConfig::new(ImageShape::square(2, 8), 4, 8, 3, 2);
    vit.with_drop_path(probability)
}

fn weights() -> InitialWeights {
    InitialWeights::new(0, &test_device())
}

#[test]
fn vision_transformers_take_another_drop_path_and_keep_their_weights() {
    takes_another_probability(|probability| vit(probability).init(&mut weights()));
    takes_another_probability(|probability| vit(probability).init_visible(&mut weights()));
    takes_another_probability(|probability| {
        let vit = vit(probability).with_relative_positions(RelativePositions::Shared);
        let condensed = CondensedVitConfig::new(vit).with_early_blocks(2).with_condenser_blocks(3);
        condensed.init(&mut weights())
    });
    takes_another_probability(|probability| Patchwise {
        network: vit(probability).init_visible(&mut weights()),
        patch: 8,
    });
    let changed = vit(0.0).init(&mut weights()).with_drop_path(0.2);
    assert_eq!(changed.body.config().drop_path, 0.2);
}

#[test]
fn swins_take_another_drop_path_and_keep_their_weights() {
    let swin = |probability| {
        let swin = SwinConfig::new(ImageShape::square(2, 8), 2, 8, vec![2, 3], vec![2, 4], 2);
        swin.with_drop_path(probability)
    };
    takes_another_probability(|probability| swin(probability).init(&mut weights()));
    takes_another_probability(|probability| {
        SwinV2Config::new(swin(probability)).with_branch_norm(1.0).init(&mut weights())
    });
}

#[test]
fn convolutions_take_another_drop_path_and_keep_their_weights() {
    let convnext = |probability| {
        let image = ImageShape::square(2, 8);
        let convnext = ConvNextV2Config::new(image, 2, vec![8, 12], vec![2, 3]);
        convnext.with_drop_path(probability)
    };
    takes_another_probability(|probability| convnext(probability).init(&mut weights()));
    takes_another_probability(|probability| {
        EncoderConfig::init(&convnext(probability), &mut weights())
    });
    let changed = convnext(0.0).init(&mut weights()).with_drop_path(0.2);
    assert_eq!(changed.config().drop_path, 0.2);
}

#[test]
fn hieras_take_another_drop_path_and_keep_their_weights() {
    takes_another_probability(|probability| {
        let hiera = HieraConfig::small_images(ImageShape::square(2, 8)).with_drop_path(probability);
        HieraConfig { width: 8, ..hiera }.init(&mut weights())
    });
}

#[test]
#[should_panic(expected = "1.5")]
fn a_probability_above_one_is_refused() {
    vit(0.0).init(&mut weights()).with_drop_path(1.5);
}

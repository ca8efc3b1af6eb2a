//! Every encoder gives the features of its layers and resolutions.

use burn::tensor::{Tensor, Tolerance};

use super::{
    Backbone, CondensedVitConfig, ConvNextV2Config, Encoder, GptConfig, GridTokens, HieraConfig,
    Patchwise, PixelGpt, ResidualConfig, SwinConfig, SwinV2Config, VitConfig, layers_above,
};
use crate::grid::{Grid, ImageShape};
use crate::mask::Mask;
use crate::nn::{Init, InitialWeights};
use crate::test_device;

const SHAPE: ImageShape = ImageShape::new(2, 8, 16);

fn images() -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(1, &test_device()).param([2, 2, 8, 16], init).val()
}

fn weights() -> InitialWeights {
    InitialWeights::new(0, &test_device())
}

fn vit() -> VitConfig {
    VitConfig::new(SHAPE, 4, 8, 3, 2)
}

fn swin() -> SwinConfig {
    SwinConfig::new(SHAPE, 2, 8, vec![2, 1], vec![2, 4], 2)
}

/// That the layers asked for come in that order, that they differ, and that `finish` makes the
/// encoder's features of the last.
fn has_layers<B: Backbone>(encoder: &B, finish: impl Fn(&B, Tensor<3>) -> Tensor<3>) {
    let last = encoder.layers();
    let asked = [last, 0, 1, last];
    assert_eq!(encoder.represented_layers(), encoder.layers());
    let layers = encoder.represent_layers(images(), &asked);
    assert_eq!(layers.len(), 4);
    let data = |index: usize| layers[index].tokens.to_data();
    data(3).assert_eq(&data(0), true);
    assert!(data(1) != data(2) && data(2) != data(3));
    for features in &layers {
        assert_eq!(features.tokens.dims()[1], features.grid.cells());
    }
    let whole = encoder.represent(images()).tokens.into_data();
    let finished = finish(encoder, layers[0].tokens.clone()).into_data();
    finished.assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-5));
}

#[test]
fn every_encoder_gives_the_features_of_its_layers() {
    let normed = |norm: &crate::nn::Norm, tokens| norm.forward(tokens);
    has_layers(&vit().init(&mut weights()), |vit, tokens| vit.body.transformer.finish(tokens));
    has_layers(&vit().init_visible(&mut weights()), |vit, tokens| {
        vit.body.transformer.finish(tokens)
    });
    let condensed = CondensedVitConfig::new(vit()).with_early_blocks(1);
    has_layers(&condensed.init(&mut weights()), |condensed, tokens| {
        condensed.vit.body.transformer.finish(tokens)
    });
    has_layers(&swin().init(&mut weights()), |swin, tokens| normed(&swin.norm, tokens));
    let swin_v2 = SwinV2Config::new(swin()).with_branch_norm(1.0);
    has_layers(&swin_v2.init(&mut weights()), |swin, tokens| normed(&swin.norm, tokens));
    let convnext = ConvNextV2Config::new(SHAPE, 2, vec![8, 12], vec![2, 1]);
    has_layers(&convnext.init(&mut weights()), |_, tokens| tokens);
    let hiera = HieraConfig { width: 8, ..HieraConfig::small_images(SHAPE) };
    has_layers(&hiera.init(&mut weights()), |_, tokens| tokens);
    let gpt = GptConfig::new(SHAPE, 8, 2, 2).with_colors(3).init(&mut weights());
    let palette = Tensor::from_floats([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], &test_device());
    has_layers(&PixelGpt::new(gpt, Some(palette)).at_layer(2), |pixels, tokens| {
        pixels.gpt.transformer.finish(tokens)
    });
    let residual = ResidualConfig::new(2).with_widths(vec![8, 16]).init(&mut weights());
    has_layers(&residual, |_, tokens| tokens);
    has_layers(&Patchwise { network: residual, patch: 4 }, |_, tokens| tokens);
}

#[test]
fn hierarchies_halve_their_grid_and_widen_their_features_by_stage() {
    fn stages(encoder: &impl Backbone) -> Vec<([usize; 2], usize)> {
        let stages = encoder.stages(images()).into_iter();
        stages.map(|stage| ([stage.grid.rows, stage.grid.cols], stage.tokens.dims()[2])).collect()
    }
    assert_eq!(stages(&swin().init(&mut weights())), [([4, 8], 8), ([2, 4], 16)]);
    let residual = ResidualConfig::new(2).with_widths(vec![8, 8, 16]).with_blocks(2);
    let residual = residual.init(&mut weights());
    assert_eq!(stages(&residual), [([8, 16], 8), ([4, 8], 8), ([2, 4], 16)]);
    let convnext = ConvNextV2Config::new(SHAPE, 2, vec![8, 12], vec![2, 1]);
    assert_eq!(stages(&convnext.init(&mut weights())), [([4, 8], 8), ([2, 4], 12)]);
    assert_eq!(stages(&vit().init_visible(&mut weights())), [([2, 4], 8)]);
}

#[test]
#[should_panic(expected = "no features 4")]
fn layers_that_a_swin_lacks_are_refused() {
    swin().init(&mut weights()).represent_layers(images(), &[4]);
}

#[test]
fn what_stands_on_an_encoder_has_no_layer_above_it() {
    let vit = vit().init(&mut weights());
    let above = |parameter| layers_above(&vit, "encoder", parameter);
    assert_eq!(above("head.weight"), 0);
    assert_eq!(above("encoder_norm.gamma"), 0);
    assert_eq!(above("encoder.body.transformer.norm.gamma"), 0);
    assert_eq!(above("encoder.body.transformer.blocks.0.norm1.gamma"), 3);
    assert_eq!(above("encoder.mask_token"), 4);
}

/// The mean of each clip's pixels, `[batch, channels, frames, height, width]`: no images at all.
#[derive(burn::module::Module, Debug)]
struct ClipMeans {
    scale: burn::module::Param<Tensor<1>>,
}

impl Backbone<Tensor<5>> for ClipMeans {
    fn represent(&self, images: Tensor<5>) -> GridTokens {
        let [batch, ..] = images.dims();
        let means = images.reshape([batch as i32, 1, -1]).mean_dim(2);
        let tokens = means * self.scale.val().unsqueeze();
        GridTokens { tokens, class_token: None, grid: Grid::square(1) }
    }

    fn width(&self) -> usize {
        1
    }
}

impl Encoder for ClipMeans {
    type Images = Tensor<5>;
    type Features = GridTokens;

    fn encode(&self, images: Tensor<5>, _mask: &Mask) -> GridTokens {
        self.represent(images)
    }
}

#[test]
fn an_encoder_of_clips_fulfils_the_same_contracts() {
    fn whole<E: Encoder>(encoder: &E, images: E::Images) -> GridTokens {
        assert_eq!(layers_above(encoder, "encoder", "encoder.scale"), 0);
        encoder.stages(images).remove(0)
    }
    let encoder = ClipMeans { scale: weights().param([1], Init::Constant(2.0)) };
    let clips = Tensor::ones([3, 1, 4, 2, 2], &test_device());
    let tokens: Vec<f32> = whole(&encoder, clips).tokens.into_data().try_to_vec().unwrap();
    assert_eq!(tokens, [2.0; 3]);
}

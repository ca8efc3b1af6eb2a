//! Three steps against PyTorch: `tests/parity/cae.py` makes what is compared with here.

use super::*;
use crate::batch::MimBatch;
use crate::grid::{Grid, ImageShape};
use crate::method::parity_tests::{masks, read, tensor, three_steps};
use crate::nn::QkvBias;
use crate::target::tokenizer::PaletteConfig;
use crate::test_device;

fn compare(case: &str, change: impl FnOnce(VitConfig) -> VitConfig) {
    let file = read("cae.safetensors", case);
    let encoder = VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2);
    let encoder = change(encoder.with_positions(Positions::Learned));
    let palette = PaletteConfig::new(ImageShape::new(1, 2, 3)).with_vocabulary(4);
    let beit = BeitConfig::new(encoder, TokenizerConfig::Palette(palette.clone()))
        .with_mask(MaskConfig::Mae { ratio: 0.5 });
    let config =
        CaeConfig::new(beit).with_regressor_depth(2).with_decoder_depth(2).with_alignment(1.5);
    let tokenizer = palette.init(&mut InitialWeights::new(1, &test_device()));
    let weights = &mut InitialWeights::new(0, &test_device().autodiff());
    three_steps(case, config.init(tokenizer, &[0.5], &[0.5], weights), &file, |step| {
        let mask = masks(&file, &format!("hidden.{step}"), Grid::new(2, 3)).unwrap();
        let images = tensor(&file, &format!("images.{step}"));
        let target_view = Some(tensor(&file, &format!("view.{step}")));
        MimBatch { target_view, ..MimBatch::new(images, mask) }
    });
}

#[test]
fn three_steps_are_those_of_pytorch() {
    compare("plain", |encoder| encoder);
}

#[test]
fn three_steps_with_scaled_branches_and_keys_without_bias_are_those_of_pytorch_too() {
    compare("scaled", |encoder| {
        encoder.with_layer_scale(Some(0.1)).with_qkv_bias(QkvBias::QueryValue)
    });
}

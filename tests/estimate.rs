//! What a run says it will take, against hand counts and measured memory.
#![cfg(feature = "run")]

mod common;

use burn_mim::data::ImageData;
use burn_mim::encoder::Stack;
use burn_mim::method::Method;
use burn_mim::run::{Estimate, Run};
use burn_mim::train::{Budget, Recipe};
use burn_mim::{
    DecoderConfig, EncoderConfig, ImageShape, MaeConfig, MaskConfig, SimMimConfig, SwinConfig,
    VitConfig,
};
use common::{IMAGE, device, mae, waves};

const IMAGE_32: ImageShape = ImageShape::square(3, 32);

fn run(folder: &std::path::Path, image: ImageShape, count: usize, batch_size: usize) -> Run {
    let data = ImageData::new(waves(image, count), waves(image, 4), vec![]).unwrap();
    let mut run = Run::new(data, folder.join("run"), &device());
    run.batch_size = batch_size;
    run.recipe = Some(Recipe::mae().with_epochs(3));
    run
}

fn estimate<M: Method>(method: &M, batch_size: usize) -> Estimate {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), IMAGE_32, batch_size, batch_size).estimate(method, false).unwrap()
}

#[test]
fn a_masked_autoencoder_encodes_a_quarter_and_decodes_all() {
    // 64 patches of 4 pixels, of which 16 are visible, and a class token.
    let encoder = Stack { tokens: 17, width: 128, mlp_width: 512, blocks: 6 };
    let decoder = Stack { tokens: 65, width: 64, mlp_width: 256, blocks: 2 };
    assert_eq!(MaeConfig::small_images(IMAGE_32).stacks(), [encoder, decoder]);
    let swin = SwinConfig::new(IMAGE_32, 2, 48, vec![2, 2, 6], vec![3, 6, 12], 4);
    let tokens = swin.stacks().iter().map(|stack| (stack.tokens, stack.width)).collect::<Vec<_>>();
    assert_eq!(tokens, [(256, 48), (64, 96), (16, 192)]);
    assert_eq!(EncoderConfig::stacks(&swin), SimMimConfig::new(swin.clone()).stacks());
}

/// Asserts that the memory of a batch is within 30 % of the largest resident set, in MiB, that
/// `examples/throughput` measured for the same model, image and batch.
fn near<M: Method>(method: &M, measured: &[(usize, f64)]) {
    for &(batch_size, measured) in measured {
        let total = estimate(method, batch_size).memory.total() as f64 / f64::from(1 << 20);
        let off = total / measured - 1.0;
        assert!(off.abs() < 0.3, "{total} MiB at batch {batch_size}, measured {measured}");
    }
}

#[test]
fn memory_is_near_what_was_measured() {
    let vit = VitConfig::new(IMAGE_32, 4, 128, 6, 4);
    let decoder = DecoderConfig::new().with_width(64).with_depth(2).with_heads(2);
    near(
        &MaeConfig::new(vit.clone()).with_decoder(decoder),
        &[(16, 106.8), (64, 166.6), (256, 397.2)],
    );
    let mask = |unit| MaskConfig::Simmim { unit, ratio: 0.75 };
    let simmim = SimMimConfig::new(vit.clone()).with_mask(mask(4));
    near(&simmim, &[(16, 155.0), (128, 456.4)]);
    let fine = VitConfig { patch: 2, ..vit.clone() };
    near(&SimMimConfig::new(fine).with_mask(mask(2)), &[(32, 459.2)]);
    let deep = VitConfig { depth: 12, ..vit };
    near(&SimMimConfig::new(deep).with_mask(mask(4)), &[(128, 756.2)]);
    let swin = SwinConfig::new(IMAGE_32, 2, 48, vec![2, 2, 6], vec![3, 6, 12], 4);
    near(&SimMimConfig::new(swin).with_mask(mask(8)), &[(16, 184.5), (64, 313.4)]);
}

#[test]
fn an_estimate_counts_steps_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = run(folder.path(), IMAGE, 40, 8);
    let plain = run.estimate(&mae(IMAGE), false).unwrap();
    // Five batches an epoch, three epochs.
    assert_eq!((plain.steps_per_epoch, plain.steps, plain.tokens), (5, Some(15), Some(17)));
    assert_eq!((plain.pace, plain.seconds()), (None, None));
    // A rate of 1.5e-4 for 256 images, and 40 epochs of warm-up of 3.
    assert!(plain.recipe_warnings.iter().any(|warning| warning.contains("warm-up of 40 epochs")));
    run.budget = Some(Budget::Steps(7));
    assert_eq!(run.estimate(&mae(IMAGE), false).unwrap().steps, Some(7));
    run.budget = Some(Budget::Minutes(1e-9));
    assert_eq!(run.estimate(&mae(IMAGE), false).unwrap().steps, None);
    let timed = run.estimate(&mae(IMAGE), true).unwrap();
    assert_eq!(timed.steps, Some(1));
    assert!(timed.seconds().is_some_and(|seconds| seconds > 0.0));
    assert!(!run.out.exists());
}

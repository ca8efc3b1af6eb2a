//! What SparK promises beside its numbers.

use burn::tensor::{FloatDType, Tensor};

use super::*;
use crate::batch::MimBatch;
use crate::mask::{Mask, UnitMask};
use crate::nn::Init;
use crate::task::PretextTask;
use crate::test_device;

const IMAGE: ImageShape = ImageShape::new(3, 16, 24);

fn config() -> SparkConfig {
    SparkConfig::small_images(IMAGE)
}

fn batch(images: Tensor<4>) -> MimBatch {
    let masks =
        [0, 5].map(|first| UnitMask::from_indices(Grid::new(4, 6), first..first + 14).unwrap());
    MimBatch::new(images, Mask::new(masks, &test_device()).unwrap())
}

fn images() -> Tensor<4> {
    let init = Init::Normal { std: 1.0 };
    InitialWeights::new(1, &test_device()).param([2, 3, 16, 24], init).val()
}

#[test]
fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
    config().validate().unwrap();
    assert_eq!(config().mask().unwrap().hidden(), 15);
    let refused = |config: SparkConfig| config.validate().unwrap_err().to_string();
    let message = refused(config().with_patch(2));
    assert!(message.contains("patches of 2 pixels are no whole cells"), "{message}");
    let message = refused(config().with_patch(16));
    assert!(message.contains("16×24 pixels cannot be cut"), "{message}");
    let gray = SparkConfig { image: ImageShape::new(1, 16, 24), ..config() };
    assert!(refused(gray).contains("reads images of 3 channels, these have 1"));
    let narrow = config().with_decoder(UNetDecoderConfig::new().with_width(20));
    assert!(refused(narrow).contains("halves its features 2 times into 8 groups, which 20 cannot"));
    let none = config().with_decoder(UNetDecoderConfig::new().with_groups(0));
    assert!(refused(none).contains("decoder.groups"));
}

#[test]
fn all_weights_learn_and_no_hidden_pixel_is_seen() {
    let task = config().init(&mut InitialWeights::new(3, &test_device().autodiff()));
    let gradients = task.loss(batch(images())).loss.backward();
    assert!(task.encoder.stem.weight.grad(&gradients).is_some());
    for densify in &task.head.densify {
        let token = densify.mask_embedding.grad(&gradients).unwrap();
        assert!(token.abs().max().into_scalar::<f32>() > 0.0);
    }
    let hidden = batch(images()).mask.at(Grid::new(16, 24)).asked.map();
    let predicted = |images: Tensor<4>| task.predict(&batch(images)).into_data();
    predicted(images() + hidden * 3.0).assert_eq(&predicted(images()), true);
}

#[test]
fn it_computes_in_half_precision_and_is_judged_in_single() {
    let task = config().init(&mut InitialWeights::new(3, &test_device().autodiff()));
    let whole: f32 = task.loss(batch(images())).loss.into_scalar();
    let half = task.loss_in(batch(images()), FloatDType::BF16).unwrap().loss;
    assert_eq!(half.dtype(), images().dtype());
    assert!((half.into_scalar::<f32>() - whole).abs() < 0.02 * whole);
}

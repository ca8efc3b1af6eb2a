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

mod on_resnet {
    use super::*;
    use crate::encoder::ResNet;
    use crate::nn::{Moments, NormsSeen};
    use crate::task::{Observed, StepEnd};

    /// Two stages, cells of 8 pixels in the last, and 2 × 3 patches of one of these.
    fn task() -> Spark<ResNet> {
        let encoder = ResNetConfig::new(3, vec![1, 1], vec![4, 8], true).with_stem(4);
        let config = SparkConfig::new(IMAGE, encoder)
            .with_patch(8)
            .with_decoder(UNetDecoderConfig::new().with_width(32).with_groups(2));
        config.init(&mut InitialWeights::new(3, &test_device().autodiff()))
    }

    fn batch(images: Tensor<4>) -> MimBatch {
        let masks = [[0, 1, 5], [2, 3, 4]]
            .map(|hidden| UnitMask::from_indices(Grid::new(2, 3), hidden).unwrap());
        MimBatch::new(images, Mask::new(masks, &test_device()).unwrap())
    }

    #[test]
    fn all_weights_learn_no_hidden_pixel_is_seen_and_norms_remember_after_the_step_alone() {
        let task = task();
        let output = task.loss(batch(images()));
        let gradients = output.loss.backward();
        assert!(task.encoder.stem.conv.weight.grad(&gradients).is_some());
        let last = &task.encoder.stages[1][0].convs[2].norm;
        assert!(last.norm.gamma.grad(&gradients).is_some());
        assert!(last.running_mean.grad(&gradients).is_none());
        let hidden = batch(images()).mask.at(Grid::new(16, 24)).asked.map();
        let predicted = |images: Tensor<4>| task.predict(&batch(images)).into_data();
        predicted(images() + hidden * 3.0).assert_eq(&predicted(images()), true);
        let mean = |task: &Spark<ResNet>| task.encoder.stem.norm.running_mean.val().into_data();
        let before = mean(&task);
        task.loss(batch(images()));
        mean(&task).assert_eq(&before, true);
        let task = task.after_step(StepEnd { progress: 0.5, observed: vec![output.observed] });
        assert_ne!(mean(&task), before);
    }

    #[test]
    fn what_norms_saw_reaches_other_processes() {
        let seen = task().loss(batch(images())).observed;
        let values = |seen: &NormsSeen| -> Vec<_> {
            let both = seen.0.iter().flat_map(|Moments { mean, variance }| [mean, variance]);
            both.map(Tensor::to_data).collect()
        };
        // One norm of the stem, four of each block, of which both have a projection.
        assert_eq!(seen.0.len(), 1 + 2 * 4);
        let expected = values(&seen);
        let arrived = NormsSeen::from_data(seen.into_data(), &test_device());
        assert_eq!(values(&arrived), expected);
    }

    #[test]
    fn it_computes_in_half_precision_and_is_judged_in_single() {
        let task = task();
        let whole: f32 = task.loss(batch(images())).loss.into_scalar();
        let half = task.loss_in(batch(images()), FloatDType::BF16).unwrap();
        assert!((half.loss.into_scalar::<f32>() - whole).abs() < 0.05 * whole);
        let step = StepEnd { progress: 1.0, observed: vec![half.observed] };
        let remembered = task.after_step(step).encoder.stem.norm.running_mean.val();
        assert_eq!(remembered.dtype(), images().dtype());
    }

    #[test]
    fn the_papers_decoder_ends_with_24_features_of_every_pixel() {
        let config = SparkConfig::resnet50(ImageShape::square(3, 224));
        config.validate().unwrap();
        assert_eq!((config.patch, config.mask().unwrap().grid()), (32, Grid::square(7)));
        let spark = config.init(&mut InitialWeights::new(0, &test_device()));
        // From 7 × 7 to 14, 28, 56, and on to 112 and 224.
        assert_eq!(spark.head.blocks.len(), 5);
        assert_eq!(spark.head.projection.weight.lazy_shape().as_slice(), [3, 24, 1, 1]);
    }
}

//! An encoder with a classifier on top, as a task to train.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{FloatDType, Tensor};

use super::linear::cross_entropy;
use super::{LabelledBatch, Pooling, TestResult};
use crate::encoder::{Backbone, layers_above, with_frozen_layers};
use crate::error::{Error, Result};
use crate::nn::{Init, InitialWeights, Norm, cast_parameters};
use crate::task::{Measured, PretextTask, TaskOutput};

/// An encoder, its pooled features normalized, and a linear layer to the classes.
///
/// It is trained like a pretext task, by [`Pretraining`](crate::train::Pretraining), on batches of
/// [`LabelledCollate`](super::LabelledCollate); its validation metric is `top1`, in percent.
#[derive(Module, Debug)]
pub struct Classification<B: Module> {
    /// The encoder that is fine-tuned.
    pub encoder: B,
    /// The normalization of the pooled features, if there is one.
    pub norm: Option<Norm>,
    /// The linear layer from features to classes.
    pub head: Linear,
    #[module(skip)]
    pooling: Pooling,
}

impl<B: Backbone> Classification<B> {
    /// `encoder` with a fresh classifier, which starts nearly at zero, as in MAE's code.
    ///
    /// # Panics
    ///
    /// With [`Pooling::Cells`], which only frozen features are read with.
    pub fn new(encoder: B, pooling: Pooling, classes: usize, weights: &mut InitialWeights) -> Self {
        let width =
            pooling.width(encoder.width()).expect("a classifier reads means or class tokens");
        let init = Init::TruncatedNormal { std: 2e-5, bound: 2.0 };
        Self {
            norm: Some(weights.norm(width, 1e-6)),
            head: weights.linear(width, classes, init),
            encoder,
            pooling,
        }
    }

    /// The same task without the normalization of the pooled features, as in transformers' classes.
    pub fn without_norm(self) -> Self {
        Self { norm: None, ..self }
    }

    /// Freezes all blocks of the encoder except the last `blocks`, and everything before the
    /// blocks; with 0 blocks, the encoder's layers after the blocks too (MAE, arXiv 2111.06377 §4.3
    /// and Figure 9). If `blocks` is the number of blocks or more, nothing is frozen.
    ///
    /// # Errors
    ///
    /// When the encoder does not tell its blocks apart.
    pub fn with_last_blocks(self, blocks: usize) -> Result<Self> {
        let layers = self.encoder.layers();
        if layers == 0 {
            return Err(Error::config(
                "partial fine-tuning needs an encoder that names its layers",
            ));
        }
        let frozen = match blocks {
            0 => layers + 1,
            some if some >= layers => return Ok(self),
            some => layers - some,
        };
        Ok(Self { encoder: with_frozen_layers(self.encoder.clone(), frozen), ..self })
    }

    /// Scores of every class, `[batch, classes]`.
    ///
    /// # Panics
    ///
    /// When a class token is to be pooled and the encoder has none.
    pub fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let pooled = self.pooling.of(self.encoder.represent(images));
        let pooled = pooled.unwrap_or_else(|error| panic!("{error}"));
        self.head.forward(match &self.norm {
            Some(norm) => norm.forward(pooled),
            None => pooled,
        })
    }

    /// Classifies all batches with this task, which must be on a plain device.
    ///
    /// # Errors
    ///
    /// When a batch cannot be made.
    pub fn test(
        &self,
        batches: impl IntoIterator<Item = Result<LabelledBatch>>,
    ) -> Result<TestResult> {
        let (mut scores, mut labels) = (Vec::new(), Vec::new());
        for batch in batches {
            let batch = batch?;
            scores.push(self.logits(batch.images));
            labels.extend(batch.labels);
        }
        Ok(TestResult::new(Tensor::cat(scores, 0), &labels))
    }
}

impl<B: Backbone> PretextTask for Classification<B> {
    type Batch = LabelledBatch;
    type Observed = ();

    fn loss(&self, batch: LabelledBatch) -> TaskOutput {
        cross_entropy(self.logits(batch.images), batch.targets).into()
    }

    fn loss_in(&self, batch: LabelledBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let whole = batch.images.dtype();
        let logits = cast_parameters(self, dtype).logits(batch.images.cast(dtype));
        Ok(cross_entropy(logits.cast(whole), batch.targets).into())
    }

    /// The loss, and the share of images in percent whose class is guessed.
    fn measure(&self, batch: LabelledBatch) -> Measured {
        let logits = self.logits(batch.images);
        let guesses = logits.clone().without_autodiff().argmax(1);
        let top1 = guesses.equal(batch.targets.clone().argmax(1)).float().mean() * 100.0;
        Measured::new(cross_entropy(logits, batch.targets), [("top1", top1)])
    }

    /// Gives every class the same score.
    fn trivial_loss(&self, batch: &LabelledBatch) -> Option<Tensor<1>> {
        let logits = batch.targets.zeros_like();
        Some(cross_entropy(logits, batch.targets.clone()))
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.encoder, "encoder", parameter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{VitBody, VitConfig};
    use crate::grid::ImageShape;
    use crate::test_device;
    use burn::module::{Flag, ModuleVisitor, Param};
    use burn::tensor::Device;

    #[derive(Default)]
    struct Flags(Vec<bool>);

    impl ModuleVisitor for Flags {
        fn visit_flag(&mut self, flag: &Param<Flag>) {
            self.0.push(flag.is_enabled());
        }
    }

    fn task(device: &Device) -> Classification<VitBody> {
        let config = VitConfig::new(ImageShape::new(2, 8, 12), 4, 8, 3, 2).with_drop_path(0.1);
        let weights = &mut InitialWeights::new(0, device);
        let encoder = VitBody::new(&config, weights);
        Classification::new(encoder, Pooling::Mean, 4, weights)
    }

    fn batch() -> LabelledBatch {
        let device = test_device();
        let init = Init::Normal { std: 1.0 };
        let images = InitialWeights::new(9, &device).param([2, 2, 8, 12], init).val();
        let targets = Tensor::from_floats([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.25, 0.75]], &device);
        LabelledBatch { images, targets, labels: vec![0, 3] }
    }

    #[test]
    fn the_first_loss_is_that_of_guessing_and_training_lowers_it() {
        let mut task = task(&test_device().autodiff());
        let guessing = 4.0f32.ln();
        let trivial = task.trivial_loss(&batch()).unwrap().into_scalar::<f32>();
        assert!((trivial - guessing).abs() < 1e-6);
        let loss = |task: &Classification<_>| task.loss(batch()).loss;
        assert!((loss(&task).into_scalar::<f32>() - guessing).abs() < 1e-3);
        let mut optimizer = burn::optim::AdamWConfig::new().init();
        for _ in 0..10 {
            let gradients = loss(&task).backward();
            let gradients = burn::optim::GradientsParams::from_grads(gradients, &task);
            task = optimizer.step(1e-2, task, gradients);
        }
        let output = task.valid().measure(batch());
        assert!(output.loss.into_scalar::<f32>() < 1.0);
        assert_eq!(output.metrics[0].1.clone().into_scalar::<f32>(), 100.0);
    }

    #[test]
    fn layers_are_counted_from_the_head_down() {
        let task = task(&test_device());
        for (parameter, above) in [
            ("encoder.patch_embed.weight", 4),
            ("encoder.class_token", 4),
            ("encoder.transformer.blocks.0.mlp.fc1.weight", 3),
            ("encoder.transformer.blocks.2.mlp.fc1.weight", 1),
            ("encoder.transformer.norm.gamma", 0),
            ("norm.gamma", 0),
            ("head.weight", 0),
        ] {
            assert_eq!(task.layers_above(parameter), above, "{parameter}");
        }
    }

    #[test]
    fn only_the_last_blocks_and_what_follows_get_gradients() {
        for (blocks, expected) in [
            (0, [false, false, false, false, false]),
            (1, [false, false, false, true, true]),
            (2, [false, false, true, true, true]),
            (3, [true; 5]),
            (9, [true; 5]),
        ] {
            let task = task(&test_device().autodiff()).with_last_blocks(blocks).unwrap();
            let gradients = task.loss(batch()).loss.backward();
            let body = &task.encoder;
            let mut found = vec![body.patch_embed.weight.grad(&gradients).is_some()];
            found.extend(
                body.transformer
                    .blocks
                    .iter()
                    .map(|block| block.norm1.gamma.grad(&gradients).is_some()),
            );
            let norm = body.transformer.norm.as_ref().unwrap();
            found.push(norm.gamma.grad(&gradients).is_some());
            assert_eq!(found, expected, "{blocks} blocks");
            assert!(task.head.weight.grad(&gradients).is_some());
            let mut dropping = Flags::default();
            body.transformer.blocks.iter().for_each(|block| block.drop_path.visit(&mut dropping));
            assert_eq!(dropping.0, expected[1..4], "{blocks} blocks");
        }
    }
}

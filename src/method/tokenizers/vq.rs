//! Training a vector-quantized tokenizer (Peng et al. 2022, arXiv 2208.06366, §3.1).

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use crate::batch::TokenizerBatch;
use crate::encoder::Backbone;
use crate::error::Result;
use crate::image::{PatchLayout, grid_of, normalize, patchify};
use crate::nn::{cast_parameters, unit};
use crate::target::Tokenizer;
use crate::target::tokenizer::{CodeUse, Quantized, Vq};
use crate::task::{Measured, Observed, PretextTask, StepEnd, TaskOutput, tensors};

/// What the decoder of a tokenizer must predict for each cell.
pub trait VqObjective: Module + ModuleDisplay {
    /// The loss of what was decoded, a scalar.
    ///
    /// # Shapes
    ///
    /// - decoded: `[batch, cells, outputs]`
    /// - images: `[batch, channels, height, width]` in [0, 1]
    fn loss(&self, decoded: Tensor<3>, images: Tensor<4>) -> Tensor<1>;

    /// The loss of the best answer that does not look at the images, if there is one.
    fn trivial_loss(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        let _ = images;
        None
    }
}

/// The cell's pixels, by squared error.
#[derive(Module, Debug)]
pub struct PixelObjective {
    /// Side of a patch in pixels.
    pub patch: usize,
}

impl VqObjective for PixelObjective {
    fn loss(&self, decoded: Tensor<3>, images: Tensor<4>) -> Tensor<1> {
        (decoded - patchify(images, self.patch, PatchLayout::ChannelsFirst)).square().mean()
    }

    fn trivial_loss(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        Some((images.clone() - images.mean_dim(0)).square().mean())
    }
}

/// The features of a frozen teacher for the cell, by one minus their cosine similarity (BEiT v2's
/// vector-quantized knowledge distillation, VQ-KD).
#[derive(Module, Debug)]
pub struct TeacherObjective<E: Module> {
    /// Never trained. Its grid must be the tokenizer's.
    pub teacher: E,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl<E: Backbone> TeacherObjective<E> {
    /// The objective of the features of `teacher`, which reads images normalized by `mean` and `std`
    /// and is frozen.
    pub fn new(teacher: E, mean: &[f32], std: &[f32]) -> Self {
        let teacher = teacher.valid().freeze();
        Self { teacher, mean: mean.to_vec(), std: std.to_vec() }
    }
}

impl<E: Backbone> TeacherObjective<E> {
    fn features(&self, images: Tensor<4>) -> Tensor<3> {
        self.teacher.represent(normalize(images, &self.mean, &self.std)).tokens
    }
}

impl<E: Backbone> VqObjective for TeacherObjective<E> {
    fn loss(&self, decoded: Tensor<3>, images: Tensor<4>) -> Tensor<1> {
        let cosine = (unit(decoded, 2) * unit(self.features(images), 2)).sum_dim(2);
        cosine.mean().neg() + 1.0
    }

    /// The loss of the mean direction of all features: one minus the length of the mean of their
    /// unit vectors.
    fn trivial_loss(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        let mean = unit(self.features(images), 2).mean_dim(0).mean_dim(1);
        Some(mean.square().sum().sqrt().neg() + 1.0)
    }
}

impl Observed for CodeUse {
    fn into_data(self) -> Vec<TensorData> {
        [self.sums, self.candidates, self.counts].map(Tensor::into_data).into()
    }

    fn from_data(data: Vec<TensorData>, device: &Device) -> Self {
        let [sums, candidates, counts] =
            tensors(data).map(|values| Tensor::from_data(values, device));
        Self { sums, candidates, counts }
    }
}

/// Encode, quantize, decode, compare; the codebook follows by itself.
#[derive(Module, Debug)]
pub struct VqTask<O: Module> {
    /// The tokenizer, which is kept after training.
    pub tokenizer: Vq,
    /// What the decoder must predict.
    pub objective: O,
}

impl<O: VqObjective> PretextTask for VqTask<O> {
    type Batch = TokenizerBatch;
    type Observed = CodeUse;

    fn loss(&self, batch: TokenizerBatch) -> TaskOutput<CodeUse> {
        let whole = batch.images.dtype().into();
        self.judge(&self.tokenizer, batch.images, whole).0
    }

    /// The tokenizer's encoder and decoder compute in `dtype`; codes are chosen and the loss is
    /// computed in the input's own type.
    fn loss_in(&self, batch: TokenizerBatch, dtype: FloatDType) -> Result<TaskOutput<CodeUse>> {
        Ok(self.judge(&cast_parameters(&self.tokenizer, dtype), batch.images, dtype).0)
    }

    fn measure(&self, batch: TokenizerBatch) -> Measured {
        let whole = batch.images.dtype().into();
        let (output, metrics) = self.judge(&self.tokenizer, batch.images, whole);
        Measured::new(output.loss, metrics)
    }

    fn trivial_loss(&self, batch: &TokenizerBatch) -> Option<Tensor<1>> {
        self.objective.trivial_loss(batch.images.clone())
    }

    fn after_step(mut self, step: StepEnd<CodeUse>) -> Self {
        for observed in step.observed {
            self.tokenizer = self.tokenizer.follow(observed);
        }
        self
    }
}

impl<O: VqObjective> VqTask<O> {
    /// The loss and its two parts where `network`, the tokenizer, encodes and decodes in `dtype`.
    fn judge(
        &self,
        network: &Vq,
        images: Tensor<4>,
        dtype: FloatDType,
    ) -> (TaskOutput<CodeUse>, [(&'static str, Tensor<1>); 2]) {
        let (grid, whole) = (grid_of(&images, self.tokenizer.patch()), images.dtype());
        let latents = network.latents(images.clone().cast(dtype)).cast(whole);
        let Quantized { codes, commitment, observed, .. } = self.tokenizer.quantize(latents);
        let decoded = network.decode_codes(codes.cast(dtype), grid).cast(whole);
        let reconstruction = self.objective.loss(decoded, images);
        let parts =
            [("reconstruction", reconstruction.clone()), ("commitment", commitment.clone())];
        // Weight 1, as in BEiT v2's code.
        (TaskOutput { loss: reconstruction + commitment, observed }, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::VitConfig;
    use crate::grid::ImageShape;
    use crate::nn::{Init, InitialWeights};
    use crate::target::tokenizer::{VqConfig, VqOutput};
    use crate::test_device;

    fn vit() -> VitConfig {
        VitConfig::new(ImageShape::new(2, 4, 6), 2, 8, 1, 2)
    }

    fn vq(output: VqOutput) -> Vq {
        let config = VqConfig::new(vit()).with_vocabulary(3).with_code_width(2).with_output(output);
        config.init(&mut InitialWeights::new(0, &test_device().autodiff()))
    }

    fn batch() -> TokenizerBatch {
        let init = Init::Normal { std: 0.3 };
        let images = InitialWeights::new(5, &test_device()).param([2, 2, 4, 6], init).val();
        TokenizerBatch { images, noise: None }
    }

    #[test]
    fn weights_are_trained_and_the_codebook_follows_without_gradient() {
        let objective = PixelObjective { patch: 2 };
        let task = VqTask { tokenizer: vq(VqOutput::Pixels), objective };
        let output = task.loss(batch());
        let gradients = output.loss.backward();
        let vq = &task.tokenizer;
        assert!(vq.encoder.body.patch_embed.weight.grad(&gradients).is_some());
        assert!(vq.to_output.second.weight.grad(&gradients).is_some());
        assert!(!vq.codes.is_require_grad() && vq.codes.grad(&gradients).is_none());
        let before = vq.codes.val().into_data();
        let task = task.after_step(StepEnd { progress: 0.5, observed: vec![output.observed] });
        assert!(task.tokenizer.codes.val().into_data() != before);
        assert!(!task.tokenizer.codes.is_require_grad());
    }

    #[test]
    fn a_teachers_direction_has_no_loss_and_its_opposite_the_largest() {
        let teacher = vit().init(&mut InitialWeights::new(3, &test_device().autodiff()));
        let images = batch().images;
        let features = teacher.represent(normalize(images.clone(), &[0.5; 2], &[0.5; 2])).tokens;
        let features = features.without_autodiff();
        let objective = TeacherObjective::new(teacher, &[0.5; 2], &[0.5; 2]);
        let loss = |scale: f64| -> f32 {
            objective.loss(features.clone() * scale, images.clone()).into_scalar()
        };
        assert!(loss(3.0).abs() < 1e-5);
        assert!((loss(-1.0) - 2.0).abs() < 1e-5);
        let nothing = features.zeros_like().autodiff().require_grad();
        let loss_of_nothing = objective.loss(nothing.clone(), images.clone());
        let gradient = nothing.grad(&loss_of_nothing.backward()).unwrap().into_data();
        assert!(gradient.iter::<f32>().all(f32::is_finite), "{gradient}");
        // No other direction that all cells share has a smaller loss than the trivial one.
        let trivial: f32 = objective.trivial_loss(images.clone()).unwrap().into_scalar();
        let length = features.clone().square().sum_dim(2).sqrt();
        let mean = (features.clone() / length).mean_dim(0).mean_dim(1).expand([2, 6, 8]);
        let best: f32 = objective.loss(mean.clone(), images.clone()).into_scalar();
        assert!((trivial - best).abs() < 1e-5, "{trivial} {best}");
        let other: f32 = objective.loss(mean + 0.05, images.clone()).into_scalar();
        assert!(trivial < other, "{trivial} {other}");
    }

    #[test]
    fn a_teacher_is_not_trained() {
        let teacher = vit().init(&mut InitialWeights::new(3, &test_device().autodiff()));
        let objective = TeacherObjective::new(teacher, &[0.5; 2], &[0.5; 2]);
        let task = VqTask { tokenizer: vq(VqOutput::Features { width: 8 }), objective };
        let gradients = task.loss(batch()).loss.backward();
        assert!(task.tokenizer.to_code.first.weight.grad(&gradients).is_some());
        let weight = &task.objective.teacher.body.patch_embed.weight;
        assert!(!weight.is_require_grad() && !weight.val().device().is_autodiff());
    }

    #[test]
    fn pixels_are_judged_by_their_mean_squared_error() {
        let objective = PixelObjective { patch: 2 };
        let images = batch().images;
        let decoded = patchify(images.clone(), 2, PatchLayout::ChannelsFirst) + 3.0;
        let loss: f32 = objective.loss(decoded, images.clone()).into_scalar();
        assert!((loss - 9.0).abs() < 1e-4, "{loss}");
        // The mean of images of 0 and 6 is 3 off both.
        let images = Tensor::cat(vec![images.zeros_like(), images.full_like(6.0)], 0);
        let trivial: f32 = objective.trivial_loss(images).unwrap().into_scalar();
        assert!((trivial - 9.0).abs() < 1e-5, "{trivial}");
    }
}

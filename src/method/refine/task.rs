//! Nearest-neighbor contrast as a task.

use burn::module::{Module, Param};
use burn::tensor::{FloatDType, Tensor, s};

use super::{Refinable, RefinedFeatures};
use crate::encoder::layers_above;
use crate::error::Result;
use crate::mask::Mask;
use crate::method::ContrastTeacher;
use crate::nn::{Projection, cast_parameters, unit};
use crate::task::{Measured, PretextTask, StepEnd, TaskOutput, contrast, guessing};

/// A batch of a [`Refinement`]: two views of every image.
#[derive(Debug, Clone)]
pub struct RefineBatch {
    /// The first views of all images and after them the second ones, `[2 · batch, channels, height,
    /// width]`, normalized.
    pub views: Tensor<4>,
    /// What is hidden of them from the student; `None` for nothing.
    pub mask: Option<Mask>,
}

/// Each view must tell the nearest neighbor of the other view of its image from those of all other
/// images of the batch (NNCLR, arXiv 2104.14548; MAE-CT's head). Neighbors are looked for in a queue
/// of a teacher's earlier projections.
#[derive(Module, Debug)]
pub struct Refinement<E: Module> {
    /// What is kept after pre-training.
    pub encoder: E,
    /// Pooled features → a projection.
    pub projector: Projection,
    /// A projection → what its neighbor should be.
    pub predictor: Projection,
    /// Sees both views whole, and makes the projections that neighbors are looked for by.
    pub teacher: ContrastTeacher<E>,
    /// The teacher's last projections, newest first, `[queue, projection]`; never trained.
    pub queue: Param<Tensor<2>>,
    #[module(skip)]
    pub(super) pooling: RefinedFeatures,
    pub(super) temperature: f64,
    pub(super) momentum: f64,
}

/// What a batch comes to.
struct Seen {
    loss: Tensor<1>,
    /// The teacher's projections of the first views, of length 1, `[batch, projection]`.
    keys: Tensor<2>,
    /// The student's pooled features of the first views, `[batch, features]`.
    feature: Tensor<2>,
    /// The teacher's.
    target: Tensor<2>,
}

impl<E: Refinable + Clone> Refinement<E> {
    /// One vector an image, of whole images or of their visible cells.
    ///
    /// # Panics
    ///
    /// When the class token is asked for and the encoder has none.
    fn pool(&self, encoder: &E, images: Tensor<4>, mask: Option<&Mask>) -> Tensor<2> {
        let (tokens, class_token) = match mask {
            None => {
                let features = encoder.represent(images);
                (features.tokens, features.class_token)
            }
            Some(mask) => {
                let features = encoder.read_visible(images, mask);
                (features.tokens, features.class_token)
            }
        };
        let mean = || tokens.clone().mean_dim(1).squeeze_dim(1);
        let class_token = || class_token.clone().expect("the encoder has no class token");
        match self.pooling {
            RefinedFeatures::Mean => mean(),
            RefinedFeatures::ClassToken => class_token(),
            RefinedFeatures::Both => Tensor::cat(vec![mean(), class_token()], 1),
        }
    }

    /// The nearest of the queue to each of these projections of length 1.
    fn nearest(&self, keys: Tensor<2>) -> Tensor<2> {
        let queue = unit(self.queue.val().without_autodiff(), 1);
        let cosines = keys.matmul(queue.clone().transpose());
        queue.select(0, cosines.argmax(1).squeeze_dim(1))
    }

    /// The encoders compute in `dtype`, the small heads and the loss in the type of the parameters.
    fn see(&self, batch: RefineBatch, dtype: Option<FloatDType>) -> Seen {
        let RefineBatch { views, mask } = batch;
        let whole: FloatDType = views.dtype().into();
        let plain = views.clone().without_autodiff();
        let (pooled, known) = match dtype {
            None => (
                self.pool(&self.encoder, views, mask.as_ref()),
                self.pool(&self.teacher.encoder, plain, None),
            ),
            Some(dtype) => {
                let student = cast_parameters(&self.encoder, dtype);
                let teacher = cast_parameters(&self.teacher.encoder, dtype);
                let pooled = self.pool(&student, views.cast(dtype), mask.as_ref());
                let known = self.pool(&teacher, plain.cast(dtype), None);
                (pooled.cast(whole), known.cast(whole))
            }
        };
        // Each view is a batch of its own for the heads, which normalize over the batch.
        let halves = |both: Tensor<2>| {
            let half = both.dims()[0] / 2;
            [both.clone().slice(s![0..half, ..]), both.slice(s![half.., ..])]
        };
        let pooled = halves(pooled);
        let predicted =
            pooled.clone().map(|view| self.predictor.forward(self.projector.forward(view)));
        let known = halves(known.without_autodiff());
        let keys = known
            .clone()
            .map(|view| unit(self.teacher.projector.forward(view).without_autodiff(), 1));
        let [first, second] = keys.clone().map(|view| self.nearest(view));
        let [of_first, of_second] = predicted;
        let loss = contrast(first, of_second, self.temperature)
            + contrast(second, of_first, self.temperature);
        let ([keys, _], [feature, _], [target, _]) = (keys, pooled, known);
        Seen { loss: loss / 2.0, keys, feature: feature.without_autodiff(), target }
    }

    /// The same task whose teacher is its student.
    #[cfg(feature = "run")]
    pub(super) fn with_teacher_of_now(self) -> Self {
        self.with_teacher_after(0.0)
    }

    fn with_teacher_after(self, momentum: f64) -> Self {
        let teacher = self.teacher.follow(&self.encoder, &self.projector, momentum);
        Self { teacher, ..self }
    }
}

impl<E: Refinable + Clone> PretextTask for Refinement<E> {
    type Batch = RefineBatch;
    /// The teacher's projections of the first views.
    type Observed = Tensor<2>;

    fn loss(&self, batch: RefineBatch) -> TaskOutput<Tensor<2>> {
        let Seen { loss, keys, .. } = self.see(batch, None);
        TaskOutput { loss, observed: keys }
    }

    fn loss_in(&self, batch: RefineBatch, dtype: FloatDType) -> Result<TaskOutput<Tensor<2>>> {
        let Seen { loss, keys, .. } = self.see(batch, Some(dtype));
        Ok(TaskOutput { loss, observed: keys })
    }

    /// With the embeddings `feature` of the student and `target` of the teacher.
    fn measure(&self, batch: RefineBatch) -> Measured {
        let Seen { loss, feature, target, .. } = self.see(batch, None);
        Measured { embeddings: vec![("feature", feature), ("target", target)], ..loss.into() }
    }

    /// All images of the batch are equally likely.
    fn trivial_loss(&self, batch: &RefineBatch) -> Option<Tensor<1>> {
        Some(guessing(batch.views.dims()[0] / 2, &batch.views.device()))
    }

    /// The teacher follows the student, and its projections take the place of the oldest in the
    /// queue.
    fn after_step(self, step: StepEnd<Tensor<2>>) -> Self {
        let momentum = self.momentum;
        let task = self.with_teacher_after(momentum);
        let queue = task.queue.map(|queue| {
            let on_autodiff = queue.device().is_autodiff();
            let queue = queue.without_autodiff();
            let [size, _] = queue.dims();
            let newest_first = step.observed.into_iter().rev().chain([queue]).collect();
            let moved = Tensor::cat(newest_first, 0).slice(s![0..size, ..]);
            if on_autodiff { moved.autodiff() } else { moved }
        });
        Self { queue, ..task }
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.encoder, "encoder", parameter)
    }
}

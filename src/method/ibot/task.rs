//! A student that says of class tokens and of hidden cells what its teacher does.

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use super::IBotConfig;
use crate::batch::MimBatch;
use crate::encoder::{Backbone, Encoder, GridTokens, Vit, VitBody, layers_above};
use crate::error::Result;
use crate::image::grid_of;
use crate::kernel;
use crate::mask::Mask;
use crate::nn::{DinoHead, cast_parameters, follow, unit};
use crate::target::entropy;
use crate::task::{Measured, Observed, PretextTask, StepEnd, TaskOutput, tensors};

/// iBOT: of two views of an image, a student tells from the class token of one what its teacher, a
/// moving average of it, chooses for the other view, and of the hidden cells of the first view what
/// the teacher chooses that sees them.
///
/// The images of a batch are the first views, whose hidden cells the student does not see; the target
/// view is the second, which both see whole. Without one it is the image itself. As officially, the
/// teacher is what is kept.
#[derive(Module, Debug)]
pub struct IBot {
    /// The trained encoder, which replaces hidden cells.
    pub student: Vit,
    /// The student's head.
    pub head: DinoHead,
    /// The teacher's encoder, which is kept after pre-training; no gradient reaches it.
    pub encoder: VitBody,
    /// The teacher's head.
    pub teacher_head: DinoHead,
    /// A moving average of the teacher's outputs for class tokens, `[1, outputs]`.
    pub class_center: Param<Tensor<2>>,
    /// A moving average of the teacher's outputs for cells, `[1, outputs]`.
    pub patch_center: Param<Tensor<2>>,
    /// The teacher's temperature, `[1]`.
    pub temperature: Param<Tensor<1>>,
    #[module(skip)]
    pub(super) config: IBotConfig,
}

/// The means of the teacher's outputs over a batch, `[1, outputs]` each, which the centers follow.
#[derive(Debug, Clone)]
pub struct OutputMeans {
    /// Those of the class tokens of both views.
    pub class: Tensor<2>,
    /// Those of all cells of both views.
    pub patches: Tensor<2>,
}

impl Observed for OutputMeans {
    fn into_data(self) -> Vec<TensorData> {
        [self.class, self.patches].map(Tensor::into_data).into()
    }

    fn from_data(data: Vec<TensorData>, device: &Device) -> Self {
        let [class, patches] = tensors(data).map(|values| Tensor::from_data(values, device));
        Self { class, patches }
    }
}

/// Views without hidden cells have no loss of these, but count in the mean.
const MASKED_VIEWS: f64 = 0.5;

/// A row for each class token, the first views first, `[2 · images, features]`, and for cells,
/// `[.., cells, features]`.
pub(super) struct Rows {
    pub(super) class: Tensor<2>,
    pub(super) patches: Tensor<3>,
}

impl Rows {
    /// Scaled to length 1 in `dtype`: in half precision a short row has no direction.
    fn scaled(self, dtype: FloatDType) -> Self {
        Self { class: unit(self.class.cast(dtype), 1), patches: unit(self.patches.cast(dtype), 2) }
    }

    fn outputs(self, head: &DinoHead) -> Self {
        Self { class: head.outputs(self.class), patches: head.outputs(self.patches) }
    }
}

/// What a batch comes to: the outputs of both networks for class tokens and for the hidden cells of the
/// first views.
pub(super) struct Seen {
    pub(super) student: Rows,
    pub(super) teacher: Rows,
    pub(super) means: OutputMeans,
    /// The student's class tokens of the second views, `[images, width]`.
    feature: Tensor<2>,
    /// The teacher's class tokens of the first views as its outputs are made from them,
    /// `[images, bottleneck]`.
    target: Tensor<2>,
}

fn class_token(features: &GridTokens) -> Tensor<2> {
    features.class_token.clone().expect("a validated encoder has a class token")
}

/// The mean over all rows of −Σ `shares` · ln softmax(`outputs` / `temperature`).
fn cross_entropy<const D: usize>(
    shares: Tensor<D>,
    outputs: Tensor<D>,
    temperature: f64,
) -> Tensor<1> {
    (shares * kernel::log_softmax(outputs / temperature)).sum_dim(D - 1).mean().neg()
}

impl IBot {
    /// What the outputs are made from, of the student for the hidden cells of the first views and of
    /// the teacher for all cells of both, and the student's class tokens of the second views.
    fn narrow(&self, first: Tensor<4>, second: Tensor<4>, mask: &Mask) -> (Rows, Rows, Tensor<2>) {
        let both = Tensor::cat(vec![first.clone(), second.clone()], 0).without_autodiff();
        let masked = self.student.encode(first, mask);
        let whole = class_token(&self.student.represent(second));
        let classes = Tensor::cat(vec![class_token(&masked), whole.clone()], 0);
        let hidden = mask.at(masked.grid).asked.select(masked.tokens);
        let rows = |head: &DinoHead, class, patches| Rows {
            class: head.bottleneck(class),
            patches: head.bottleneck(patches),
        };
        let student = rows(&self.head, classes, hidden);
        let known = self.encoder.represent(both);
        let teacher = rows(&self.teacher_head, class_token(&known), known.tokens);
        (student, teacher, whole.without_autodiff())
    }

    /// The networks compute in `dtype`; the outputs, which small temperatures enlarge, and the losses
    /// are computed in the type of the images.
    pub(super) fn see(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> Seen {
        let MimBatch { images, target_view, mask, .. } = batch;
        let (first, second) = (images.clone(), target_view.as_ref().unwrap_or(images).clone());
        let (student, teacher, feature) = match dtype {
            None => self.narrow(first, second, mask),
            Some(dtype) => {
                let half = cast_parameters(self, dtype);
                half.narrow(first.cast(dtype), second.cast(dtype), mask)
            }
        };
        let whole: FloatDType = images.dtype().into();
        let Rows { class, patches: cells } = teacher.scaled(whole);
        let asked = mask.at(grid_of(images, self.config.encoder.patch)).asked;
        let hidden = asked.select(cells.clone().narrow(0, 0, batch.size()));
        let target = class.clone().narrow(0, 0, batch.size());
        let teacher = Rows { class, patches: hidden }.outputs(&self.teacher_head);
        // Outputs are linear: those of the mean are the mean of those of all cells.
        let mean = cells.mean_dim(1).mean_dim(0).squeeze_dim::<2>(1);
        let means = OutputMeans {
            class: teacher.class.clone().mean_dim(0),
            patches: self.teacher_head.outputs(mean),
        };
        let student = student.scaled(whole).outputs(&self.head);
        Seen { student, teacher, means, feature: feature.cast(whole), target }
    }

    /// The share of each output in what the teacher chooses, centered and sharpened.
    fn shares<const D: usize>(&self, outputs: Tensor<D>, center: &Param<Tensor<2>>) -> Tensor<D> {
        let center = center.val().without_autodiff().unsqueeze::<D>();
        let temperature = self.temperature.val().without_autodiff().unsqueeze::<D>();
        kernel::softmax((outputs - center) / temperature)
    }

    pub(super) fn teacher_shares(&self, Rows { class, patches }: Rows) -> Rows {
        Rows {
            class: self.shares(class, &self.class_center),
            patches: self.shares(patches, &self.patch_center),
        }
    }

    /// The losses of class tokens and of hidden cells, for the `shares` of the teacher.
    fn losses(&self, student: Rows, shares: Rows) -> [Tensor<1>; 2] {
        let temperature = self.config.student_temperature;
        let images = shares.class.dims()[0] / 2;
        // Each view is told what the teacher chooses for the other.
        let [first, second] =
            [0, images].map(|start| shares.class.clone().narrow(0, start, images));
        let others = Tensor::cat(vec![second, first], 0);
        [
            cross_entropy(others, student.class, temperature),
            cross_entropy(shares.patches, student.patches, temperature) * MASKED_VIEWS,
        ]
    }

    fn joined(&self, [class, patches]: [Tensor<1>; 2]) -> Tensor<1> {
        class * self.config.class_loss + patches * self.config.patch_loss
    }

    fn step(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> TaskOutput<OutputMeans> {
        let Seen { student, teacher, means, .. } = self.see(batch, dtype);
        let loss = self.joined(self.losses(student, self.teacher_shares(teacher)));
        TaskOutput { loss, observed: means }
    }

    /// The losses of saying of every image and cell what the teacher chooses on average.
    fn trivial(&self, shares: &Rows) -> [Tensor<1>; 2] {
        let patches: Tensor<2> = shares.patches.clone().mean_dim(1).squeeze_dim(1);
        let mean = |rows: Tensor<2>| entropy(rows.mean_dim(0).squeeze_dim(0));
        [mean(shares.class.clone()), mean(patches) * MASKED_VIEWS]
    }

    /// The teacher's encoder as an encoder to be trained: with the identities of the student's
    /// parameters.
    #[cfg(feature = "run")]
    pub(super) fn kept(&self) -> VitBody {
        follow(self.student.body.valid(), &self.encoder, 0.0)
    }
}

impl PretextTask for IBot {
    type Batch = MimBatch;
    type Observed = OutputMeans;

    fn loss(&self, batch: MimBatch) -> TaskOutput<OutputMeans> {
        self.step(&batch, None)
    }

    fn loss_in(&self, batch: MimBatch, dtype: FloatDType) -> Result<TaskOutput<OutputMeans>> {
        Ok(self.step(&batch, Some(dtype)))
    }

    /// `class` and `patches` are the two losses without their weights, `trivial` the loss of saying of
    /// every image and cell what the teacher chooses on average, which moves with it. With the
    /// embeddings `feature`, the student's class tokens, and `target`, the teacher's before the outputs.
    fn measure(&self, batch: MimBatch) -> Measured {
        let Seen { student, teacher, feature, target, .. } = self.see(&batch, None);
        let shares = self.teacher_shares(teacher);
        let trivial = self.joined(self.trivial(&shares));
        let losses = self.losses(student, shares);
        let [class, patches] = losses.clone();
        let metrics = vec![("class", class), ("patches", patches), ("trivial", trivial)];
        let embeddings = vec![("feature", feature), ("target", target)];
        Measured { loss: self.joined(losses), metrics, embeddings }
    }

    /// The teacher follows the student, the centers the mean outputs of the step, and the temperature
    /// the run's progress.
    fn after_step(mut self, step: StepEnd<OutputMeans>) -> Self {
        let momentum = self.config.momentum.at(step.progress);
        self.encoder = follow(self.encoder, &self.student.body, momentum);
        self.teacher_head = follow(self.teacher_head, &self.head, momentum);
        let keep = self.config.center_momentum;
        let share = (1.0 - keep) / step.observed.len().max(1) as f64;
        let moved = |center: Param<Tensor<2>>, mean: fn(&OutputMeans) -> &Tensor<2>| {
            center.map(|old| {
                let means = step.observed.iter().map(|means| mean(means).clone() * share);
                means.fold(old * keep, |sum, mean| sum + mean)
            })
        };
        self.class_center = moved(self.class_center, |means| &means.class);
        self.patch_center = moved(self.patch_center, |means| &means.patches);
        let temperature = self.config.temperature_at(step.progress);
        self.temperature = self.temperature.map(|old| old.full_like(temperature));
        self
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.student, "student", parameter)
    }
}

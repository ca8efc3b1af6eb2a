//! Features of a teacher.

mod config;
#[cfg(test)]
mod tests;

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

pub use config::{FeatureConfig, FeatureLayers, FeatureLoss, FeatureNorm};

use super::{Target, check_prediction, mean_of_cells};
use crate::batch::MimBatch;
use crate::encoder::{Backbone, GridTokens};
use crate::nn::{Momentum, cast_parameters, follow};

/// The features that a teacher has of the asked cells, which sees the whole image: of chosen layers,
/// averaged and normalized as [`FeatureConfig`] says.
///
/// The teacher is frozen ([`frozen`](Self::frozen)), such as a network that somebody trained, or a
/// moving average of the encoder that is trained ([`following`](Self::following)). It is a module of
/// the task and so part of its checkpoints. It reads the target view of a batch, or the images where
/// there is none, once for all masks of an image.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_mim::nn::{InitialWeights, Momentum};
/// use burn_mim::{
///     FeatureConfig, FeatureLayers, FeatureTarget, Grid, ImageShape, LinearHead, Mask, Mim, MimBatch,
///     PretextTask, UnitMask, VitConfig,
/// };
///
/// // data2vec in a few lines: the mean of the last two MLPs of a teacher that follows the encoder.
/// let (device, vit) = (Device::flex(), VitConfig::new(ImageShape::square(3, 8), 4, 8, 2, 2));
/// let weights = &mut InitialWeights::new(0, &device.clone().autodiff());
/// let features = FeatureConfig::new(FeatureLayers::Mlps { last: 2 });
/// let teacher = vit.init(&mut weights.clone()); // starts as the encoder does
/// let task = Mim {
///     encoder: vit.init(weights),
///     head: LinearHead::new(8, 8, weights),
///     target: FeatureTarget::following(teacher, features, Momentum::new(0.999, 1.0)),
/// };
/// let hidden = UnitMask::from_indices(Grid::square(2), [0, 3])?;
/// let batch = MimBatch::new(Tensor::ones([1, 3, 8, 8], &device), Mask::new([hidden], &device)?);
/// assert!(task.loss(batch).loss.into_scalar::<f32>().is_finite());
/// # }
/// # Ok::<(), burn_mim::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct FeatureTarget<E: Module> {
    /// Sees whole images; no gradient reaches it.
    pub teacher: E,
    #[module(skip)]
    features: FeatureConfig,
    #[module(skip)]
    momentum: Option<Momentum>,
}

impl<E: Backbone> FeatureTarget<E> {
    /// Features of a teacher that stays as it is.
    ///
    /// # Panics
    ///
    /// With the message of [`FeatureConfig::validate`] when that fails.
    pub fn frozen(teacher: E, features: FeatureConfig) -> Self {
        features.validate(teacher.layers()).unwrap_or_else(|error| panic!("{error}"));
        Self { teacher: teacher.valid().freeze(), features, momentum: None }
    }

    /// Features of a teacher that is a moving average of the encoder, whose parameters it must have
    /// by the same paths and in the same shapes. It must be a module of its own, not a clone of the
    /// encoder, whose parameters would be the same ones.
    ///
    /// # Panics
    ///
    /// With the message of [`FeatureConfig::validate`] or [`Momentum::validate`] when that fails.
    pub fn following(teacher: E, features: FeatureConfig, momentum: Momentum) -> Self {
        momentum.validate().unwrap_or_else(|error| panic!("{error}"));
        Self { momentum: Some(momentum), ..Self::frozen(teacher, features) }
    }

    /// What is asked of the teacher.
    pub fn features(&self) -> FeatureConfig {
        self.features
    }

    /// How the teacher moves; `None` where it does not.
    pub fn momentum(&self) -> Option<Momentum> {
        self.momentum
    }

    /// The values of all cells, one row for each image, whatever its masks. Carries no gradient. The
    /// teacher computes in `dtype` where there is one, the values are of the images' type.
    pub fn of_cells(&self, batch: &MimBatch, dtype: Option<FloatDType>) -> GridTokens {
        let layers = self.ask(batch, dtype, |teacher, view| self.read(teacher, view));
        self.values(layers, batch.images.dtype().into())
    }

    /// What `question` reads off the teacher and the view of the images that it is shown, both in
    /// `dtype` where there is one.
    pub(crate) fn ask<R>(
        &self,
        batch: &MimBatch,
        dtype: Option<FloatDType>,
        question: impl FnOnce(&E, Tensor<4>) -> R,
    ) -> R {
        let view = batch.target_view.as_ref().unwrap_or(&batch.images).clone().without_autodiff();
        match dtype {
            None => question(&self.teacher, view),
            Some(dtype) => question(&cast_parameters(&self.teacher, dtype), view.cast(dtype)),
        }
    }

    /// The values that the features of these layers make, in the type `whole`.
    pub(crate) fn values(&self, layers: Vec<GridTokens>, whole: FloatDType) -> GridTokens {
        let (grid, count) = (layers[0].grid, layers.len() as f64);
        let normed = layers
            .into_iter()
            .map(|layer| self.features.each.apply(layer.tokens.without_autodiff().cast(whole)));
        let sum = normed.reduce(|sum, layer| sum + layer).expect("at least one layer is read");
        let tokens = self.features.mean.apply(sum / count);
        GridTokens { tokens, class_token: None, grid }
    }

    fn read(&self, teacher: &E, images: Tensor<4>) -> Vec<GridTokens> {
        let depth = teacher.layers();
        let last = |last: usize| (depth + 1 - last..=depth).collect::<Vec<_>>();
        match self.features.layers {
            FeatureLayers::Output {} => vec![teacher.represent(images)],
            FeatureLayers::Blocks { last: count } => teacher.represent_layers(images, &last(count)),
            FeatureLayers::Mlps { last: count } => teacher.represent_mlps(images, &last(count)),
        }
    }

    /// The asked cells of [`of_cells`](Self::of_cells), for each mask of each image.
    ///
    /// # Shapes
    ///
    /// - output: `[masks, asked, width]`
    pub fn asked(&self, batch: &MimBatch, cells: GridTokens) -> Tensor<3> {
        batch.mask.at(cells.grid).asked.select(batch.for_each_mask(cells.tokens))
    }

    /// The same target whose teacher is `encoder` as it is now: what a run with given weights begins
    /// with.
    pub fn beginning_at<S: Module>(self, encoder: &S) -> Self {
        match self.momentum {
            Some(_) => Self { teacher: follow(self.teacher, encoder, 0.0), ..self },
            None => self,
        }
    }
}

/// The first cell of each row: `[rows, cells, width]` to `[rows, width]`.
pub(crate) fn first_cells(cells: &Tensor<3>) -> Tensor<2> {
    cells.clone().narrow(1, 0, 1).squeeze_dim(1)
}

impl<E: Backbone> Target for FeatureTarget<E> {
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        self.teacher.width()
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        self.asked(batch, self.of_cells(batch, None))
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        let [batch, cells, width] = value.dims();
        check_prediction(&prediction, [batch, cells], width);
        self.features.loss.of(prediction, value)
    }

    /// `prediction` and `target` of each mask's first asked cell: means over cells that are normalized
    /// over the cells would be the same for all images.
    fn embeddings(
        &self,
        prediction: &Tensor<3>,
        value: &Tensor<3>,
    ) -> Vec<(&'static str, Tensor<2>)> {
        vec![("prediction", first_cells(prediction)), ("target", first_cells(value))]
    }

    fn trivial_prediction(&self, value: &Tensor<3>) -> Option<Tensor<3>> {
        Some(mean_of_cells(value))
    }

    fn after_step<S: Module>(self, encoder: &S, progress: f64) -> Self {
        match self.momentum {
            Some(momentum) => {
                let teacher = follow(self.teacher, encoder, momentum.at(progress));
                Self { teacher, ..self }
            }
            None => self,
        }
    }
}

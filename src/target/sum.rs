//! Two targets of one prediction.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Reconstruct, Target, check_prediction};
use crate::batch::MimBatch;

/// Two regression targets at once: of a prediction's numbers the first are the first target's, the
/// others the second's, and the two losses are added with a weight each. Pictures show the first.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn_mim::{HogTarget, PixelTarget, Sum, Target};
///
/// // The pixels of a patch of 4 × 4 pixels, and a tenth of the loss of its histogram.
/// let (pixels, hog) = (PixelTarget::mae(3, 4, true), HogTarget::maskfeat(3, 4, 4));
/// let both = Sum::new(pixels, hog).with_weights([1.0, 0.1]);
/// assert_eq!(both.width(), 3 * 4 * 4 + 3 * 9);
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Sum<A: Module, B: Module> {
    /// The target of the first numbers.
    pub first: A,
    /// The target of the others.
    pub second: B,
    /// What the first loss is multiplied by.
    pub first_weight: f64,
    /// What the second loss is multiplied by.
    pub second_weight: f64,
}

impl<A: Module, B: Module> Sum<A, B> {
    /// Two targets whose losses are added as they are.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second, first_weight: 1.0, second_weight: 1.0 }
    }

    /// The same targets with other weights of their losses.
    ///
    /// # Panics
    ///
    /// When a weight is not a finite number of at least 0.
    pub fn with_weights(self, [first_weight, second_weight]: [f64; 2]) -> Self {
        for weight in [first_weight, second_weight] {
            assert!(
                weight >= 0.0 && weight.is_finite(),
                "the weight of a loss must be a finite number of at least 0, got {weight}"
            );
        }
        Self { first_weight, second_weight, ..self }
    }
}

impl<A, B> Sum<A, B>
where
    A: Target<Prediction = Tensor<3>, Value = Tensor<3>>,
    B: Target<Prediction = Tensor<3>, Value = Tensor<3>>,
{
    /// The two targets' parts of a prediction or a value, `[batch, asked, width]`.
    fn split(&self, both: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let (first, second) = (self.first.width(), self.second.width());
        (both.clone().narrow(2, 0, first), both.narrow(2, first, second))
    }

    /// The losses of the two, before they are weighed.
    ///
    /// # Panics
    ///
    /// When there is not a prediction of both widths for each value.
    fn losses(&self, prediction: Tensor<3>, value: Tensor<3>) -> [Tensor<1>; 2] {
        let [batch, asked, _] = value.dims();
        check_prediction(&prediction, [batch, asked], self.width());
        let ((first, second), values) = (self.split(prediction), self.split(value));
        [self.first.loss(first, values.0), self.second.loss(second, values.1)]
    }
}

impl<A, B> Target for Sum<A, B>
where
    A: Target<Prediction = Tensor<3>, Value = Tensor<3>>,
    B: Target<Prediction = Tensor<3>, Value = Tensor<3>>,
{
    type Prediction = Tensor<3>;
    type Value = Tensor<3>;

    fn width(&self) -> usize {
        self.first.width() + self.second.width()
    }

    fn of(&self, batch: &MimBatch) -> Tensor<3> {
        Tensor::cat(vec![self.first.of(batch), self.second.of(batch)], 2)
    }

    fn loss(&self, prediction: Tensor<3>, value: Tensor<3>) -> Tensor<1> {
        let [first, second] = self.losses(prediction, value);
        first * self.first_weight + second * self.second_weight
    }

    /// The metrics of the first target, then of the second, and their losses, not weighed, as
    /// `first_loss` and `second_loss`.
    fn metrics(&self, prediction: &Tensor<3>, value: &Tensor<3>) -> Vec<(&'static str, Tensor<1>)> {
        let (predictions, values) = (self.split(prediction.clone()), self.split(value.clone()));
        let mut metrics = self.first.metrics(&predictions.0, &values.0);
        metrics.extend(self.second.metrics(&predictions.1, &values.1));
        let [first, second] = self.losses(prediction.clone(), value.clone());
        metrics.extend([("first_loss", first), ("second_loss", second)]);
        metrics
    }

    fn embeddings(
        &self,
        prediction: &Tensor<3>,
        value: &Tensor<3>,
    ) -> Vec<(&'static str, Tensor<2>)> {
        let (predictions, values) = (self.split(prediction.clone()), self.split(value.clone()));
        let mut embeddings = self.first.embeddings(&predictions.0, &values.0);
        embeddings.extend(self.second.embeddings(&predictions.1, &values.1));
        embeddings
    }

    fn trivial_prediction(&self, value: &Tensor<3>) -> Option<Tensor<3>> {
        let (first, second) = self.split(value.clone());
        let first = self.first.trivial_prediction(&first)?;
        Some(Tensor::cat(vec![first, self.second.trivial_prediction(&second)?], 2))
    }

    fn after_step<E: Module>(self, encoder: &E, progress: f64) -> Self {
        let first = self.first.after_step(encoder, progress);
        Self { first, second: self.second.after_step(encoder, progress), ..self }
    }
}

impl<A, B> Reconstruct for Sum<A, B>
where
    A: Reconstruct<Prediction = Tensor<3>, Value = Tensor<3>>,
    B: Target<Prediction = Tensor<3>, Value = Tensor<3>>,
{
    fn reconstruct(&self, prediction: Tensor<3>, batch: &MimBatch) -> Tensor<4> {
        self.first.reconstruct(self.split(prediction).0, batch)
    }

    fn caption(&self) -> &'static str {
        self.first.caption()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use crate::mask::{Mask, UnitMask};
    use crate::target::{HogTarget, PixelTarget, SobelTarget};
    use crate::test_device;

    /// A gray image of 2 × 4 pixels in two cells: 1 to 4 in the asked one.
    fn batch() -> MimBatch {
        let images =
            Tensor::from_floats([[[[9.0, 9.0, 1.0, 2.0], [9.0, 9.0, 3.0, 4.0]]]], &test_device());
        let mask = UnitMask::from_indices(Grid::new(1, 2), [1]).unwrap();
        MimBatch::new(images, Mask::new([mask], &test_device()).unwrap())
    }

    fn sum() -> Sum<PixelTarget, HogTarget> {
        Sum::new(PixelTarget::mae(1, 2, false), HogTarget::maskfeat(1, 2, 2))
    }

    fn number(tensor: Tensor<1>) -> f32 {
        tensor.into_scalar()
    }

    #[test]
    fn values_are_the_first_targets_then_the_seconds() {
        let (sum, batch) = (sum(), batch());
        let value = sum.of(&batch);
        assert_eq!((value.dims(), sum.width()), ([1, 1, 4 + 9], 13));
        let (first, second) = sum.split(value);
        assert_eq!(first.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
        second.into_data().assert_eq(&sum.second.of(&batch).into_data(), true);
    }

    #[test]
    fn losses_are_means_over_their_own_width_and_added_with_their_weights() {
        let (sum, batch) = (sum().with_weights([0.5, 3.0]), batch());
        let value = sum.of(&batch);
        // Off by 2 in every pixel and by 1 in every bin: squares of 4 and of 1.
        let off = Tensor::cat(
            vec![
                Tensor::full([1, 1, 4], 2.0, &test_device()),
                Tensor::full([1, 1, 9], 1.0, &test_device()),
            ],
            2,
        );
        let prediction = value.clone() + off;
        let loss = number(sum.loss(prediction.clone(), value.clone()));
        assert!((loss - (0.5 * 4.0 + 3.0 * 1.0)).abs() < 1e-5, "{loss}");
        let metrics = sum.metrics(&prediction, &value);
        let named: Vec<_> = metrics.into_iter().map(|(name, loss)| (name, number(loss))).collect();
        assert_eq!(named[0].0, "first_loss");
        assert!((named[0].1 - 4.0).abs() < 1e-5 && (named[1].1 - 1.0).abs() < 1e-5, "{named:?}");
    }

    #[test]
    fn pictures_show_the_first() {
        let (sum, batch) = (sum(), batch());
        let image = sum.reconstruct(sum.of(&batch), &batch).into_data();
        let expected = sum.first.reconstruct(sum.first.of(&batch), &batch).into_data();
        image.assert_eq(&expected, true);
        let trivial = sum.trivial_prediction(&sum.of(&batch)).unwrap();
        assert_eq!(trivial.dims(), [1, 1, 13]);
    }

    #[test]
    #[should_panic(expected = "a head that predicts 12 numbers for each hidden cell does not go \
                               with a target of 13")]
    fn a_prediction_of_another_width_panics_with_both() {
        let value = sum().of(&batch());
        sum().loss(value.clone().narrow(2, 0, 12), value);
    }

    #[test]
    #[should_panic(expected = "the weight of a loss must be a finite number of at least 0, got -1")]
    fn a_negative_weight_panics() {
        let _ = Sum::new(SobelTarget::new(1, 2), SobelTarget::new(1, 2)).with_weights([1.0, -1.0]);
    }
}

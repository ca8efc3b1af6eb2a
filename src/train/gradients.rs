//! Gradients of all parameters as one vector.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Tensor, TensorData};

use super::exchange::NOTHING;
use crate::error::Result;

/// The gradients of two parts of a step together.
pub(super) fn added<M: Module>(
    model: &M,
    a: GradientsParams,
    b: GradientsParams,
) -> GradientsParams {
    let mut sum = GradientsAccumulator::new();
    sum.accumulate(model, a);
    sum.accumulate(model, b);
    sum.grads()
}

/// From so many numbers on a gradient is summed in its own memory: copying it would cost more than
/// one more exchange.
const LARGE: usize = 1 << 14;

/// Appends the gradients to `numbers`, in the order in which the model shows its parameters: for each
/// that may have one a 1 and its values, or as many times nothing where it has none. Of the large ones,
/// which are returned, the values are left out; one that is not there is empty.
pub(super) fn write<M: Module>(
    model: &M,
    gradients: GradientsParams,
    numbers: &mut Vec<f32>,
) -> Vec<Vec<f32>> {
    let mut visitor = Write { gradients, numbers, large: Vec::new() };
    model.visit(&mut visitor);
    visitor.large
}

/// The sums of gradients that several processes [`write`], of which `numbers` are the sums of the numbers,
/// and `large` the large ones of this process, which `sum` turns into sums.
pub(super) fn read<M: Module>(
    model: &M,
    numbers: &[f32],
    large: Vec<Vec<f32>>,
    sum: impl FnMut(&mut [f32]) -> Result<()>,
) -> Result<GradientsParams> {
    let gradients = GradientsParams::new();
    let mut visitor = Read { gradients, numbers, large: large.into_iter(), sum, done: Ok(()) };
    model.visit(&mut visitor);
    visitor.done.map(|()| visitor.gradients)
}

struct Write<'a> {
    gradients: GradientsParams,
    numbers: &'a mut Vec<f32>,
    large: Vec<Vec<f32>>,
}

impl ModuleVisitor for Write<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let gradient = self.gradients.remove::<D>(param.id);
        self.numbers.push(if gradient.is_some() { 1.0 } else { NOTHING });
        let count = param.lazy_shape().num_elements();
        let values = gradient.map(|gradient| {
            gradient.into_data().try_into_vec::<f32>().expect("gradients are of f32")
        });
        match values {
            values if count >= LARGE => self.large.push(values.unwrap_or_default()),
            Some(values) => self.numbers.extend(values),
            None => self.numbers.extend(std::iter::repeat_n(NOTHING, count)),
        }
    }
}

struct Read<'a, S> {
    gradients: GradientsParams,
    numbers: &'a [f32],
    large: std::vec::IntoIter<Vec<f32>>,
    sum: S,
    done: Result<()>,
}

impl<S: FnMut(&mut [f32]) -> Result<()>> ModuleVisitor for Read<'_, S> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() || self.done.is_err() {
            return;
        }
        let shape = param.lazy_shape();
        let count = shape.num_elements();
        let (is_there, rest) = self.numbers.split_at(1);
        let (own, rest) = rest.split_at(if count < LARGE { count } else { 0 });
        self.numbers = rest;
        let large = if count < LARGE { None } else { self.large.next() };
        if is_there[0] <= 0.0 {
            return;
        }
        let values = match large {
            None => own.to_vec(),
            Some(mut values) => {
                values.resize(count, NOTHING);
                self.done = (self.sum)(&mut values);
                values
            }
        };
        let device = param.lazy_device().without_autodiff();
        let values = TensorData::new(values, shape);
        self.gradients.register(param.id, Tensor::<D>::from_data(values, &device));
    }
}

/// The norm of all gradients together, as a tensor on their device; `None` when there are none.
pub(super) fn global_norm<M: Module>(model: &M, gradients: &GradientsParams) -> Option<Tensor<1>> {
    let mut visitor = SquaredNorms { gradients, squares: Vec::new() };
    model.visit(&mut visitor);
    // One after the other: a backend that fuses operations makes a few of all these additions.
    visitor.squares.into_iter().reduce(|sum, square| sum + square).map(Tensor::sqrt)
}

/// Scales the gradients by `factor`, and then so that their global norm is at most `max_norm`
/// (PyTorch's `clip_grad_norm_`, which adds 1e-6 to the norm). Also yields that norm before clipping,
/// where it was needed.
pub(super) fn scale_and_clip<M: Module>(
    model: &M,
    mut gradients: GradientsParams,
    factor: f64,
    max_norm: Option<f64>,
) -> (GradientsParams, Option<Tensor<1>>) {
    let norm = match max_norm {
        None if factor == 1.0 => return (gradients, None),
        None => None,
        Some(_) => global_norm(model, &gradients).map(|norm| norm.mul_scalar(factor)),
    };
    let scale = max_norm.zip(norm.clone()).map(|(max_norm, norm)| {
        (norm + 1e-6).recip().mul_scalar(max_norm).clamp_max(1.0).mul_scalar(factor)
    });
    model.visit(&mut Scale { gradients: &mut gradients, factor, scale });
    (gradients, norm)
}

struct SquaredNorms<'a> {
    gradients: &'a GradientsParams,
    squares: Vec<Tensor<1>>,
}

impl ModuleVisitor for SquaredNorms<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        self.squares.push(gradient.square().sum());
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
    /// Used in place of `factor` where the scale depends on the gradients, and therefore stays on
    /// the device.
    scale: Option<Tensor<1>>,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let scaled = match &self.scale {
            Some(scale) => gradient * scale.clone().unsqueeze(),
            None => gradient * self.factor,
        };
        self.gradients.register(param.id, scaled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::nn::{Linear, LinearConfig};

    /// A layer whose weight has the gradient [3, 0] and whose bias has [4].
    fn layer_and_gradients() -> (Linear, GradientsParams) {
        let device = test_device().autodiff();
        let layer = LinearConfig::new(2, 1).init(&device);
        let input = Tensor::<2>::from_floats([[3.0, 0.0]], &device.clone().without_autodiff());
        let bias = layer.bias.as_ref().unwrap().val();
        let loss = layer.forward(input).sum() + bias.sum() * 3.0;
        let gradients = GradientsParams::from_grads(loss.backward(), &layer);
        (layer, gradients)
    }

    fn values(layer: &Linear, gradients: &GradientsParams) -> Vec<f32> {
        let weight = gradients.get::<2>(layer.weight.id).unwrap();
        let bias = gradients.get::<1>(layer.bias.as_ref().unwrap().id).unwrap();
        let flat = Tensor::cat(vec![weight.flatten::<1>(0, 1), bias], 0);
        flat.into_data().try_to_vec().unwrap()
    }

    fn close(values: &[f32], expected: [f32; 3]) {
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{values:?}");
    }

    #[test]
    fn written_gradients_are_read_back_and_nothing_adds_nothing() {
        let (layer, gradients) = layer_and_gradients();
        let (mut numbers, mut nothing) = (Vec::new(), Vec::new());
        let sums = |numbers: &[f32]| read(&layer, numbers, vec![], |_| Ok(())).unwrap();
        assert!(write(&layer, gradients, &mut numbers).is_empty());
        assert_eq!(numbers, [1.0, 3.0, 0.0, 1.0, 4.0]);
        write(&layer, GradientsParams::new(), &mut nothing);
        assert!(sums(&nothing).is_empty());
        numbers.iter_mut().zip(nothing).for_each(|(sum, nothing)| *sum += nothing);
        assert_eq!(values(&layer, &sums(&numbers)), [3.0, 0.0, 4.0]);
    }

    #[test]
    fn large_gradients_are_summed_in_their_own_memory_where_any_process_has_one() {
        let device = test_device().autodiff();
        let layer: Linear = LinearConfig::new(LARGE, 1).init(&device);
        let input = Tensor::<2>::full([1, LARGE], 3.0, &device.without_autodiff());
        let loss = layer.forward(input).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &layer);
        let (mut numbers, mut nothing) = (Vec::new(), Vec::new());
        let own = write(&layer, gradients, &mut numbers);
        let none = write(&layer, GradientsParams::new(), &mut nothing);
        assert_eq!((&numbers[..], own[0].len(), none[0].len()), (&[1.0, 1.0, 1.0][..], LARGE, 0));
        assert!(nothing.iter().all(|number| number.to_bits() == NOTHING.to_bits()));
        let half = |values: &mut [f32]| {
            values.iter_mut().for_each(|value| *value += 0.5);
            Ok(())
        };
        for (large, expected) in [(own, 3.5), (none, 0.5)] {
            let sums = read(&layer, &numbers, large, half).unwrap();
            let values = values(&layer, &sums);
            assert_eq!((values.len(), values[LARGE]), (LARGE + 1, 1.0));
            assert!(values[..LARGE].iter().all(|&value| value == expected));
        }
        let large = vec![vec![0.0; LARGE]];
        let fault = |_: &mut [f32]| Err(crate::error::Error::config("gone"));
        assert!(read(&layer, &numbers, large, fault).is_err());
    }

    #[test]
    fn the_norm_is_that_of_all_gradients_together() {
        let (layer, gradients) = layer_and_gradients();
        assert_eq!(global_norm(&layer, &gradients).unwrap().into_scalar::<f32>(), 5.0);
    }

    #[test]
    fn clipping_keeps_the_direction_of_the_whole() {
        let (layer, gradients) = layer_and_gradients();
        let (clipped, norm) = scale_and_clip(&layer, gradients, 1.0, Some(1.0));
        close(&values(&layer, &clipped), [0.6, 0.0, 0.8]);
        assert_eq!(norm.unwrap().into_scalar::<f32>(), 5.0);
    }

    #[test]
    fn gradients_within_the_norm_are_only_averaged() {
        let (layer, gradients) = layer_and_gradients();
        let (averaged, norm) = scale_and_clip(&layer, gradients, 0.5, Some(2.6));
        assert_eq!(norm.unwrap().into_scalar::<f32>(), 2.5);
        close(&values(&layer, &averaged), [1.5, 0.0, 2.0]);
        let (layer, gradients) = layer_and_gradients();
        let (clipped, _) = scale_and_clip(&layer, gradients, 0.5, Some(1.25));
        close(&values(&layer, &clipped), [0.75, 0.0, 1.0]);
    }
}

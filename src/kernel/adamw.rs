//! One step of AdamW.

use burn::tensor::Tensor;

/// The numbers of one step of AdamW (arXiv 1711.05101, Algorithm 2).
#[derive(Debug, Clone, Copy)]
pub struct AdamWStep {
    /// The decay rates of the two moments, β₁ and β₂.
    pub betas: [f32; 2],
    /// ε, which is added to the root of the second moment.
    pub epsilon: f32,
    /// Learning rate.
    pub rate: f64,
    /// Decoupled weight decay: a parameter loses `rate` · `weight_decay` of itself.
    pub weight_decay: f64,
    /// The number of this step, from 1.
    pub time: usize,
}

impl AdamWStep {
    /// The divisors of the moments, which correct for their start at 0.
    pub(super) fn corrections(&self) -> [f32; 2] {
        self.betas.map(|beta| 1.0 - beta.powi(self.time as i32))
    }

    /// The share of itself that a parameter keeps.
    pub(super) fn kept(&self) -> f64 {
        1.0 - self.rate * self.weight_decay
    }
}

/// A parameter and the moments of its gradient after one more step.
///
/// # Shapes
///
/// - parameter, gradient, moments, output: all the same
///
/// # Panics
///
/// When the shapes are not all the same.
pub fn adamw<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    moments: [Tensor<D>; 2],
    step: AdamWStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    assert_one_shape(&parameter, &gradient, &moments);
    #[cfg(feature = "flex")]
    if super::takes(
        [&parameter, &gradient, &moments[0], &moments[1]].into_iter().all(super::fits)
            && !parameter.device().is_autodiff(),
    ) {
        use super::flex::AdamWKernel;
        let [moment_1, moment_2] = moments.map(Tensor::into_dispatch);
        let (parameter, moment_1, moment_2) = burn::backend::Dispatch::mim_adamw(
            parameter.into_dispatch(),
            gradient.into_dispatch(),
            moment_1,
            moment_2,
            step,
        );
        return (Tensor::from_dispatch(parameter), [moment_1, moment_2].map(Tensor::from_dispatch));
    }
    adamw_composed(parameter, gradient, moments, step)
}

/// Refuses a gradient or moments of another shape, which would be broadcast or read in part.
fn assert_one_shape<const D: usize>(
    parameter: &Tensor<D>,
    gradient: &Tensor<D>,
    moments: &[Tensor<D>; 2],
) {
    for (name, tensor) in [("gradient", gradient), ("moment", &moments[0]), ("moment", &moments[1])]
    {
        let (own, other) = (parameter.dims(), tensor.dims());
        assert!(own == other, "a parameter of shape {own:?} has a {name} of shape {other:?}");
    }
}

/// [`adamw`] as burn composes it, operation by operation the same.
///
/// # Panics
///
/// When the shapes are not all the same.
pub fn adamw_composed<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    moments: [Tensor<D>; 2],
    step: AdamWStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    assert_one_shape(&parameter, &gradient, &moments);
    let [moment_1, moment_2] = moments;
    let ([beta_1, beta_2], [correction_1, correction_2]) = (step.betas, step.corrections());
    let moment_1 = moment_1 * beta_1 + gradient.clone() * (1.0 - beta_1);
    let moment_2 = moment_2 * beta_2 + gradient.square() * (1.0 - beta_2);
    let update =
        moment_1.clone() / correction_1 / ((moment_2.clone() / correction_2).sqrt() + step.epsilon);
    (parameter * step.kept() - update * step.rate, [moment_1, moment_2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::compare::TAKEN;
    use crate::rng::{Purpose, stream};
    use crate::test_device;
    use burn::tensor::TensorData;
    use rand::RngExt;

    fn tensor(seed: u64, count: usize) -> Tensor<2> {
        let mut noise = stream(seed, Purpose::Data, 0, 0);
        let values: Vec<f32> = (0..count).map(|_| noise.random_range(-1.0..1.0)).collect();
        Tensor::from_data(TensorData::new(values, [count / 3, 3]), &test_device())
    }

    #[test]
    fn the_kernel_has_the_bits_of_the_composition_and_touches_nothing_shared() {
        let count = 60_000;
        let mut kernel = (tensor(0, count), [tensor(0, count) * 0.0, tensor(0, count) * 0.0]);
        let mut composed = kernel.clone();
        let shared = (kernel.clone(), kernel.0.to_data());
        let taken = TAKEN.get();
        for time in 1..4 {
            let (betas, gradient) = ([0.9, 0.95], tensor(time as u64, count));
            let step = AdamWStep { betas, epsilon: 1e-8, rate: 1e-3, weight_decay: 0.05, time };
            kernel = adamw(kernel.0, gradient.clone(), kernel.1, step);
            composed = adamw_composed(composed.0, gradient, composed.1, step);
        }
        let enabled = crate::kernel::enabled();
        assert_eq!(TAKEN.get() - taken, if enabled { 3 } else { 0 }, "steps of the kernel");
        assert_eq!(kernel.0.to_data(), composed.0.to_data());
        assert_eq!(kernel.1[0].to_data(), composed.1[0].to_data());
        assert_eq!(kernel.1[1].to_data(), composed.1[1].to_data());
        assert_eq!(shared.0.0.to_data(), shared.1);
    }

    const STEP: AdamWStep =
        AdamWStep { betas: [0.9, 0.95], epsilon: 1e-8, rate: 1e-3, weight_decay: 0.0, time: 1 };

    #[test]
    #[should_panic(expected = "a parameter of shape [4, 3] has a gradient of shape [1, 3]")]
    fn a_gradient_of_another_shape_panics() {
        adamw(tensor(0, 12), tensor(1, 3), [tensor(2, 12), tensor(3, 12)], STEP);
    }

    #[test]
    #[should_panic(expected = "a parameter of shape [4, 3] has a moment of shape [1, 3]")]
    fn so_does_a_moment_of_another_shape_without_the_kernel() {
        adamw_composed(tensor(0, 12), tensor(1, 12), [tensor(2, 12), tensor(3, 3)], STEP);
    }
}

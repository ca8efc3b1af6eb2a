//! LAMB (You et al. 2019, arXiv 1904.00962), as timm has it.

use burn::optim::{AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{Device, Tensor};

use super::Recipe;
use super::adamw::moments;

/// Adam's step with the decay in it, as long as the parameter that it moves is, times the learning rate. A
/// parameter without decay is moved by Adam's step as it is.
///
/// States and records are AdamW's.
#[derive(Debug, Clone)]
pub(super) struct Lamb {
    betas: [f64; 2],
    epsilon: f64,
    weight_decay: f64,
}

impl Lamb {
    /// LAMB with the recipe's betas and epsilon, and with the given weight decay.
    pub(super) fn new(recipe: &Recipe, weight_decay: f32) -> Self {
        let betas = recipe.betas.map(f64::from);
        Self { betas, epsilon: recipe.epsilon.into(), weight_decay: weight_decay.into() }
    }
}

impl Optimizer for Lamb {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let momentum = moments(state, &gradient);
        let time = momentum.time + 1;
        let moved = |old: Tensor<D>, new: Tensor<D>, beta: f64| old * beta + new * (1.0 - beta);
        let [first, second] = self.betas;
        let moment_1 = moved(momentum.moment_1, gradient.clone(), first);
        let moment_2 = moved(momentum.moment_2, gradient.square(), second);
        let unbiased = |beta: f64| 1.0 - beta.powi(i32::try_from(time).unwrap_or(i32::MAX));
        let deviation = moment_2.clone().sqrt() / unbiased(second).sqrt() + self.epsilon;
        let mut update = moment_1.clone() / unbiased(first) / deviation;
        if self.weight_decay > 0.0 {
            update = update + parameter.clone() * self.weight_decay;
            update = update.clone() * trust(&parameter, &update);
        }
        let momentum = AdaptiveMomentumState::new(time, moment_1, moment_2);
        (parameter - update * rate, Some(AdamWState::new(momentum)))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamWState::new(state.momentum.to_device(device))
    }
}

/// The length of `parameter` over that of `update`, or 1 where one of them is 0.
fn trust<const D: usize>(parameter: &Tensor<D>, update: &Tensor<D>) -> Tensor<D> {
    let length = |tensor: &Tensor<D>| tensor.clone().square().sum().sqrt();
    let (parameter, update) = (length(parameter), length(update));
    let none = (parameter.clone() * update.clone()).equal_elem(0.0);
    let ratio = parameter / update.mask_fill(none.clone(), 1.0);
    ratio.mask_fill(none, 1.0).unsqueeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::tensor::TensorData;

    /// `timm.optim.Lamb(lr=0.1, betas=(0.9, 0.95), eps=1e-6, max_grad_norm=None)` of timm 1.0.31, the
    /// matrix with a decay of 0.04, the vector without, on gradients of 0.1 · (step + 1) · (index − 1.5):
    /// tests/parity/lamb.py prints them.
    const MATRIX: [f32; 4] = [1.48792, -1.4489774, -0.0194688, 2.4279368];
    const VECTOR: [f32; 2] = [1.2902482, -1.7097545];

    fn after_three_steps<const D: usize>(start: TensorData, decay: f32) -> Vec<f32> {
        let recipe = Recipe::mae().with_epsilon(1e-6);
        let lamb = Lamb::new(&recipe, decay);
        let mut parameter = Tensor::<D>::from_data(start, &test_device());
        let mut state = None;
        for step in 0..3 {
            let count = parameter.shape().num_elements();
            let values = (0..count).map(|index| 0.1 * (step + 1) as f32 * (index as f32 - 1.5));
            let gradient = TensorData::new(values.collect::<Vec<_>>(), parameter.shape());
            let gradient = Tensor::from_data(gradient, &test_device());
            (parameter, state) = lamb.step(0.1, parameter, gradient, state);
        }
        parameter.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn three_steps_are_those_of_timm() {
        let matrix = TensorData::from([[1.0_f32, -2.0], [0.5, 3.0]]);
        let close = |got: Vec<f32>, expected: &[f32]| {
            assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?}");
        };
        close(after_three_steps::<2>(matrix, 0.04), &MATRIX);
        close(after_three_steps::<1>(TensorData::from([1.0_f32, -2.0]), 0.0), &VECTOR);
        // A parameter of zeros moves by Adam's step alone.
        let zeros = after_three_steps::<1>(TensorData::from([0.0_f32, 0.0]), 0.04);
        assert!(zeros.iter().all(|value| *value > 0.0 && value.is_finite()), "{zeros:?}");
    }
}

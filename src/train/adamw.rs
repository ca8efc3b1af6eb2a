//! burn's AdamW, with its update done by the crate's own kernel.

use burn::optim::{AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{Device, Tensor};

use super::Recipe;
use crate::kernel::{self, AdamWStep};

/// AdamW with the same state and records as burn's own: a run that was saved with one can go on
/// with the other.
#[derive(Debug, Clone)]
pub(super) struct AdamW {
    betas: [f32; 2],
    epsilon: f32,
    weight_decay: f32,
}

impl AdamW {
    /// AdamW with the recipe's betas and epsilon, and with the given weight decay.
    pub(super) fn new(recipe: &Recipe, weight_decay: f32) -> Self {
        Self { betas: recipe.betas, epsilon: recipe.epsilon, weight_decay }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let momentum = moments(state, &gradient);
        let step = AdamWStep {
            betas: self.betas,
            epsilon: self.epsilon,
            rate,
            weight_decay: self.weight_decay.into(),
            time: momentum.time + 1,
        };
        let moments = [momentum.moment_1, momentum.moment_2];
        let (parameter, [moment_1, moment_2]) = kernel::adamw(parameter, gradient, moments, step);
        let momentum = AdaptiveMomentumState::new(step.time, moment_1, moment_2);
        (parameter, Some(AdamWState::new(momentum)))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamWState::new(state.momentum.to_device(device))
    }
}

/// The moments before a step: those of `state`, or zeros like `gradient` before the first one.
pub(super) fn moments<const D: usize>(
    state: Option<AdamWState<D>>,
    gradient: &Tensor<D>,
) -> AdaptiveMomentumState<D> {
    state.map(|state| state.momentum).unwrap_or_else(|| {
        AdaptiveMomentumState::new(0, gradient.zeros_like(), gradient.zeros_like())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
    use burn::tensor::Distribution;

    fn stepped(mut optimizer: ModuleOptimizer, mut layer: Linear, steps: usize) -> Linear {
        let input = Tensor::<2>::ones([4, 3], &test_device());
        for _ in 0..steps {
            let loss = layer.forward(input.clone()).square().sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &layer);
            layer = optimizer.step(1e-2, layer, gradients);
        }
        layer
    }

    #[test]
    fn steps_have_the_bits_of_burns_optimizer() {
        let recipe = Recipe::mae();
        let [beta_1, beta_2] = recipe.betas;
        let burns = AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(recipe.epsilon)
            .with_weight_decay(0.05);
        let mut layer = LinearConfig::new(3, 5).init(&test_device().autodiff());
        let noise = Tensor::random([3, 5], Distribution::Default, &test_device()).autodiff();
        layer.weight = layer.weight.map(|_| noise.require_grad());
        let expected = stepped(burns.init(), layer.clone(), 4);
        let got = stepped(AdamW::new(&recipe, 0.05).into(), layer, 4);
        assert_eq!(got.weight.val().into_data(), expected.weight.val().into_data());
    }
}

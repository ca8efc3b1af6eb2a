//! A moving average of a model's weights.

use std::collections::HashSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// The average after one more step: `decay` · average + (1 − `decay`) · model; what has no gradient
/// (a frozen tokenizer, a codebook) is the model's own.
///
/// `average` is a validation copy of the model (`model.valid()`): parameters are matched by id.
pub(super) fn updated<M: Module>(average: M, model: &M, decay: f64) -> M {
    let mut weights = Weights::default();
    model.visit(&mut weights);
    average.map(&mut Average { weights, decay })
}

/// Tensors of any rank by parameter: the container burn has for gradients.
#[derive(Default)]
struct Weights {
    tensors: GradientsParams,
    untrained: HashSet<ParamId>,
}

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            self.untrained.insert(param.id);
        }
        self.tensors.register(param.id, param.val().without_autodiff());
    }
}

struct Average {
    weights: Weights,
    decay: f64,
}

impl ModuleMapper for Average {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(new) = self.weights.tensors.remove::<D>(param.id) else { return param };
        if self.weights.untrained.contains(&param.id) {
            return param.map(|_| new);
        }
        param.map(|average| average * self.decay + new * (1.0 - self.decay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device;
    use burn::nn::{Linear, LinearConfig};

    fn weight(layer: &Linear) -> Vec<f32> {
        layer.weight.val().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_average_follows_the_model_at_its_decay() {
        let device = test_device().autodiff();
        let mut model = LinearConfig::new(2, 2).init(&device);
        let average = model.valid();
        let before = weight(&average);
        model.weight = model.weight.map(|weight| (weight + 1.0).detach().require_grad());
        let average = updated(average, &model, 0.75);
        for (got, old) in weight(&average).iter().zip(before) {
            assert!((got - (old + 0.25)).abs() < 1e-6);
        }
        assert!(!average.weight.val().device().is_autodiff());
    }

    #[test]
    fn what_has_no_gradient_is_copied_bit_by_bit() {
        let device = test_device().autodiff();
        let mut model = LinearConfig::new(2, 2).init(&device).no_grad();
        let average = model.valid();
        model.weight = model.weight.map(|weight| weight + 0.1);
        let average = updated(average, &model, 0.75);
        assert_eq!(weight(&average), weight(&model));
    }
}

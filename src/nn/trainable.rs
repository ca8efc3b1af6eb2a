//! Makes a module ready for training.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Device, GradientCheckpointingStrategy, Int, Tensor};

/// `module` on `device`, which becomes an autodiff device if it is not one. Parameters that were
/// made to be trained require gradients there, and stochastic depth is on again. Values and
/// parameter ids stay the same.
///
/// A module that was loaded on a plain device, or is a validation copy (`module.valid()`), needs
/// this before it is fine-tuned, and no configuration: burn keeps with each parameter whether it
/// is to be trained, on any device, and `train` restores it. What was frozen by `no_grad` or
/// `freeze` stays frozen; `Module::fork` alone moves a module but does not make it trainable.
pub fn trainable<M: Module>(module: M, device: &Device) -> M {
    let plain = device.clone().without_autodiff();
    let module = module.valid().to_device(&plain).train();
    match device.gradient_checkpointing_strategy() {
        Some(strategy) => module.map(&mut Checkpointing { strategy }),
        None => module,
    }
}

/// Gives all tensors one strategy, since an operation on tensors of two is refused.
struct Checkpointing {
    strategy: GradientCheckpointingStrategy,
}

impl ModuleMapper for Checkpointing {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.with_gradient_checkpointing_strategy(self.strategy))
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        param.map(|tensor| tensor.with_gradient_checkpointing_strategy(self.strategy))
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        param.map(|tensor| tensor.with_gradient_checkpointing_strategy(self.strategy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{DropPath, Init, InitialWeights};
    use crate::test_device;
    use burn::nn::Linear;

    fn linear(device: &Device) -> Linear {
        InitialWeights::new(0, device).linear(2, 3, Init::XavierUniform)
    }

    /// Whether the layer's weight gets a gradient on `device`.
    fn learns(layer: &Linear, device: &Device) -> bool {
        let loss = layer.forward(Tensor::<2>::ones([1, 2], device)).sum();
        loss.is_tracked() && layer.weight.val().grad(&loss.backward()).is_some()
    }

    #[test]
    fn a_module_of_a_plain_device_and_a_validation_copy_learn_with_the_same_values_and_ids() {
        let autodiff = test_device().autodiff();
        for checkpointing in [autodiff.clone(), autodiff.clone().gradient_checkpointing()] {
            for module in [linear(&test_device()), linear(&autodiff).valid(), linear(&autodiff)] {
                let values = module.weight.val().into_data();
                let id = module.weight.id;
                let ready = trainable(module, &checkpointing);
                assert!(learns(&ready, &checkpointing));
                assert_eq!(ready.weight.id, id);
                ready.weight.val().into_data().assert_eq(&values, true);
                let strategy = ready.weight.val().gradient_checkpointing_strategy();
                assert_eq!(strategy, checkpointing.gradient_checkpointing_strategy());
            }
        }
    }

    #[test]
    fn what_is_frozen_stays_frozen() {
        let frozen = trainable(linear(&test_device()).no_grad(), &test_device().autodiff());
        assert!(!frozen.weight.is_require_grad());
    }

    #[test]
    fn branches_are_dropped_again() {
        let device = test_device().autodiff();
        let validating = DropPath::new(0.5).valid();
        let ones = || Tensor::ones([200, 1, 1], &device);
        let smallest = |drop_path: &DropPath| {
            drop_path.forward(ones()).without_autodiff().min().into_scalar::<f32>()
        };
        assert_eq!(smallest(&validating), 1.0);
        assert_eq!(smallest(&trainable(validating, &device)), 0.0);
    }
}

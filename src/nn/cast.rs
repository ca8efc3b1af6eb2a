//! A module's parameters in another floating-point type.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};

/// `module` with its float parameters cast to `dtype`, for one forward pass in that precision.
///
/// The cast is part of the computation: gradients reach the parameters of `module` itself, in
/// their own type, and it is those that an optimizer moves.
pub fn cast_parameters<M: Module>(module: &M, dtype: FloatDType) -> M {
    module.clone().map(&mut Cast { dtype })
}

struct Cast {
    dtype: FloatDType,
}

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(self.dtype))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;
    use burn::optim::GradientsParams;
    use burn::tensor::DType;

    #[test]
    fn gradients_of_the_copy_reach_the_original_in_its_own_type() {
        let device = test_device().autodiff();
        let layer = InitialWeights::new(0, &device).linear(2, 1, Init::XavierUniform);
        let half = cast_parameters(&layer, FloatDType::BF16);
        assert_eq!(half.weight.val().dtype(), DType::BF16);
        let input = Tensor::<2>::from_floats([[3.0, 0.5]], &device).cast(FloatDType::BF16);
        let loss = half.forward(input).cast(FloatDType::F32).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &layer);
        let gradient = gradients.get::<2>(layer.weight.id).unwrap().into_data();
        assert_eq!(gradient.dtype(), DType::F32);
        assert_eq!(gradient.try_to_vec::<f32>().unwrap(), [3.0, 0.5]);
    }
}

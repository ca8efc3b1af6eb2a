//! A copy of a module that is a module of its own.

use std::collections::HashMap;

use burn::module::{Flag, Module, ModuleMapper, Param, ParamId, ParameterValue};
use burn::tensor::{Bool, Int, Tensor};

/// `module` with new parameter ids, and with gradients of its own: what makes a clone a second
/// module, which may stand beside the first in one model.
///
/// Optimizers, freezing and loading tell parameters apart by their ids, which a clone shares. A
/// teacher that starts as its student is [`teacher_of`] it. A parameter that stands in several places
/// of the module stays one.
pub fn with_fresh_ids<M: Module>(module: M) -> M {
    module.map(&mut FreshIds::default())
}

/// A teacher that starts as `student`: frozen, on the plain device, with dropout and stochastic depth
/// off for good, and with parameter ids of its own, so that training moves and saves the two apart.
/// It moves by [`follow`](super::follow) alone, or not at all.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::Device;
/// use burn_mim::nn::{Init, InitialWeights, follow, teacher_of};
///
/// let weights = &mut InitialWeights::new(0, &Device::flex().autodiff());
/// let student = weights.linear(4, 2, Init::XavierUniform);
/// let teacher = teacher_of(&student);
/// assert_ne!(teacher.weight.id, student.weight.id);
/// assert!(!teacher.weight.is_require_grad());
///
/// // After a step of the student, in the task's `after_step`:
/// let teacher = follow(teacher, &student, 0.996);
/// # let _ = teacher;
/// # }
/// ```
pub fn teacher_of<M: Module>(student: &M) -> M {
    with_fresh_ids(student.valid()).freeze()
}

/// The new id of each old one.
#[derive(Default)]
struct FreshIds(HashMap<ParamId, ParamId>);

impl FreshIds {
    fn apply<T: ParameterValue>(
        &mut self,
        param: Param<T>,
        change: impl FnOnce(T) -> T,
    ) -> Param<T> {
        let (id, value, mapper) = param.consume();
        let id = *self.0.entry(id).or_default();
        Param::from_mapped_value(id, change(value), mapper)
    }
}

impl ModuleMapper for FreshIds {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = param.is_require_grad();
        self.apply(param, |tensor| tensor.detach().set_require_grad(trained))
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.apply(param, |tensor| tensor)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        self.apply(param, |tensor| tensor)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.apply(flag, |flag| flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;

    #[test]
    fn a_copy_has_the_same_values_and_gets_gradients_of_its_own() {
        let device = test_device().autodiff();
        let layer = InitialWeights::new(0, &device).linear(2, 3, Init::XavierUniform);
        let copy = with_fresh_ids(layer.clone());
        assert_ne!(copy.weight.id, layer.weight.id);
        copy.weight.val().into_data().assert_eq(&layer.weight.val().into_data(), true);
        let gradients = copy.forward(Tensor::<2>::ones([1, 2], &device)).sum().backward();
        assert!(copy.weight.val().grad(&gradients).is_some());
        assert!(layer.weight.val().grad(&gradients).is_none());
    }

    #[test]
    fn a_teacher_has_the_students_values_and_stays_frozen() {
        let device = test_device().autodiff();
        let student = InitialWeights::new(0, &device).linear(2, 3, Init::XavierUniform);
        let teacher = teacher_of(&student);
        assert_ne!(teacher.weight.id, student.weight.id);
        teacher.weight.val().into_data().assert_eq(&student.weight.val().into_data(), true);
        assert!(!teacher.weight.val().device().is_autodiff());
        assert!(!teacher.train().weight.is_require_grad());
        assert!(student.weight.is_require_grad());
    }

    #[test]
    fn a_copy_of_a_validation_copy_can_be_trained_again() {
        let device = test_device().autodiff();
        let layer = InitialWeights::new(0, &device).linear(2, 3, Init::XavierUniform);
        let copy = with_fresh_ids(layer.valid());
        assert!(!copy.weight.is_require_grad());
        assert!(copy.train().weight.is_require_grad());
    }
}

//! A module whose weights are a moving average of another's.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// `teacher` after one more step of `student`: `momentum` · teacher + (1 − `momentum`) · student.
/// What is not trained in the student (a frozen tokenizer, a codebook) becomes the student's own.
///
/// Parameters are matched by their paths. The student may have more of them than the teacher, as a
/// [`Vit`](crate::Vit) has a mask token that a [`VisibleVit`](crate::VisibleVit) lacks. No gradient
/// reaches the teacher, which [`teacher_of`](super::teacher_of) makes of its student;
/// [`Momentum`](super::Momentum) says how much it keeps in the course of a run.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::nn::{Initializer, LinearConfig};
/// use burn::tensor::Device;
/// use burn_mim::nn::{Momentum, follow, teacher_of};
///
/// let of = |value: f64, device: &Device| {
///     let layer = LinearConfig::new(1, 1).with_initializer(Initializer::Constant { value });
///     layer.init(device)
/// };
/// let device = Device::flex().autodiff();
/// let teacher = teacher_of(&of(1.0, &device));
/// let student = of(5.0, &device); // after a step
/// let teacher = follow(teacher, &student, Momentum::new(0.5, 1.0).at(0.5));
/// assert_eq!(teacher.weight.val().into_scalar::<f32>(), 2.0);
/// # }
/// ```
///
/// # Panics
///
/// When the momentum is not in [0, 1], or the student lacks one of the teacher's parameters or has it
/// in another shape.
pub fn follow<T: Module, S: Module>(teacher: T, student: &S, momentum: f64) -> T {
    assert!((0.0..=1.0).contains(&momentum), "a momentum must be in [0, 1], got {momentum}");
    let mut weights = Weights::default();
    student.visit(&mut weights);
    teacher.map(&mut Following { path: Vec::new(), weights: weights.found, momentum })
}

/// A parameter of the student.
struct Weight {
    tensor: Box<dyn Any>,
    trained: bool,
    shape: Vec<usize>,
}

#[derive(Default)]
struct Weights {
    path: Vec<String>,
    found: HashMap<String, Weight>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (tensor, trained) = (param.val().without_autodiff(), param.is_require_grad());
        let shape = tensor.dims().to_vec();
        let weight = Weight { tensor: Box::new(tensor), trained, shape };
        self.found.insert(self.path.join("."), weight);
    }
}

struct Following {
    path: Vec<String>,
    weights: HashMap<String, Weight>,
    momentum: f64,
}

impl ModuleMapper for Following {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let weight = self.weights.remove(&path);
        let weight = weight.unwrap_or_else(|| {
            panic!("a teacher cannot follow a student that has no parameter {path}")
        });
        let Weight { tensor, trained, shape } = weight;
        let new = tensor.downcast::<Tensor<D>>().ok();
        let own: [usize; D] = param.lazy_shape().dims();
        let new = new.filter(|new| new.dims() == own).unwrap_or_else(|| {
            panic!("the teacher's {path} is of shape {own:?}, the student's of {shape:?}")
        });
        let momentum = self.momentum;
        param.map(|old| {
            let on_autodiff = old.device().is_autodiff();
            let moved = match trained {
                true => old.without_autodiff() * momentum + *new * (1.0 - momentum),
                false => *new,
            };
            if on_autodiff { moved.autodiff() } else { moved }
        })
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

    /// A layer of ones, and the same with other weights of `value`.
    fn teacher_and_student(value: f32) -> (Linear, Linear) {
        let device = test_device().autodiff();
        let layer = |value: f32| {
            let mut layer = LinearConfig::new(2, 2).init(&device);
            layer.weight = layer.weight.map(|weight| weight.full_like(value).require_grad());
            layer
        };
        (layer(1.0).valid(), layer(value))
    }

    #[test]
    fn the_teacher_moves_towards_the_student_by_one_minus_the_momentum() {
        let (teacher, student) = teacher_and_student(5.0);
        let teacher = follow(teacher, &student, 0.75);
        assert_eq!(weight(&teacher), [2.0; 4]);
        let teacher = follow(teacher, &student, 0.75);
        assert_eq!(weight(&teacher), [2.75; 4]);
        assert!(!teacher.weight.val().device().is_autodiff());
    }

    #[test]
    fn what_the_student_does_not_train_is_copied_bit_by_bit() {
        let (teacher, student) = teacher_and_student(0.1);
        let teacher = follow(teacher, &student.no_grad(), 0.75);
        assert_eq!(weight(&teacher), [0.1; 4]);
    }

    #[test]
    fn a_frozen_teacher_among_trained_weights_gets_no_gradient() {
        let (_, student) = teacher_and_student(5.0);
        let (_, teacher) = teacher_and_student(1.0);
        let teacher = follow(teacher.no_grad(), &student, 0.5);
        assert_eq!(weight(&teacher), [3.0; 4]);
        assert!(!teacher.weight.is_require_grad());
        let output = teacher.forward(student.weight.val());
        let gradients = output.sum().backward();
        assert!(teacher.weight.grad(&gradients).is_none());
        assert!(student.weight.grad(&gradients).is_some());
    }

    #[test]
    #[should_panic(expected = "a student that has no parameter bias")]
    fn a_student_that_lacks_a_parameter_panics_with_its_path() {
        let student = LinearConfig::new(2, 2).with_bias(false).init(&test_device());
        let teacher = LinearConfig::new(2, 2).init(&test_device());
        follow(teacher, &student, 0.5);
    }

    #[test]
    #[should_panic(expected = "weight is of shape [3, 2], the student's of [2, 2]")]
    fn a_student_of_another_shape_panics_with_both() {
        let student = LinearConfig::new(2, 2).init(&test_device());
        let teacher = LinearConfig::new(3, 2).init(&test_device());
        follow(teacher, &student, 0.5);
    }
}

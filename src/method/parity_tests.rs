//! Steps of gradient descent on weights from a file, for tests against PyTorch.

use std::collections::HashMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

use crate::grid::Grid;
use crate::mask::{Mask, UnitMask};
use crate::task::{PretextTask, StepEnd, TaskOutput};
use crate::test_device;

/// Tensors by name: shape and values.
pub(super) type Values = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// The tensors of one case of a file in `tests/parity`.
pub(super) fn read(file: &str, case: &str) -> Values {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(file);
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter();
    let of_case = tensors.filter_map(|(name, tensor)| {
        let name = name.strip_prefix(case)?.strip_prefix('.')?.to_string();
        let floats = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        let values = match tensor.dtype() {
            Dtype::U8 => tensor.data().iter().map(|byte| f32::from(*byte)).collect(),
            _ => floats.collect(),
        };
        Some((name, (tensor.shape().to_vec(), values)))
    });
    of_case.collect()
}

/// The tensor of this name.
pub(super) fn tensor<const D: usize>(file: &Values, name: &str) -> Tensor<D> {
    let (shape, values) = &file[name];
    Tensor::from_data(TensorData::new(values.clone(), shape.clone()), &test_device())
}

/// The masks of this name, if there are any: 1 for hidden.
pub(super) fn masks(file: &Values, name: &str, grid: Grid) -> Option<Mask> {
    let (_, bits) = file.get(name)?;
    let masks = bits.chunks(grid.cells()).map(|bits| {
        let hidden = (0..grid.cells()).filter(|&cell| bits[cell] > 0.0);
        UnitMask::from_indices(grid, hidden).unwrap()
    });
    Some(Mask::new(masks.collect::<Vec<_>>(), &test_device()).unwrap())
}

/// `task` with the weights of the file, each by its path after `start.`.
fn begun<T: Module>(task: T, file: &Values) -> T {
    task.map(&mut Walk { start: Some(("start", file)), ..Walk::default() })
}

/// `task` after a step of `rate` down the gradients of `loss`, and these.
fn descended<T: Module>(task: T, loss: Tensor<1>, rate: f64) -> (T, Values) {
    let gradients = Some(GradientsParams::from_grads(loss.backward(), &task));
    let mut walk = Walk { gradients, rate, ..Walk::default() };
    (task.map(&mut walk), walk.slopes)
}

/// Steps of every file.
const STEPS: usize = 3;

/// Checks that `task`, with the weights that `file` begins with, has the file's losses, gradients and
/// last weights in three steps on the batches of `batch`, which is told the step.
pub(super) fn three_steps<T: PretextTask>(
    case: &str,
    task: T,
    file: &Values,
    batch: impl Fn(usize) -> T::Batch,
) {
    let mut task = begun(task, file);
    for step in 0..STEPS {
        let TaskOutput { loss, observed } = task.loss(batch(step));
        let (ours, theirs) =
            (loss.clone().into_scalar::<f32>(), file[&format!("loss.{step}")].1[0]);
        assert!((ours - theirs).abs() < 1e-5 * theirs, "{case} {step}: {ours} and {theirs}");
        let (moved, gradients) = descended(task, loss, 0.01);
        same(case, &format!("gradient.{step}."), &gradients, file, 1e-4);
        let progress = (step + 1) as f64 / STEPS as f64;
        task = moved.after_step(StepEnd { progress, observed: vec![observed] });
    }
    same(case, "end.", &weights(&task), file, 1e-4);
}

/// All parameters of `task`.
fn weights<T: Module>(task: &T) -> Values {
    let mut walk = Walk::default();
    task.visit(&mut walk);
    walk.found
}

/// Walks over all parameters by their paths.
#[derive(Default)]
struct Walk<'a> {
    path: Vec<String>,
    /// What parameters become, by name and path.
    start: Option<(&'static str, &'a Values)>,
    /// What they move by.
    gradients: Option<GradientsParams>,
    rate: f64,
    /// What they are, and what gradients they had.
    found: Values,
    slopes: Values,
}

impl Walk<'_> {
    fn name(&self) -> String {
        self.path.join(".")
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> (Vec<usize>, Vec<f32>) {
    (tensor.dims().to_vec(), tensor.into_data().try_to_vec().unwrap())
}

impl ModuleMapper for Walk<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (path, trained) = (self.name(), param.is_require_grad());
        if let Some((prefix, start)) = self.start {
            let (shape, new) = &start[&format!("{prefix}.{path}")];
            assert_eq!(param.dims().to_vec(), *shape, "{path}");
            let data = TensorData::new(new.clone(), shape.clone());
            return param.map(|old| {
                let new = Tensor::from_data(data, &old.device());
                if trained { new.require_grad() } else { new }
            });
        }
        let gradients = self.gradients.as_ref().expect("a start or gradients");
        match gradients.get::<D>(param.id) {
            None => param,
            Some(gradient) => {
                self.slopes.insert(path, values(gradient.clone()));
                param.map(|old| {
                    (old.without_autodiff() - gradient * self.rate).autodiff().require_grad()
                })
            }
        }
    }
}

impl ModuleVisitor for Walk<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.insert(self.name(), values(param.val().without_autodiff()));
    }
}

/// Compares all of `ours` with those of `theirs` after `prefix`, which has no others.
fn same(case: &str, prefix: &str, ours: &Values, theirs: &Values, tolerance: f32) {
    let names = theirs.keys().filter_map(|name| name.strip_prefix(prefix));
    assert_eq!(names.count(), ours.len(), "{case} {prefix}");
    for (name, (_, ours)) in ours {
        let (_, theirs) = &theirs[&format!("{prefix}{name}")];
        assert_eq!(ours.len(), theirs.len(), "{case} {name}");
        let largest = theirs.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
        for (ours, theirs) in ours.iter().zip(theirs) {
            let off = (ours - theirs).abs() / largest;
            assert!(off < tolerance, "{case} {prefix}{name}: {ours} and {theirs}");
        }
    }
}

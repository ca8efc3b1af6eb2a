//! Three steps against PyTorch: `tests/parity/refine.py` makes what is compared with here.

use std::collections::HashMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

use super::*;
use crate::encoder::VitBody;
use crate::grid::Grid;
use crate::mask::{Mask, UnitMask};
use crate::nn::Positions;
use crate::task::{PretextTask, StepEnd};
use crate::test_device;

const STEPS: usize = 3;
const RATE: f64 = 0.1;
const GRID: Grid = Grid::new(2, 3);

type Values = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// The tensors of one case.
fn read(case: &str) -> Values {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/refine.safetensors");
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

fn config(masked: bool) -> RefineConfig {
    let encoder =
        VitConfig::new(ImageShape::new(1, 8, 12), 4, 8, 2, 2).with_positions(Positions::Learned);
    let config = RefineConfig::new(encoder)
        .with_projector_hidden(6)
        .with_projection(5)
        .with_predictor_hidden(7)
        .with_queue(9)
        .with_temperature(0.2)
        .with_momentum(0.9);
    if masked { config.with_pooling(RefinedFeatures::Both).with_frozen(1) } else { config }
}

/// Walks over all parameters by their paths.
#[derive(Default)]
struct Walk<'a> {
    path: Vec<String>,
    /// What parameters become, by name and path.
    start: Option<(&'static str, &'a Values)>,
    /// What they move by.
    gradients: Option<GradientsParams>,
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
                param
                    .map(|old| (old.without_autodiff() - gradient * RATE).autodiff().require_grad())
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

fn batch(file: &Values, step: usize) -> RefineBatch {
    let (shape, views) = &file[&format!("views.{step}")];
    let views = TensorData::new(views.clone(), shape.clone());
    let views = Tensor::from_data(views, &test_device());
    let mask = file.get(&format!("hidden.{step}")).map(|(_, bits)| {
        let masks = bits.chunks(GRID.cells()).map(|bits| {
            let hidden = (0..GRID.cells()).filter(|&cell| bits[cell] > 0.0);
            UnitMask::from_indices(GRID, hidden).unwrap()
        });
        Mask::new(masks.collect::<Vec<_>>(), &test_device()).unwrap()
    });
    RefineBatch { views, mask }
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

#[test]
fn three_steps_are_those_of_pytorch_with_the_teacher_and_the_queue() {
    for (case, masked) in [("whole", false), ("masked", true)] {
        let file = read(case);
        let task = config(masked).init(&mut InitialWeights::new(0, &test_device().autodiff()));
        let mut walk = Walk { start: Some(("start", &file)), ..Walk::default() };
        let mut task: Refinement<VitBody> = task.map(&mut walk);
        for step in 0..STEPS {
            let output = task.loss(batch(&file, step));
            let loss = output.loss.clone().into_scalar::<f32>();
            let expected = file[&format!("loss.{step}")].1[0];
            assert!((loss - expected).abs() < 1e-5, "{case} {step}: {loss} and {expected}");
            let gradients = GradientsParams::from_grads(output.loss.backward(), &task);
            let mut walk = Walk { gradients: Some(gradients), ..Walk::default() };
            task = task.map(&mut walk);
            same(case, &format!("gradient.{step}."), &walk.slopes, &file, 1e-4);
            let progress = (step + 1) as f64 / STEPS as f64;
            task = task.after_step(StepEnd { progress, observed: vec![output.observed] });
        }
        let mut walk = Walk::default();
        task.visit(&mut walk);
        same(case, "end.", &walk.found, &file, 1e-4);
    }
}

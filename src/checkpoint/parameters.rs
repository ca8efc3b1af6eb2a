//! A module's parameters by path: their shapes, their values, and new values for them.

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use super::weights_file::HostTensor;
use crate::nn::named_parameters;

/// The shape of every parameter. No parameter is drawn for this.
pub(super) fn shapes<M: Module>(module: &M) -> BTreeMap<String, Vec<usize>> {
    named_parameters(module).into_iter().map(|found| (found.path, found.shape)).collect()
}

/// The values of every parameter.
pub(crate) fn values<M: Module>(module: &M) -> BTreeMap<String, HostTensor> {
    let mut visitor = Values::default();
    module.visit(&mut visitor);
    visitor.values
}

/// `module` with new values for the named parameters, which must have the same shapes.
pub(crate) fn replaced<M: Module>(module: M, values: HashMap<String, HostTensor>) -> M {
    module.map(&mut Replace { path: Path::default(), values })
}

#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn name(&self) -> String {
        self.0.join(".")
    }
}

#[derive(Default)]
struct Values {
    path: Path,
    values: BTreeMap<String, HostTensor>,
}

impl ModuleVisitor for Values {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.0.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape().iter().copied().collect();
        let values = param.val().into_data().iter::<f32>().collect();
        self.values.insert(self.path.name(), HostTensor { shape, values });
    }
}

struct Replace {
    path: Path,
    values: HashMap<String, HostTensor>,
}

impl ModuleMapper for Replace {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.0.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(HostTensor { shape, values }) = self.values.remove(&self.path.name()) else {
            return param;
        };
        let data = TensorData::new(values, shape);
        let (id, device) = (param.id, param.lazy_device());
        param.transform_for_load(Tensor::from_data(data, &device), id)
    }
}

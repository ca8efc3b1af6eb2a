//! A module's parameters by path.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// A floating-point parameter within a module.
#[derive(Debug)]
pub(crate) struct NamedParameter {
    /// Field names and indices joined by points, such as `body.transformer.blocks.3.norm1.gamma`.
    pub(crate) path: String,
    #[cfg_attr(not(feature = "train"), allow(dead_code, reason = "optimizers ask for it"))]
    pub(crate) id: ParamId,
    pub(crate) shape: Vec<usize>,
}

/// All floating-point parameters of `module`, in its order; draws none of them.
pub(crate) fn named_parameters<M: Module>(module: &M) -> Vec<NamedParameter> {
    let mut visitor = Visitor::default();
    module.visit(&mut visitor);
    visitor.found
}

#[derive(Default)]
struct Visitor {
    path: Vec<String>,
    found: Vec<NamedParameter>,
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape().iter().copied().collect();
        self.found.push(NamedParameter { path: self.path.join("."), id: param.id, shape });
    }
}

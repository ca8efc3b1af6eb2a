//! Encoders whose lower layers are not trained.

use burn::module::{Flag, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::tensor::Tensor;

use super::Backbone;

/// `encoder` with everything up to the block of this number frozen: 0 for its embeddings alone, and
/// more than it has blocks for all of it. A frozen block drops no paths.
pub(crate) fn with_frozen_layers<B: Backbone + Clone>(encoder: B, layer: usize) -> B {
    let mut below = Below { encoder: &encoder, layer, path: vec![], ids: vec![] };
    encoder.visit(&mut below);
    let group = ParamGroup::from_ids(below.ids);
    encoder.freeze_group(group)
}

/// Finds the parameters of the layers up to `layer`.
struct Below<'a, B> {
    encoder: &'a B,
    layer: usize,
    path: Vec<String>,
    ids: Vec<ParamId>,
}

impl<B: Backbone> Below<'_, B> {
    fn add(&mut self, id: ParamId) {
        if self.encoder.layer_of(&self.path.join(".")) <= self.layer {
            self.ids.push(id);
        }
    }
}

impl<B: Backbone> ModuleVisitor for Below<'_, B> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param.id);
    }

    /// Keeps a frozen block from dropping paths.
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.add(flag.id);
    }
}

//! AdamW with the papers' parameter groups.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;

use super::Recipe;
use super::adamw::AdamW;

/// Whether weight decay pulls on a parameter of `rank` dimensions at `path`
/// (`encoder.body.blocks.0.mlp.fc1.weight`).
///
/// It does on matrices. It does not on vectors (biases, norms, layer scales), on tokens
/// (`*_token`), on position tables (`*.table`) and on Swin-v2's networks in their place
/// (`position_bias.*`): all that MAE's, SimMIM's or BEiT's code spares.
pub fn is_decayed(path: &str, rank: usize) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    let is_position = name == "table" || path.contains("position_bias.");
    rank > 1 && !name.ends_with("_token") && !is_position
}

/// The recipe's AdamW for `model`.
pub fn adamw<M: Module>(model: &M, recipe: &Recipe) -> ModuleOptimizer {
    let mut undecayed = Undecayed::default();
    model.visit(&mut undecayed);
    let group = ParamGroup::from_ids(undecayed.ids);
    let all = ModuleOptimizer::from(AdamW::new(recipe, recipe.weight_decay));
    all.with_group(group, AdamW::new(recipe, 0.0), None)
}

#[derive(Default)]
struct Undecayed {
    path: Vec<String>,
    ids: Vec<ParamId>,
}

impl ModuleVisitor for Undecayed {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !is_decayed(&self.path.join("."), D) {
            self.ids.push(param.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::nn::Weights;
    use crate::task::{MaeConfig, SimMimConfig};
    use crate::test_device;

    #[derive(Default)]
    struct Paths {
        path: Vec<String>,
        decayed: Vec<String>,
        undecayed: Vec<String>,
    }

    impl ModuleVisitor for Paths {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
            let path = self.path.join(".");
            if is_decayed(&path, D) { &mut self.decayed } else { &mut self.undecayed }.push(path);
        }
    }

    #[test]
    fn matrices_decay_and_biases_norms_tokens_and_positions_do_not() {
        let mut paths = Paths::default();
        let weights = &mut Weights::new(0, &test_device());
        MaeConfig::small_images(ImageShape::square(3, 32)).init(weights).visit(&mut paths);
        SimMimConfig::base_patch16().init(weights).visit(&mut paths);
        let is_matrix = |path: &String| path.ends_with(".weight");
        assert!(paths.decayed.iter().all(is_matrix), "{:?}", paths.decayed);
        assert!(!paths.undecayed.iter().any(is_matrix), "{:?}", paths.undecayed);
        for name in ["mask_token", "class_token", "table", "bias", "gamma", "beta", "query_bias"] {
            assert!(paths.undecayed.iter().any(|path| path.ends_with(name)), "{name}");
        }
    }
}

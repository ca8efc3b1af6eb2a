//! AdamW with the papers' parameter groups.

use burn::module::{Module, ParamGroup};
use burn::optim::ModuleOptimizer;

use super::Recipe;
use super::adamw::AdamW;
use crate::nn::named_parameters;

/// Whether weight decay pulls on a parameter of `rank` dimensions at `path`
/// (`encoder.body.transformer.blocks.0.mlp.fc1.weight`).
///
/// Weight decay acts on matrices. It does not act on vectors (biases, norms, layer scales), tokens
/// (`*_token`), position tables (`*.table`) and the networks that Swin-v2 has in place of such
/// tables (`position_bias.*`). These are the parameters that the code of MAE, SimMIM or BEiT leaves
/// out.
pub fn is_decayed(path: &str, rank: usize) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    let is_position = name == "table" || path.contains("position_bias.");
    rank > 1 && !name.ends_with("_token") && !is_position
}

/// The recipe's AdamW for `model`.
pub fn adamw<M: Module>(model: &M, recipe: &Recipe) -> ModuleOptimizer {
    let parameters = named_parameters(model).into_iter();
    let undecayed = parameters.filter(|found| !is_decayed(&found.path, found.shape.len()));
    let group = ParamGroup::from_ids(undecayed.map(|found| found.id).collect());
    let all = ModuleOptimizer::from(AdamW::new(recipe, recipe.weight_decay));
    all.with_group(group, AdamW::new(recipe, 0.0), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::method::{MaeConfig, SimMimConfig};
    use crate::nn::{InitialWeights, NamedParameter};
    use crate::test_device;

    #[test]
    fn matrices_decay_and_biases_norms_tokens_and_positions_do_not() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let mut found =
            named_parameters(&MaeConfig::small_images(ImageShape::square(3, 32)).init(weights));
        found.extend(named_parameters(&SimMimConfig::base_patch16().init(weights)));
        let (decayed, undecayed): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| is_decayed(&found.path, found.shape.len()));
        let is_matrix = |found: &NamedParameter| found.path.ends_with(".weight");
        assert!(decayed.iter().all(is_matrix), "{decayed:?}");
        assert!(!undecayed.iter().any(is_matrix), "{undecayed:?}");
        for name in ["mask_token", "class_token", "table", "bias", "gamma", "beta", "query_bias"] {
            assert!(undecayed.iter().any(|found| found.path.ends_with(name)), "{name}");
        }
    }
}

//! A recipe's optimizer: which rule moves which parameter.

use burn::module::{Module, ParamGroup};
use burn::optim::ModuleOptimizer;

use super::Recipe;
use super::adamw::AdamW;
use super::lamb::Lamb;
use super::muon::{Muon, Rated, ThreeInOne};
use super::recipe::OptimizerKind;
use crate::nn::{NamedParameter, named_parameters};

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

/// Whether Muon, where a recipe chooses it, moves the parameter of `shape` at `path`; AdamW moves
/// all others.
///
/// Muon moves the weight matrices of attention and of the MLP within the blocks of encoders and
/// decoders: what is called `weight`, has two dimensions, is [decayed](is_decayed), and has
/// `blocks.NUMBER` in its path. And it moves the kernels of a convolutional stem after the first, each as
/// a matrix of outputs by all that an output is made of (Jordan 2024). So AdamW moves patch embeddings,
/// tokens, position tables and the networks in place of them, norms, biases, layer scales, the layers
/// between stages, the last layers of heads, and kernels of other convolutions.
///
/// A matrix called `qkv` is three side by side, query, key and value, and Muon moves each by itself.
pub fn is_orthogonalized(path: &str, shape: &[usize]) -> bool {
    let names: Vec<_> = path.split('.').collect();
    let is_number = |name: &str| name.parse::<usize>().is_ok();
    let in_block = names.windows(2).any(|pair| pair[0] == "blocks" && is_number(pair[1]));
    let in_stem = names
        .windows(3)
        .any(|names| names[..2] == ["stem", "convs"] && is_number(names[2]) && names[2] != "0");
    let has_its_shape = in_block && shape.len() == 2 || in_stem && shape.len() == 4;
    has_its_shape && names.last() == Some(&"weight") && is_decayed(path, shape.len())
}

/// Whether a parameter is the matrices of query, key and value side by side, `[width, 3 · width]`.
fn is_three_in_one(parameter: &NamedParameter) -> bool {
    let NamedParameter { path, shape, .. } = parameter;
    path.ends_with(".qkv.weight") && shape.len() == 2 && shape[1].is_multiple_of(3)
}

/// The recipe's optimizer for `model`, with the papers' parameter groups.
pub fn optimizer<M: Module>(model: &M, recipe: &Recipe) -> ModuleOptimizer {
    let (by_muon, by_adamw): (Vec<_>, Vec<_>) = named_parameters(model)
        .into_iter()
        .partition(|found| recipe.optimizer == OptimizerKind::Muon && moved_by_muon(found));
    let undecayed =
        by_adamw.into_iter().filter(|found| !is_decayed(&found.path, found.shape.len()));
    let undecayed = group(undecayed);
    if recipe.optimizer == OptimizerKind::Lamb {
        let lamb = |decay| Lamb::new(recipe, decay);
        let optimizer = ModuleOptimizer::from(lamb(recipe.weight_decay));
        return optimizer.with_group(undecayed, lamb(0.0), None);
    }
    let optimizer = ModuleOptimizer::from(AdamW::new(recipe, recipe.weight_decay)).with_group(
        undecayed,
        AdamW::new(recipe, 0.0),
        None,
    );
    if by_muon.is_empty() {
        return optimizer;
    }
    let (joined, single): (Vec<_>, Vec<_>) = by_muon.into_iter().partition(is_three_in_one);
    let (muon, rate) = (Muon::new(recipe.weight_decay), recipe.muon_rate);
    optimizer.with_group(group(single), Rated { optimizer: muon.clone(), rate }, None).with_group(
        group(joined),
        Rated { optimizer: ThreeInOne(muon), rate },
        None,
    )
}

fn moved_by_muon(found: &NamedParameter) -> bool {
    is_orthogonalized(&found.path, &found.shape)
}

fn group(parameters: impl IntoIterator<Item = NamedParameter>) -> ParamGroup {
    ParamGroup::from_ids(parameters.into_iter().map(|found| found.id).collect())
}

/// How many numbers Muon moves, of which it keeps one moment each where AdamW keeps two.
#[cfg(feature = "run")]
pub(crate) fn orthogonalized_values<M: Module>(model: &M, recipe: &Recipe) -> usize {
    let all = named_parameters(model).into_iter();
    let moved = all.filter(|found| recipe.optimizer == OptimizerKind::Muon && moved_by_muon(found));
    moved.map(|found| found.shape.iter().product::<usize>()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::ImageShape;
    use crate::method::{MaeConfig, SimMimConfig};
    use crate::nn::InitialWeights;
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

    #[test]
    fn muon_moves_the_matrices_of_blocks_and_nothing_else() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let mae = MaeConfig::small_images(ImageShape::square(3, 32)).init(weights);
        let moved = |prefix: &str| {
            let all = named_parameters(&mae).into_iter();
            let own = all.filter(|found| moved_by_muon(found) && found.path.starts_with(prefix));
            own.map(|found| found.path[prefix.len()..].to_string()).collect::<Vec<_>>()
        };
        let matrices = ["attention.qkv", "attention.out", "mlp.fc1", "mlp.fc2"];
        for block in ["encoder.body.transformer.blocks.5.", "head.transformer.blocks.1."] {
            assert_eq!(moved(block), matrices.map(|name| format!("{name}.weight")), "{block}");
        }
        // Four of each of the 6 blocks of the encoder and the 2 of the decoder.
        assert_eq!(moved("").len(), 4 * (6 + 2));
    }

    #[test]
    fn the_networks_of_positions_and_what_lies_between_stages_stay_with_adamw() {
        for (path, shape) in [
            ("encoder.stages.0.blocks.1.position_bias.fc1.weight", &[2, 512][..]),
            ("encoder.stages.0.merging.reduction.weight", &[384, 192]),
            ("encoder.blocks.0.conv.weight", &[8, 8, 3, 3]),
            ("encoder.body.stem.convs.0.conv.weight", &[8, 3, 3, 3]),
            ("encoder.body.stem.convs.1.norm.norm.gamma", &[8]),
            ("encoder.blocks.0.norm1.gamma", &[8]),
            ("encoder.blocks.table.weight", &[8, 8]),
        ] {
            assert!(!is_orthogonalized(path, shape), "{path}");
        }
        assert!(is_orthogonalized("encoder.stages.0.blocks.1.mlp.fc1.weight", &[8, 32]));
        assert!(is_orthogonalized("encoder.body.stem.convs.1.conv.weight", &[8, 4, 3, 3]));
    }

    #[test]
    fn adamw_moves_all_of_a_recipe_that_chooses_nothing() {
        let (ours, muons) = (Recipe::mae(), Recipe::mae().with_optimizer(OptimizerKind::Muon));
        assert_eq!(serde_json::from_str::<Recipe>("{}").unwrap().optimizer, ours.optimizer);
        assert!(serde_json::to_string(&muons).unwrap().contains(r#""optimizer":"muon""#));
    }

    #[test]
    #[cfg(feature = "run")]
    fn the_numbers_that_muon_moves_are_counted() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let mae = MaeConfig::small_images(ImageShape::square(3, 32)).init(weights);
        let muons = Recipe::mae().with_optimizer(OptimizerKind::Muon);
        assert_eq!(orthogonalized_values(&mae, &Recipe::mae()), 0);
        // 12 · 128² of each of 6 blocks, and 12 · 64² of each of 2.
        assert_eq!(orthogonalized_values(&mae, &muons), 12 * (6 * 128 * 128 + 2 * 64 * 64));
    }
}

//! Learning rates that shrink from layer to layer towards the input.

use std::collections::BTreeMap;

use burn::lr_scheduler::constant::ConstantLr;
use burn::module::{ParamGroup, ParamId};
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};

use crate::nn::{NamedParameter, named_parameters};
use crate::task::PretextTask;

/// The parameters of every layer, with the factor of their learning rate (Clark et al. 2020, arXiv
/// 2003.10555; Bao et al. 2021, arXiv 2106.08254).
#[derive(Debug, Clone)]
pub(super) struct LayerRates {
    groups: Vec<(ParamGroup, f64)>,
}

impl LayerRates {
    /// The factor of a layer is `decay` to the power of the number of layers above it. Parameters
    /// are identified by their ids.
    pub(super) fn new<T: PretextTask>(task: &T, decay: f64) -> Self {
        if decay == 1.0 {
            return Self { groups: Vec::new() };
        }
        let mut layers = BTreeMap::<usize, Vec<ParamId>>::new();
        for NamedParameter { path, id, .. } in named_parameters(task) {
            layers.entry(task.layers_above(&path)).or_default().push(id);
        }
        let factor = |above| decay.powi(i32::try_from(above).unwrap_or(i32::MAX));
        let group = |(above, ids)| (ParamGroup::from_ids(ids), factor(above));
        Self { groups: layers.into_iter().map(group).collect() }
    }

    /// The learning rate of every parameter, given that the topmost layer has the rate `lr`.
    pub(super) fn at(&self, lr: f64) -> ModuleLearningRate {
        let base = ModuleLrScheduler::new(ConstantLr::from(lr));
        let scheduler = self.groups.iter().fold(base, |scheduler, (group, factor)| {
            scheduler.with_group(group.clone(), ConstantLr::from(lr * factor))
        });
        scheduler.clone().step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, InitialWeights};
    use crate::task::TaskOutput;
    use crate::test_device;
    use burn::module::Module;
    use burn::nn::Linear;
    use burn::tensor::Tensor;

    /// A head on two layers.
    #[derive(Module, Debug)]
    struct Stack {
        layers: Vec<Linear>,
        head: Linear,
    }

    impl PretextTask for Stack {
        type Batch = ();
        type Observed = ();

        fn loss(&self, (): ()) -> TaskOutput {
            Tensor::zeros([1], &test_device()).into()
        }

        fn layers_above(&self, parameter: &str) -> usize {
            match parameter.split('.').nth(1) {
                Some("0") => 2,
                Some("1") => 1,
                _ => 0,
            }
        }
    }

    #[test]
    fn every_layer_has_its_own_rate_and_without_decay_all_have_one() {
        let weights = &mut InitialWeights::new(0, &test_device());
        let mut layer = || weights.linear(2, 2, Init::XavierUniform);
        let stack = Stack { layers: vec![layer(), layer()], head: layer() };
        for (decay, expected) in [(0.5, [0.25, 0.5, 1.0]), (1.0, [1.0; 3])] {
            let rates = LayerRates::new(&stack, decay).at(1.0);
            for (layer, expected) in stack.layers.iter().chain([&stack.head]).zip(expected) {
                for id in [layer.weight.id, layer.bias.as_ref().unwrap().id] {
                    assert_eq!(rates.lr_from_param(id, None), expected);
                }
            }
        }
    }
}

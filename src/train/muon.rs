//! Muon, with the numbers that AdamW's learning rates carry over to.

use burn::optim::{
    AdjustLrFn, Muon, MuonConfig, MuonState, Optimizer, RecordState, StateSink, StateSource,
    decay::WeightDecayConfig,
};
use burn::tensor::{Device, Tensor};

/// burn's Muon: Nesterov momentum of 0.95, and five Newton–Schulz steps with the coefficients 3.4445,
/// −4.775 and 2.0315 (Jordan 2024, <https://kellerjordan.github.io/posts/muon/>). The step of a matrix
/// is the learning rate times 0.2 · √max(rows, columns), so that its numbers are about as large as
/// AdamW's (Liu et al. 2025, arXiv 2502.16982 §2.2).
pub(super) fn muon(weight_decay: f32) -> Muon {
    MuonConfig::new()
        .with_weight_decay(Some(WeightDecayConfig::new(weight_decay)))
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
        .build()
}

/// An optimizer whose learning rate is `rate` times that of the others.
#[derive(Clone)]
pub(super) struct Rated<O> {
    pub(super) optimizer: O,
    pub(super) rate: f64,
}

impl<O: Optimizer> Optimizer for Rated<O> {
    type State<const D: usize> = O::State<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<O::State<D>>,
    ) -> (Tensor<D>, Option<O::State<D>>) {
        self.optimizer.step(self.rate * rate, parameter, gradient, state)
    }

    fn to_device<const D: usize>(state: O::State<D>, device: &Device) -> O::State<D> {
        O::to_device(state, device)
    }
}

/// [`muon`] for the matrices of query, key and value side by side in one: each is made orthogonal by
/// itself, as if it were a parameter of its own.
#[derive(Clone)]
pub(super) struct ThreeInOne(pub(super) Muon);

/// The momenta of query, key and value.
#[derive(Clone)]
pub(super) struct ThreeStates<const D: usize>([MuonState<D>; 3]);

/// Their names in a record.
const NAMES: [&str; 3] = ["query", "key", "value"];

impl<const D: usize> RecordState for ThreeStates<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        for (name, state) in NAMES.iter().zip(&self.0) {
            state.state_flatten(&format!("{prefix}.{name}"), out);
        }
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let mut state =
            |name: &str| RecordState::state_unflatten(&format!("{prefix}.{name}"), source, device);
        let [query, key, value] = NAMES;
        Some(Self([state(query)?, state(key)?, state(value)?]))
    }
}

impl Optimizer for ThreeInOne {
    type State<const D: usize> = ThreeStates<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<ThreeStates<D>>,
    ) -> (Tensor<D>, Option<ThreeStates<D>>) {
        let mut states = state.map_or([None, None, None], |state| state.0.map(Some)).into_iter();
        let parts = parameter.chunk(3, D - 1).into_iter().zip(gradient.chunk(3, D - 1));
        let stepped = parts.map(|(parameter, gradient)| {
            let state = states.next().flatten();
            let (parameter, state) = self.0.step(rate, parameter, gradient, state);
            (parameter, state.expect("Muon keeps a momentum"))
        });
        let (parameters, states): (Vec<_>, Vec<_>) = stepped.unzip();
        let states: [_; 3] = states.try_into().unwrap_or_else(|_| unreachable!("three parts"));
        (Tensor::cat(parameters, D - 1), Some(ThreeStates(states)))
    }

    fn to_device<const D: usize>(state: ThreeStates<D>, device: &Device) -> ThreeStates<D> {
        ThreeStates(state.0.map(|state| Muon::to_device(state, device)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::module::{Module, Param};
    use burn::optim::{GradientsParams, ModuleOptimizer};
    use burn::tensor::{TensorData, Tolerance};
    use safetensors::SafeTensors;

    use super::*;
    use crate::test_device;

    /// What `tests/parity/muon.py` computed.
    fn fixture(name: &str) -> Tensor<2> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/muon.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = file.tensor(name).unwrap();
        let chunks = tensor.data().as_chunks::<4>().0.iter();
        let values: Vec<f32> = chunks.map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Tensor::from_data(TensorData::new(values, tensor.shape().to_vec()), &test_device())
    }

    #[derive(Module, Debug)]
    struct Matrix {
        weight: Param<Tensor<2>>,
    }

    /// The matrix after three steps, with the optimizer written and read back between any two.
    fn stepped(make: impl Fn() -> ModuleOptimizer, name: &str, expected: &str) {
        let start = fixture(&format!("{name}.start")).autodiff();
        let mut module = Matrix { weight: Param::from_tensor(start.require_grad()) };
        let mut optimizer = make();
        for step in 0..3 {
            let mut gradients = GradientsParams::new();
            gradients.register(module.weight.id, fixture(&format!("{name}.gradient.{step}")));
            module = optimizer.step(1e-2, module, gradients);
            let after = fixture(&format!("{expected}.after.{step}")).into_data();
            let got = module.weight.val().into_data();
            got.assert_approx_eq::<f32>(&after, Tolerance::absolute(1e-5));
            optimizer = make().from_bytes(optimizer.into_bytes().unwrap()).unwrap();
        }
    }

    #[test]
    fn steps_are_those_of_muon_written_in_numpy_and_records_keep_the_momentum() {
        stepped(|| muon(0.05).into(), "wide", "wide");
        stepped(|| muon(0.05).into(), "tall", "tall");
    }

    #[test]
    fn a_rate_of_its_own_multiplies_the_common_one() {
        let halved = || Rated { optimizer: muon(0.05), rate: 0.5 };
        let moved = |optimizer: ModuleOptimizer, rate| {
            let start = fixture("wide.start").autodiff();
            let module = Matrix { weight: Param::from_tensor(start.require_grad()) };
            let mut gradients = GradientsParams::new();
            gradients.register(module.weight.id, fixture("wide.gradient.0"));
            let mut optimizer = optimizer;
            optimizer.step(rate, module, gradients).weight.val().into_data()
        };
        moved(halved().into(), 2e-2).assert_eq(&moved(muon(0.05).into(), 1e-2), true);
    }

    #[test]
    fn query_key_and_value_are_moved_each_by_itself() {
        stepped(|| ThreeInOne(muon(0.05)).into(), "wide", "thirds");
    }
}

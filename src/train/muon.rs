//! Muon (Jordan 2024, <https://kellerjordan.github.io/posts/muon/>), with the numbers that AdamW's
//! learning rates carry over to.

use burn::optim::momentum::{Momentum, MomentumConfig};
use burn::optim::{MuonState, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use crate::kernel::orthogonalize;

/// Muon: Nesterov momentum of 0.95, made orthogonal by the crate's own kernel, with the state and the
/// records of burn's. The step of a matrix is the learning rate times 0.2 · √max(rows, columns), so
/// that its numbers are about as large as AdamW's (Liu et al. 2025, arXiv 2502.16982 §2.2).
#[derive(Clone)]
pub(super) struct Muon {
    momentum: Momentum,
    weight_decay: f64,
}

impl Muon {
    pub(super) fn new(weight_decay: f32) -> Self {
        let momentum = MomentumConfig { momentum: 0.95, dampening: 0.0, nesterov: true };
        Self { momentum: Momentum::new(&momentum), weight_decay: weight_decay.into() }
    }

    /// What `parameters` of one shape, side by side along the last axis, become, and their states.
    fn side_by_side<const D: usize, const N: usize>(
        &self,
        rate: f64,
        parameters: Tensor<D>,
        gradients: Tensor<D>,
        states: [Option<MuonState<D>>; N],
    ) -> (Tensor<D>, [MuonState<D>; N]) {
        let mut gradients = gradients.chunk(N, D - 1).into_iter();
        let moved = states.map(|state| {
            let gradient = gradients.next().expect("one for each state");
            let state = state.map(|state| state.momentum);
            let (gradient, momentum) = self.momentum.transform(gradient, state);
            (gradient, MuonState::new(momentum))
        });
        // A kernel of a convolution is a matrix of outputs and of what each is made of.
        let rows = moved[0].0.dims()[0];
        let columns = moved[0].0.shape().num_elements() / rows;
        let gradients: Vec<Tensor<3>> = moved
            .iter()
            .map(|(gradient, _)| gradient.clone().reshape([1, rows, columns]))
            .collect();
        let updates = orthogonalize(Tensor::cat(gradients, 0)).swap_dims(0, 1);
        let updates = updates.reshape(parameters.shape());
        let scale = 0.2 * (rows.max(columns) as f64).sqrt();
        let kept = parameters * (1.0 - rate * self.weight_decay);
        (kept - updates * (rate * scale), moved.map(|(_, state)| state))
    }
}

impl Optimizer for Muon {
    type State<const D: usize> = MuonState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<MuonState<D>>,
    ) -> (Tensor<D>, Option<MuonState<D>>) {
        let (parameter, [state]) = self.side_by_side(rate, parameter, gradient, [state]);
        (parameter, Some(state))
    }

    fn to_device<const D: usize>(state: MuonState<D>, device: &Device) -> MuonState<D> {
        MuonState::new(state.momentum.to_device(device))
    }
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

/// [`Muon`] for the matrices of query, key and value side by side in one: each is made orthogonal by
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
        let states = state.map_or([None, None, None], |state| state.0.map(Some));
        let (parameter, states) = self.0.side_by_side(rate, parameter, gradient, states);
        (parameter, Some(ThreeStates(states)))
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
        stepped(|| Muon::new(0.05).into(), "wide", "wide");
        stepped(|| Muon::new(0.05).into(), "tall", "tall");
    }

    #[test]
    fn a_rate_of_its_own_multiplies_the_common_one() {
        let halved = || Rated { optimizer: Muon::new(0.05), rate: 0.5 };
        let moved = |optimizer: ModuleOptimizer, rate| {
            let start = fixture("wide.start").autodiff();
            let module = Matrix { weight: Param::from_tensor(start.require_grad()) };
            let mut gradients = GradientsParams::new();
            gradients.register(module.weight.id, fixture("wide.gradient.0"));
            let mut optimizer = optimizer;
            optimizer.step(rate, module, gradients).weight.val().into_data()
        };
        moved(halved().into(), 2e-2).assert_eq(&moved(Muon::new(0.05).into(), 1e-2), true);
    }

    #[test]
    fn query_key_and_value_are_moved_each_by_itself() {
        stepped(|| ThreeInOne(Muon::new(0.05)).into(), "wide", "thirds");
    }
}

//! A checksum of a model's weights.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use sha2::{Digest, Sha256};

use crate::file::hex;

/// SHA-256 over the f32 values, little-endian, of all float parameters of `model`, in the order of
/// their paths: equal weights have equal sums, wherever and by how many processes they were trained.
/// In hexadecimal digits.
pub fn weights_sha256<M: Module>(model: &M) -> String {
    let mut visitor = Parameters::default();
    model.visit(&mut visitor);
    let mut sum = Sha256::new();
    for values in visitor.found.into_values() {
        sum.update(values().convert_dtype(DType::F32).as_bytes());
    }
    hex(&sum.finalize())
}

/// What reads each parameter, by its path: one at a time is brought to the host.
#[derive(Default)]
struct Parameters {
    path: Vec<String>,
    found: BTreeMap<Vec<String>, Box<dyn FnOnce() -> TensorData>>,
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val();
        self.found.insert(self.path.clone(), Box::new(|| values.into_data()));
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_sum_is_over_the_values_in_the_order_of_their_paths() {
        let device = Device::flex();
        let mut linear = LinearConfig::new(1, 2).init(&device);
        linear.weight = linear.weight.map(|_| Tensor::from_data([[1.0, 2.0]], &device));
        linear.bias = linear.bias.map(|bias| bias.map(|_| Tensor::from_data([3.0, 4.0], &device)));
        // `bias` comes before `weight`: printf of 3, 4, 1, 2 as little-endian f32 into sha256sum.
        let bytes: Vec<u8> =
            [3.0f32, 4.0, 1.0, 2.0].into_iter().flat_map(f32::to_le_bytes).collect();
        assert_eq!(weights_sha256(&linear), hex(&Sha256::digest(bytes)));
    }

    #[test]
    fn one_changed_bit_changes_it() {
        let linear = LinearConfig::new(2, 2).init(&Device::flex());
        let sum = weights_sha256(&linear);
        assert_eq!(weights_sha256(&linear.clone()), sum);
        let mut other = linear;
        other.weight = other.weight.map(|weight| weight * (1.0 + f64::from(f32::EPSILON)));
        assert_ne!(weights_sha256(&other), sum);
    }
}

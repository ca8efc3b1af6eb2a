//! Tokens that a bias of −∞ hides.

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use super::{attention, attention_composed};
use crate::rng::{Purpose, stream};

const BATCH: usize = 3;
const TOKENS: usize = 5;
const HEADS: usize = 2;
const DEPTH: usize = 3;
const WIDTH: usize = HEADS * DEPTH;
/// The token that is hidden from all.
const HIDDEN: usize = 3;

type Function = fn(Tensor<3>, usize, f64, Option<Tensor<4>>) -> Tensor<3>;

fn noise(seed: u64, count: usize) -> Vec<f32> {
    StandardNormal.sample_iter(stream(seed, Purpose::Data, 0, 0)).take(count).collect()
}

/// Queries, keys and values in which the hidden token has these keys and values.
fn qkv(key: f32, value: f32) -> Vec<f32> {
    let mut qkv = noise(1, BATCH * TOKENS * 3 * WIDTH);
    for token in qkv.chunks_mut(3 * WIDTH).skip(HIDDEN).step_by(TOKENS) {
        token[WIDTH..2 * WIDTH].fill(key);
        token[2 * WIDTH..].fill(value);
    }
    qkv
}

/// A bias that hides the token from all, and all from the token `blind`.
fn bias(blind: Option<usize>) -> Vec<f32> {
    let mut bias = noise(2, HEADS * TOKENS * TOKENS);
    for row in bias.chunks_mut(TOKENS) {
        row[HIDDEN] = f32::NEG_INFINITY;
    }
    if let Some(blind) = blind {
        bias[blind * TOKENS..][..TOKENS].fill(f32::NEG_INFINITY);
    }
    bias
}

/// The output, and the gradients of queries, keys and values and of the bias.
fn run(threads: usize, function: Function, qkv: Vec<f32>, bias: Vec<f32>) -> [Vec<f32>; 3] {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let device = Device::flex().autodiff();
        let qkv = TensorData::new(qkv, [BATCH, TOKENS, 3 * WIDTH]);
        let qkv = Tensor::<3>::from_data(qkv, &device).require_grad();
        let bias = TensorData::new(bias, [1, HEADS, TOKENS, TOKENS]);
        let bias = Tensor::<4>::from_data(bias, &device).require_grad();
        let output = function(qkv.clone(), HEADS, 0.6, Some(bias.clone()));
        let weights = TensorData::new(noise(3, BATCH * TOKENS * WIDTH), [BATCH, TOKENS, WIDTH]);
        let loss = (output.clone() * Tensor::from_data(weights, &device)).sum();
        let gradients = loss.backward();
        [
            output.into_data(),
            qkv.grad(&gradients).unwrap().into_data(),
            bias.grad(&gradients).unwrap().into_data(),
        ]
        .map(|data| data.try_to_vec().unwrap())
    })
}

/// The numbers of both are the same to 1e-5, or not numbers in both.
fn assert_alike(got: &[Vec<f32>; 3], expected: &[Vec<f32>; 3]) {
    for (part, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(got.len(), expected.len());
        for (place, (&got, &expected)) in got.iter().zip(expected).enumerate() {
            let alike = (got - expected).abs() < 1e-5 || got.is_nan() && expected.is_nan();
            assert!(alike, "part {part} at {place}: {got} {expected}");
        }
    }
}

#[test]
fn a_hidden_token_has_no_weight_and_no_gradient_whatever_its_value() {
    let plain = run(1, attention, qkv(0.0, 0.0), bias(None));
    assert!(plain.iter().flatten().all(|value| value.is_finite()));
    assert_alike(&plain, &run(1, attention_composed, qkv(0.0, 0.0), bias(None)));
    for (key, value) in [(1.0, 1.0), (-7.0, 1e30), (1e9, 3e38), (0.0, f32::MAX)] {
        for threads in [1, 3] {
            let [output, inputs, biases] = run(threads, attention, qkv(key, value), bias(None));
            assert_eq!(output, plain[0], "{value}");
            assert_eq!(inputs, plain[1], "{value}");
            assert_eq!(biases, plain[2], "{value}");
            for token in inputs.chunks(3 * WIDTH).skip(HIDDEN).step_by(TOKENS) {
                assert_eq!(token[WIDTH..], [0.0; 2 * WIDTH]);
            }
            assert!(biases.chunks(TOKENS).all(|row| row[HIDDEN] == 0.0));
        }
    }
}

#[test]
fn a_token_that_sees_nothing_has_what_the_composition_gives() {
    let composed = run(1, attention_composed, qkv(1.0, 1.0), bias(Some(2)));
    assert!(composed[0].iter().any(|value| value.is_nan()));
    for threads in [1, 3] {
        assert_alike(&run(threads, attention, qkv(1.0, 1.0), bias(Some(2))), &composed);
    }
}

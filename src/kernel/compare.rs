//! What every kernel is tested by: its composition in double precision, and finite differences.

use std::cell::Cell;

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use crate::rng::{Purpose, stream};

thread_local! {
    /// How often a kernel was taken on this thread, and not its composition.
    pub(super) static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// Random inputs, each as one row of values.
#[derive(Clone)]
pub(super) struct Case<const N: usize>([Tensor<1>; N]);

impl<const N: usize> Case<N> {
    /// Unit normal inputs of these shapes.
    pub(super) fn new(shapes: [&[usize]; N]) -> Self {
        let mut index = 0;
        Self(shapes.map(|shape| {
            index += 1;
            normal(index, shape.iter().product())
        }))
    }

    fn moved(&self, by: f64, along: &Self) -> Self {
        let mut along = along.0.iter();
        Self(self.0.clone().map(|input| {
            let along = along.next().expect("one direction an input").clone();
            input.cast(FloatDType::F64) + along.cast(FloatDType::F64) * by
        }))
    }
}

pub(super) fn normal(seed: u64, count: usize) -> Tensor<1> {
    let noise = StandardNormal.sample_iter(stream(seed, Purpose::Data, 0, 0)).take(count);
    Tensor::from_data(TensorData::new(noise.collect::<Vec<f32>>(), [count]), &Device::flex())
}

/// An output, a sum of it with random weights, and the gradients of that sum.
struct Run<const N: usize> {
    output: Vec<f64>,
    sum: f64,
    gradients: [Option<Vec<f64>>; N],
}

fn run<const N: usize>(
    case: &Case<N>,
    dtype: FloatDType,
    function: impl Fn([Tensor<1>; N]) -> Tensor<1>,
) -> Run<N> {
    let inputs = case.0.clone().map(|input| input.cast(dtype).autodiff().require_grad());
    let output = function(inputs.clone());
    let weights = normal(100, output.dims()[0]).cast(dtype);
    let sum = (output.clone() * weights.autodiff()).sum();
    let gradients = sum.clone().backward();
    let numbers = |tensor: Tensor<1>| tensor.into_data().try_into_vec_as::<f64>().unwrap();
    Run {
        output: numbers(output),
        sum: numbers(sum)[0],
        gradients: inputs.map(|input| input.grad(&gradients).map(numbers)),
    }
}

fn close(name: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs();
        assert!(error <= tolerance * largest + 1e-6, "{name} {index}: {got} {expected}");
    }
}

/// Does the same as [`run`] in single precision, on `threads` threads and by the kernel.
fn run_on<const N: usize>(
    threads: usize,
    case: &Case<N>,
    kernel: impl Fn([Tensor<1>; N]) -> Tensor<1> + Sync,
) -> Run<N> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let before = TAKEN.get();
        let run = run(case, FloatDType::F32, &kernel);
        let taken = TAKEN.get() > before || !super::enabled();
        assert!(taken, "the composition was taken instead of the kernel");
        run
    })
}

/// Asserts that output and gradients of `kernel` in single precision equal those of `composed` in
/// double precision, with the same bits on any number of threads; that in double precision it *is*
/// `composed`; and that its gradients equal finite differences.
pub(super) fn compare<const N: usize>(
    case: Case<N>,
    kernel: impl Fn([Tensor<1>; N]) -> Tensor<1> + Sync,
    composed: impl Fn([Tensor<1>; N]) -> Tensor<1>,
) {
    let fused = run_on(3, &case, &kernel);
    let single = run_on(1, &case, &kernel);
    assert_eq!((&single.output, &single.gradients), (&fused.output, &fused.gradients));
    let taken = TAKEN.get();
    let exact = run(&case, FloatDType::F64, composed);
    let fallback = run(&case, FloatDType::F64, &kernel);
    assert_eq!(fallback.output, exact.output);
    assert_eq!(TAKEN.get(), taken, "a kernel was taken in double precision");
    close("output", &fused.output, &exact.output, 1e-5);
    for (index, (got, expected)) in fused.gradients.iter().zip(&exact.gradients).enumerate() {
        match (got, expected) {
            (Some(got), Some(expected)) => {
                close(&format!("gradient {index}"), got, expected, 1e-5);
            }
            (got, expected) => assert_eq!(got.is_some(), expected.is_some(), "gradient {index}"),
        }
    }
    let along = Case(case.0.clone().map(|input| normal(200, input.dims()[0])));
    let step = 1e-5;
    let sum = |by| run(&case.moved(by, &along), FloatDType::F64, &kernel).sum;
    let difference = (sum(step) - sum(-step)) / (2.0 * step);
    let slope = fused.gradients.iter().zip(&along.0).filter_map(|(gradient, along)| {
        let along = along.clone().into_data().try_into_vec_as::<f64>().unwrap();
        Some(gradient.as_ref()?.iter().zip(along).map(|(g, d)| g * d).sum::<f64>())
    });
    let slope: f64 = slope.sum();
    assert!((slope - difference).abs() <= 1e-4 * (1.0 + difference.abs()), "{slope} {difference}");
}

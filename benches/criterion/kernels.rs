//! Each kernel against the composition it stands for, forward and backward, at the sizes of a
//! ViT-T/2 decoder on 32×32 images: 16 images of 257 tokens, 192 features, 3 heads; convolutions at those of
//! residual networks.
//!
//! ```text
//! cd benches/criterion && cargo bench --bench kernels
//! ```

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Int, Tensor};
use burn_mim::kernel::{self, Activation};
use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const BATCH: usize = 16;
const TOKENS: usize = 257;
const WIDTH: usize = 192;
const HEADS: usize = 3;

fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex()).autodiff().require_grad()
}

fn tokens(width: usize) -> Tensor<3> {
    noise([BATCH, TOKENS, width])
}

/// Times a forward and the backward of its sum.
fn time<const D: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    forward: impl Fn() -> Tensor<D>,
) {
    group.bench_function(name, |bench| {
        bench.iter(|| black_box(forward().sum().backward()));
    });
}

fn layer_norm(c: &mut Criterion) {
    let (x, gamma, beta) = (tokens(WIDTH), noise([WIDTH]), noise([WIDTH]));
    let mut group = c.benchmark_group("layer norm");
    let inputs = || (x.clone(), gamma.clone(), beta.clone());
    time(&mut group, "kernel", || {
        let (x, gamma, beta) = inputs();
        kernel::layer_norm(x, gamma, beta, 1e-6)
    });
    time(&mut group, "composed", || {
        let (x, gamma, beta) = inputs();
        kernel::layer_norm_composed(x, gamma, beta, 1e-6)
    });
}

fn linear(c: &mut Criterion) {
    let (x, weight, bias) = (tokens(WIDTH), noise([WIDTH, 3 * WIDTH]), noise([3 * WIDTH]));
    let mut group = c.benchmark_group("linear");
    let inputs = || (x.clone(), weight.clone(), Some(bias.clone()));
    time(&mut group, "kernel", || {
        let (x, weight, bias) = inputs();
        kernel::linear(x, weight, bias)
    });
    time(&mut group, "composed", || {
        let (x, weight, bias) = inputs();
        kernel::linear_composed(x, weight, bias)
    });
}

fn mlp(c: &mut Criterion) {
    let x = tokens(WIDTH);
    let weights = [noise([WIDTH, 4 * WIDTH]), noise([4 * WIDTH, WIDTH])];
    let biases = [noise([4 * WIDTH]), noise([WIDTH])];
    let mut group = c.benchmark_group("mlp");
    time(&mut group, "kernel", || {
        kernel::mlp(x.clone(), weights.clone(), biases.clone(), Activation::Gelu)
    });
    time(&mut group, "composed", || {
        kernel::mlp_composed(x.clone(), weights.clone(), biases.clone(), Activation::Gelu)
    });
}

fn attention(c: &mut Criterion) {
    let (qkv, bias) = (tokens(3 * WIDTH), noise([1, HEADS, TOKENS, TOKENS]));
    let mut group = c.benchmark_group("attention");
    for (name, bias) in [("", None), (" with bias", Some(bias))] {
        time(&mut group, &format!("kernel{name}"), || {
            kernel::attention(qkv.clone(), HEADS, 0.125, bias.clone())
        });
        time(&mut group, &format!("composed{name}"), || {
            kernel::attention_composed(qkv.clone(), HEADS, 0.125, bias.clone())
        });
    }
}

/// A convolution and its composition, for images of this shape.
fn conv(c: &mut Criterion, images: [usize; 4], outputs: usize, side: usize, stride: usize) {
    let weight = noise([outputs, images[1], side, side]);
    let (x, bias) = (noise(images), Some(noise([outputs])));
    let [batch, inputs, rows, _] = images;
    let name = format!(
        "{side}×{side} convolution, {batch} × {inputs} → {outputs}, {rows}×{rows} / {stride}"
    );
    let mut group = c.benchmark_group(name);
    let form = [stride, side / 2];
    time(&mut group, "kernel", || {
        kernel::conv2d(x.clone(), weight.clone(), bias.clone(), form, false)
    });
    time(&mut group, "composed", || {
        kernel::conv2d_composed(x.clone(), weight.clone(), bias.clone(), form, false)
    });
}

fn convolutions(c: &mut Criterion) {
    conv(c, [64, 16, 32, 32], 16, 3, 1);
    conv(c, [128, 64, 4, 4], 64, 3, 1);
    conv(c, [128, 64, 4, 4], 128, 3, 2);
    conv(c, [8, 64, 56, 56], 64, 3, 1);
    conv(c, [8, 64, 56, 56], 256, 1, 1);
}

fn maps(c: &mut Criterion) {
    let (x, weights) = (noise([64, 32, 16, 16]), [noise([32]), noise([32])]);
    let mut group = c.benchmark_group("group norm and relu");
    time(&mut group, "kernel", || kernel::group_norm(x.clone(), weights.clone(), None, 8, 1e-5, true));
    time(&mut group, "composed", || {
        kernel::group_norm_composed(x.clone(), weights.clone(), None, 8, 1e-5, true)
    });
    group.finish();
    let mut group = c.benchmark_group("batch norm");
    time(&mut group, "kernel", || {
        kernel::batch_norm(x.clone(), weights.clone(), None, 1e-5, false).0
    });
    time(&mut group, "composed", || {
        kernel::batch_norm_composed(x.clone(), weights.clone(), None, 1e-5, false).0
    });
    group.finish();
    let mut group = c.benchmark_group("halved");
    time(&mut group, "kernel", || kernel::halved(x.clone()));
    time(&mut group, "composed", || kernel::halved_composed(x.clone()));
    group.finish();
    let mut group = c.benchmark_group("doubled");
    time(&mut group, "kernel", || kernel::doubled(x.clone()));
    time(&mut group, "composed", || kernel::doubled_composed(x.clone()));
}

fn cross_entropy(c: &mut Criterion) {
    let logits = noise([BATCH * TOKENS, 512]);
    let right = Tensor::<1, Int>::arange(0..(BATCH * TOKENS) as i64, &Device::flex()) % 512;
    let mut group = c.benchmark_group("cross-entropy");
    time(&mut group, "kernel", || kernel::cross_entropy(logits.clone(), right.clone()));
    time(&mut group, "composed", || kernel::cross_entropy_composed(logits.clone(), right.clone()));
}

fn adamw(c: &mut Criterion) {
    let tensor = || Tensor::<2>::ones([3 * 768, 768], &Device::flex());
    let step = kernel::AdamWStep {
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        rate: 1e-3,
        weight_decay: 0.05,
        time: 7,
    };
    let mut group = c.benchmark_group("adamw");
    group.bench_function("kernel", |bench| {
        let mut state = Some((tensor(), [tensor(), tensor()]));
        let gradient = tensor();
        bench.iter(|| {
            let (parameter, moments) = state.take().expect("put back below");
            state = Some(kernel::adamw(parameter, gradient.clone(), moments, step));
        });
    });
    group.bench_function("composed", |bench| {
        let mut state = Some((tensor(), [tensor(), tensor()]));
        let gradient = tensor();
        bench.iter(|| {
            let (parameter, moments) = state.take().expect("put back below");
            state = Some(kernel::adamw_composed(parameter, gradient.clone(), moments, step));
        });
    });
}

criterion_group!(
    benches,
    layer_norm,
    linear,
    mlp,
    attention,
    convolutions,
    maps,
    cross_entropy,
    adamw
);
criterion_main!(benches);

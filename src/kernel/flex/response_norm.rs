//! The GELU with the global response normalization after it, image by image: what lies between is
//! computed again for the backward pass, and not kept.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::activations::{gelu, gelu_and_slope};
use super::buffer::{dense, dims, register, tensor, values};
use super::simd::{sum, sum_of_rows, vectorized};
use super::tiles::{by_tiles, total};

#[backend_extension(Flex, Autodiff)]
pub(crate) trait ResponseNormKernel: Backend {
    fn mim_gelu_response_norm(
        hidden: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        tiny: f32,
    ) -> FloatTensor<Self>;
}

impl ResponseNormKernel for Flex {
    fn mim_gelu_response_norm(
        hidden: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f32,
        tiny: f32,
    ) -> FlexTensor {
        forward([hidden, gamma, beta], [epsilon, tiny])
    }
}

impl<C: CheckpointStrategy> ResponseNormKernel for Autodiff<Flex, C> {
    fn mim_gelu_response_norm(
        hidden: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f32,
        tiny: f32,
    ) -> FloatTensor<Self> {
        let (inputs, small) = ([hidden, gamma, beta], [epsilon, tiny]);
        let nodes = inputs.each_ref().map(|input| input.node());
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = [0, 1].map(|input| prep.checkpoint(&inputs[input]));
                let output = forward(inputs.map(|input| input.into_primitive()), small);
                prep.finish((saved, small), output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(forward(inputs.map(|input| input.into_primitive()), small))
            }
        }
    }
}

fn forward(inputs: [FlexTensor; 3], small: [f32; 2]) -> FlexTensor {
    let inputs = inputs.map(dense);
    let [hidden, gamma, beta] = inputs.each_ref().map(values);
    let [_, tokens, width] = dims(&inputs[0]);
    let rows = hidden.len() / width;
    let ([output], _) = by_tiles(rows, tokens, [beta], |first, [output]| {
        let mut x = vec![0.0; output.len()];
        gelu(&mut x, &hidden[first * width..][..output.len()]);
        let Response { scale, .. } = Response::of(&x, gamma, small);
        add_scaled(output, &x, &scale);
    });
    tensor(output, inputs[0].layout().shape().clone())
}

/// How large the features of an image are.
struct Response {
    /// The root of each feature's sum of squares.
    own: Vec<f32>,
    /// One over their mean, which is enlarged a little.
    over_mean: f32,
    /// What each feature is multiplied by, 1 + γ · n.
    scale: Vec<f32>,
}

impl Response {
    /// `small` is what is added to the mean, and to the sums of squares before their roots.
    fn of(x: &[f32], gamma: &[f32], [epsilon, tiny]: [f32; 2]) -> Self {
        let mut own = vec![0.0; gamma.len()];
        add_products(&mut own, x, x);
        own.iter_mut().for_each(|own| *own = (*own + tiny).sqrt());
        let over_mean = 1.0 / (sum(&own, |own| own) / own.len() as f32 + epsilon);
        let scale = own.iter().zip(gamma).map(|(own, gamma)| 1.0 + gamma * own * over_mean);
        Self { scale: scale.collect(), own, over_mean }
    }
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 3> for Step {
    /// The hidden features before the GELU and gamma, and what is added to mean and squares.
    type State = ([NodeId; 2], [f32; 2]);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (saved, small) = ops.state;
        let [hidden, gamma] =
            saved.map(|id| dense(checkpointer.retrieve_node_output::<FlexTensor>(id)));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let [_, tokens, width] = dims(&hidden);
        let results = backward(values(&hidden), values(&gamma), values(&gradient), tokens, small);
        let shapes = [hidden.layout().shape().clone(), [width].into(), [width].into()];
        for ((parent, result), shape) in ops.parents.into_iter().zip(results).zip(shapes) {
            register(grads, parent.map(|parent| parent.id), result, shape);
        }
    }
}

/// The gradients of the hidden features, of gamma and of beta, from the gradient g of the output.
///
/// With P = Σ g · x over the tokens, R the responses and M their mean plus ε: n = R / M has the gradient
/// q = γ · P, R has q / M − mean(q · R) / M², and x has g · (1 + γ · n) and x / R times R's.
fn backward(
    hidden: &[f32],
    gamma: &[f32],
    gradient: &[f32],
    tokens: usize,
    small: [f32; 2],
) -> [Vec<f32>; 3] {
    let width = gamma.len();
    let (rows, ones) = (hidden.len() / width, vec![1.0; width]);
    let ([dh], sums) = by_tiles(rows, tokens, [&ones], |first, [dh]| {
        let range = first * width..first * width + dh.len();
        let gradient = &gradient[range.clone()];
        let mut x = vec![0.0; dh.len()];
        gelu_and_slope(&mut x, dh, &hidden[range]);
        let Response { own, over_mean, scale } = Response::of(&x, gamma, small);
        let mut products = vec![0.0; width];
        add_products(&mut products, &x, gradient);
        let each = || products.iter().zip(gamma).zip(&own);
        let mean = each().map(|((p, gamma), own)| p * gamma * own).sum::<f32>() / width as f32;
        let along: Vec<f32> = each()
            .map(|((p, gamma), own)| (p * gamma - mean * over_mean) * over_mean / own)
            .collect();
        multiply_by_sums(dh, &x, gradient, &scale, &along);
        let of_gamma = products.iter().zip(&own).map(|(p, own)| p * own * over_mean);
        (of_gamma.collect::<Vec<f32>>(), sum_of_rows(gradient, width))
    });
    let (dgamma, dbeta) = sums.into_iter().unzip();
    [dh, total(dgamma), total(dbeta)]
}

vectorized! {
    /// Adds to `sums` the products of every row of `a` and `b`.
    fn add_products<A>(sums: &mut [f32], a: &[f32], b: &[f32]) {
        let width = sums.len();
        for (a, b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum = A::mul_add(*a, *b, *sum);
            }
        }
    }

    /// Adds to `output` every row of `x` times `scale`.
    fn add_scaled<A>(output: &mut [f32], x: &[f32], scale: &[f32]) {
        let width = scale.len();
        for (output, x) in output.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            for ((output, x), scale) in output.iter_mut().zip(x).zip(scale) {
                *output = A::mul_add(*x, *scale, *output);
            }
        }
    }

    /// Multiplies `slope` by gradient · scale + x · along, row by row.
    fn multiply_by_sums<A>(
        slope: &mut [f32],
        x: &[f32],
        gradient: &[f32],
        scale: &[f32],
        along: &[f32],
    ) {
        let width = scale.len();
        let rows = x.chunks_exact(width).zip(gradient.chunks_exact(width));
        for (slope, (x, gradient)) in slope.chunks_exact_mut(width).zip(rows) {
            for (index, slope) in slope.iter_mut().enumerate() {
                let sum = A::mul_add(x[index], along[index], gradient[index] * scale[index]);
                *slope *= sum;
            }
        }
    }
}

//! Normalization over groups of channels: a group of an image lies in one piece, and is read and written
//! while it is in the cache.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::buffer::{dense, dims, register, tensor, values};
use super::simd::{MulAdd, dot, fold, sum, vectorized};
use super::tiles::{by_tiles, total};

#[backend_extension(Flex, Autodiff)]
pub(crate) trait GroupNormKernel: Backend {
    fn mim_group_norm(
        maps: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        visible: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        rectified: bool,
    ) -> FloatTensor<Self>;
}

impl GroupNormKernel for Flex {
    fn mim_group_norm(
        maps: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        visible: FlexTensor,
        groups: usize,
        epsilon: f32,
        rectified: bool,
    ) -> FlexTensor {
        forward([maps, gamma, beta], &dense(visible), Form { groups, epsilon, rectified })
    }
}

impl<C: CheckpointStrategy> GroupNormKernel for Autodiff<Flex, C> {
    fn mim_group_norm(
        maps: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        visible: FloatTensor<Self>,
        groups: usize,
        epsilon: f32,
        rectified: bool,
    ) -> FloatTensor<Self> {
        let (inputs, form) = ([maps, gamma, beta], Form { groups, epsilon, rectified });
        let visible = dense(visible.into_primitive());
        let nodes = inputs.each_ref().map(|input| input.node());
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = [0, 1, 2].map(|input| prep.checkpoint(&inputs[input]));
                let output = forward(inputs.map(|input| input.into_primitive()), &visible, form);
                prep.finish((saved, visible, form), output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(forward(inputs.map(|input| input.into_primitive()), &visible, form))
            }
        }
    }
}

/// What a norm does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    groups: usize,
    epsilon: f32,
    rectified: bool,
}

/// Images are split into so many parts at most.
const PARTS: usize = 8;

/// What is visible of an image, of `pixels` pixels.
fn shown<'a>(visible: &'a FlexTensor, everywhere: &'a [f32], image: usize) -> &'a [f32] {
    match values(visible) {
        [] => everywhere,
        visible => &visible[image * everywhere.len()..][..everywhere.len()],
    }
}

fn forward(inputs: [FlexTensor; 3], visible: &FlexTensor, form: Form) -> FlexTensor {
    let inputs = inputs.map(dense);
    let [x, gamma, beta] = inputs.each_ref().map(values);
    let [batch, channels, rows, cols] = dims(&inputs[0]);
    let each = channels / form.groups;
    let group = each * rows * cols;
    let groups = batch * form.groups;
    let (start, everywhere) = (vec![0.0; group], vec![1.0; rows * cols]);
    let tile = groups.div_ceil(PARTS);
    let ([output], _) = by_tiles(groups, tile, [&start], |first, [output]| {
        for (index, output) in output.chunks_exact_mut(group).enumerate() {
            let group = first + index;
            let channel = group % form.groups * each;
            let weights = [&gamma[channel..][..each], &beta[channel..][..each]];
            let x = &x[group * output.len()..][..output.len()];
            let visible = shown(visible, &everywhere, group / form.groups);
            normalize(output, x, weights, visible, form);
        }
    });
    tensor(output, inputs[0].layout().shape().clone())
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 3> for Step {
    /// The maps, gamma and beta, what is visible, and what the norm does.
    type State = ([NodeId; 3], FlexTensor, Form);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (saved, visible, form) = ops.state;
        let saved = saved.map(|id| dense(checkpointer.retrieve_node_output::<FlexTensor>(id)));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let results = backward(saved.each_ref(), &visible, values(&gradient), form);
        for ((parent, result), saved) in ops.parents.into_iter().zip(results).zip(&saved) {
            let shape = saved.layout().shape().clone();
            register(grads, parent.map(|parent| parent.id), result, shape);
        }
    }
}

/// The gradients of maps, gamma and beta.
fn backward(
    saved: [&FlexTensor; 3],
    visible: &FlexTensor,
    gradient: &[f32],
    form: Form,
) -> [Vec<f32>; 3] {
    let [x, gamma, beta] = saved.map(values);
    let [batch, channels, rows, cols] = dims(saved[0]);
    let (image, each) = (channels * rows * cols, channels / form.groups);
    let (start, everywhere) = (vec![0.0; image], vec![1.0; rows * cols]);
    let ([dx], sums) = by_tiles(batch, batch.div_ceil(PARTS), [&start], |first, [dx]| {
        let (mut dgamma, mut dbeta) = (vec![0.0; channels], vec![0.0; channels]);
        let group = each * rows * cols;
        for (index, dx) in dx.chunks_exact_mut(group).enumerate() {
            let at = first * image + index * group;
            let channel = index % form.groups * each;
            let weights = [&gamma[channel..][..each], &beta[channel..][..each]];
            let sums = [&mut dgamma[channel..][..each], &mut dbeta[channel..][..each]];
            let visible = shown(visible, &everywhere, first + index / form.groups);
            let inputs = [&x[at..][..group], &gradient[at..][..group], visible];
            gradients(dx, sums, inputs, weights, form);
        }
        (dgamma, dbeta)
    });
    let (dgamma, dbeta) = sums.into_iter().unzip();
    [dx, total(dgamma), total(dbeta)]
}

/// The mean of the visible numbers of a group, one over their standard deviation, and how many they are.
#[inline(always)]
fn statistics<A: MulAdd>(group: &[f32], visible: &[f32], epsilon: f32) -> [f32; 3] {
    let planes = || group.chunks_exact(visible.len());
    let count = sum(visible, |visible| visible) * (group.len() / visible.len()) as f32;
    let mean = planes().map(|x| dot::<A>(x, visible)).sum::<f32>() / count;
    let off = |sum: f32, x: f32, visible: f32| {
        let off = (x - mean) * visible;
        A::mul_add(off, off, sum)
    };
    let variance = planes().map(|x| fold(x, visible, off)).sum::<f32>() / count;
    [mean, 1.0 / (variance + epsilon).sqrt(), count]
}

vectorized! {
    /// Writes a normalized group, given gamma and beta of its channels.
    fn normalize<A>(
        output: &mut [f32],
        x: &[f32],
        weights: [&[f32]; 2],
        visible: &[f32],
        form: Form,
    ) {
        let [mean, scale, _] = statistics::<A>(x, visible, form.epsilon);
        let ([gamma, beta], length) = (weights, visible.len());
        let floor = if form.rectified { 0.0 } else { f32::NEG_INFINITY };
        let channels = x.chunks_exact(length).zip(output.chunks_exact_mut(length));
        for ((x, output), (gamma, beta)) in channels.zip(gamma.iter().zip(beta)) {
            for ((output, x), visible) in output.iter_mut().zip(x).zip(visible) {
                let y = A::mul_add((x - mean) * scale, *gamma, *beta) * visible;
                *output = if y > floor { y } else { floor };
            }
        }
    }

    /// The gradient of a group of `inputs`, which are x, the gradient of its output and what is visible, and
    /// what it adds to the gradients of gamma and beta.
    ///
    /// With n = (x − mean) · scale and h = gradient · gamma, the gradient of x is scale · (h − mean(h)
    /// − n · mean(h · n)).
    fn gradients<A>(
        dx: &mut [f32],
        sums: [&mut [f32]; 2],
        inputs: [&[f32]; 3],
        weights: [&[f32]; 2],
        form: Form,
    ) {
        let ([x, gradient, visible], [gamma, beta], [dgamma, dbeta]) = (inputs, weights, sums);
        let [mean, scale, count] = statistics::<A>(x, visible, form.epsilon);
        let length = visible.len();
        let floor = if form.rectified { 0.0 } else { f32::NEG_INFINITY };
        let mut normal = vec![0.0; length];
        let (mut straight, mut along) = (0.0, 0.0);
        for (index, dx) in dx.chunks_exact_mut(length).enumerate() {
            let (gamma, beta) = (gamma[index], beta[index]);
            let x = &x[index * length..][..length];
            let gradient = &gradient[index * length..][..length];
            for (place, (normal, dx)) in normal.iter_mut().zip(&mut *dx).enumerate() {
                *normal = (x[place] - mean) * scale;
                let passes = A::mul_add(*normal, gamma, beta) > floor;
                *dx = if passes { gradient[place] * visible[place] } else { 0.0 };
            }
            let (own, of_normal) = (sum(dx, |g| g), dot::<A>(dx, &normal));
            dbeta[index] += own;
            dgamma[index] += of_normal;
            straight += gamma * own;
            along += gamma * of_normal;
        }
        let (straight, along) = (straight / count, along / count);
        for (index, dx) in dx.chunks_exact_mut(length).enumerate() {
            let gamma = gamma[index];
            let x = &x[index * length..][..length];
            for ((dx, x), visible) in dx.iter_mut().zip(x).zip(visible) {
                let normal = (x - mean) * scale;
                *dx = scale * visible * (*dx * gamma - A::mul_add(normal, along, straight));
            }
        }
    }
}

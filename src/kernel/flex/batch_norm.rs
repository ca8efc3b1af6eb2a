//! Normalization by the statistics of a batch, plane by plane: a plane, which is a channel of an image, lies
//! in one piece, and adds to a sum of its channel.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Flex, backend_extension};

use super::buffer::{dense, dims, register, tensor, values};
use super::simd::{MulAdd, dot, fold, sum, vectorized};
use super::tiles::by_tiles;

#[backend_extension(Flex, Autodiff)]
pub(crate) trait BatchNormKernel: Backend {
    /// The output, and the mean and the variance of each channel. What is visible is of every image, or of
    /// all alike.
    fn mim_batch_norm(
        maps: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        visible: FloatTensor<Self>,
        epsilon: f32,
        rectified: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl BatchNormKernel for Flex {
    fn mim_batch_norm(
        maps: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        visible: FlexTensor,
        epsilon: f32,
        rectified: bool,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let inputs = [maps, gamma, beta].map(dense);
        let Normed { output, mean, variance, .. } =
            forward(&inputs, &dense(visible), epsilon, rectified);
        (output, mean, variance)
    }
}

impl<C: CheckpointStrategy> BatchNormKernel for Autodiff<Flex, C> {
    fn mim_batch_norm(
        maps: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        visible: FloatTensor<Self>,
        epsilon: f32,
        rectified: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let inputs = [maps, gamma, beta];
        let visible = dense(visible.into_primitive());
        let values = inputs.each_ref().map(|input| dense(input.primitive().clone()));
        let Normed { output, mean, variance, channels } =
            forward(&values, &visible, epsilon, rectified);
        let nodes = inputs.each_ref().map(|input| input.node());
        let output = match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let maps = prep.checkpoint(&inputs[0]);
                prep.finish((maps, visible, channels), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, Self::from_inner(mean), Self::from_inner(variance))
    }
}

/// What is done to the numbers of a channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel {
    mean: f32,
    /// One over the standard deviation.
    scale: f32,
    gamma: f32,
    beta: f32,
    /// What is smaller becomes this: 0, or −∞ without a rectifier.
    floor: f32,
}

impl Channel {
    #[inline(always)]
    fn normal(self, x: f32) -> f32 {
        (x - self.mean) * self.scale
    }

    /// Before the rectifier.
    #[inline(always)]
    fn output<A: MulAdd>(self, x: f32) -> f32 {
        A::mul_add(self.normal(x), self.gamma, self.beta)
    }

    /// The part of the gradient of a visible number's output that the rectifier lets through.
    #[inline(always)]
    fn passed<A: MulAdd>(self, x: f32, gradient: f32) -> f32 {
        if self.output::<A>(x) > self.floor { gradient } else { 0.0 }
    }
}

/// The planes of maps, and what of them is visible.
pub(super) struct Planes<'a> {
    x: &'a [f32],
    visible: &'a [f32],
    /// How many pixels of each image are visible.
    counts: Vec<f32>,
    channels: usize,
    /// All pixels of an image.
    pixels: usize,
}

impl<'a> Planes<'a> {
    fn new(x: &'a FlexTensor, visible: &'a FlexTensor) -> Self {
        let [batch, channels, rows, cols] = dims(x);
        let (x, visible) = (values(x), values(visible));
        let mut planes = Self { x, visible, counts: Vec::new(), channels, pixels: rows * cols };
        planes.counts = (0..batch).map(|image| sum(planes.shown(image), |bit| bit)).collect();
        planes
    }

    /// What is visible of an image; the images begin again where it is the same of all.
    #[inline(always)]
    fn shown(&self, image: usize) -> &'a [f32] {
        &self.visible[image * self.pixels % self.visible.len()..][..self.pixels]
    }

    /// Those of `numbers`, one for each of x, that are of a plane.
    #[inline(always)]
    fn of<'b>(&self, numbers: &'b [f32], plane: usize) -> &'b [f32] {
        &numbers[plane * self.pixels..][..self.pixels]
    }

    /// How many numbers of a channel are visible.
    fn count(&self) -> f64 {
        self.counts.iter().copied().map(f64::from).sum()
    }

    /// New buffers of `N` rows, one for each plane, whose numbers `write` sets given the first plane of a tile.
    /// Tiles of a few planes stay in the cache; what they hold does not depend on how many these are.
    fn each(&self, start: &[f32], write: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
        const TILE: usize = 1 << 14;
        let planes = self.x.len() / self.pixels;
        let tile = TILE.div_ceil(self.pixels);
        let ([rows], _) = by_tiles(planes, tile, [start], |first, [rows]| write(first, rows));
        rows
    }

    /// The totals over the images of `pairs`, a pair for each plane.
    fn totals(&self, pairs: &[f32]) -> Vec<[f64; 2]> {
        let mut totals = vec![[0.0; 2]; self.channels];
        for image in pairs.as_chunks().0.chunks_exact(self.channels) {
            for ([a, b], [more_a, more_b]) in totals.iter_mut().zip(image) {
                (*a, *b) = (*a + f64::from(*more_a), *b + f64::from(*more_b));
            }
        }
        totals
    }

    /// The mean and the variance of each channel. Each plane's squares are of the distance to its own mean, so
    /// that it is read once; the distance of that from the mean of all is added in double precision.
    fn statistics(&self) -> Vec<[f64; 2]> {
        let sums = self.each(&[0.0; 2], |first, sums| sums_and_squares(sums, first, self));
        let count = self.count();
        let mut totals = self.totals(&sums);
        for (channel, [mean, squares]) in totals.iter_mut().enumerate() {
            *mean /= count;
            for (image, visible) in self.counts.iter().enumerate() {
                let own_sum = sums[2 * (image * self.channels + channel)];
                let visible = f64::from(*visible);
                let off = f64::from(own_sum) / visible.max(1.0) - *mean;
                *squares += visible * off * off;
            }
            *squares /= count;
        }
        totals
    }
}

/// What comes out of a norm, and what its backward pass needs.
struct Normed {
    output: FlexTensor,
    mean: FlexTensor,
    variance: FlexTensor,
    channels: Vec<Channel>,
}

fn forward(
    inputs: &[FlexTensor; 3],
    visible: &FlexTensor,
    epsilon: f32,
    rectified: bool,
) -> Normed {
    let [x, gamma, beta] = inputs;
    let planes = Planes::new(x, visible);
    let statistics = planes.statistics();
    let floor = if rectified { 0.0 } else { f32::NEG_INFINITY };
    let weights = values(gamma).iter().zip(values(beta));
    let channels = statistics.iter().zip(weights).map(|([mean, variance], (gamma, beta))| {
        let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
        let [mean, scale] = [*mean, scale].map(|number| number as f32);
        Channel { mean, scale, gamma: *gamma, beta: *beta, floor }
    });
    let channels: Vec<_> = channels.collect();
    let start = vec![0.0; planes.pixels];
    let output = planes.each(&start, |first, output| normalize(output, first, &planes, &channels));
    let of_channels = |numbers: Vec<f32>| tensor(numbers, [channels.len()].into());
    Normed {
        output: tensor(output, x.layout().shape().clone()),
        mean: of_channels(channels.iter().map(|channel| channel.mean).collect()),
        variance: of_channels(statistics.iter().map(|[_, variance]| *variance as f32).collect()),
        channels,
    }
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 3> for Step {
    /// The maps, what of them is visible, and what is done to each channel.
    type State = (NodeId, FlexTensor, Vec<Channel>);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (maps, visible, channels) = ops.state;
        let maps = dense(checkpointer.retrieve_node_output(maps));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let results = backward(&Planes::new(&maps, &visible), values(&gradient), &channels);
        let weights = [channels.len()];
        let shapes = [maps.layout().shape().clone(), weights.into(), weights.into()];
        for ((parent, result), shape) in ops.parents.into_iter().zip(results).zip(shapes) {
            register(grads, parent.map(|parent| parent.id), result, shape);
        }
    }
}

/// The gradients of maps, gamma and beta.
///
/// With n = (x − mean) · scale and g the gradient that the rectifier lets through, that of x is gamma · scale ·
/// (g − mean(g) − n · mean(g · n)), means being those of a channel.
fn backward(planes: &Planes, gradient: &[f32], channels: &[Channel]) -> [Vec<f32>; 3] {
    let sums = planes.each(&[0.0; 2], |first, sums| {
        sums_of_gradients(sums, first, planes, gradient, channels);
    });
    let totals = planes.totals(&sums);
    let count = planes.count();
    let means: Vec<_> = totals.iter().map(|sums| sums.map(|sum| (sum / count) as f32)).collect();
    let start = vec![0.0; planes.pixels];
    let dx =
        planes.each(&start, |first, dx| gradients(dx, first, planes, gradient, channels, &means));
    let of = |index: usize| totals.iter().map(|sums| sums[index] as f32).collect();
    [dx, of(1), of(0)]
}

vectorized! {
    /// For each plane from `first` on, the sum of what is visible, and the sum of the squares of how far that
    /// is off its mean.
    fn sums_and_squares<A>(sums: &mut [f32], first: usize, planes: &Planes) {
        for (index, sums) in sums.chunks_exact_mut(2).enumerate() {
            let (plane, image) = (first + index, (first + index) / planes.channels);
            let x = planes.of(planes.x, plane);
            let visible = planes.shown(image);
            sums[0] = dot::<A>(x, visible);
            let mean = sums[0] / if planes.counts[image] > 0.0 { planes.counts[image] } else { 1.0 };
            sums[1] = fold(x, visible, |sum, x, visible| {
                let off = (x - mean) * visible;
                A::mul_add(off, off, sum)
            });
        }
    }

    /// Writes the normalized planes from `first` on.
    fn normalize<A>(output: &mut [f32], first: usize, planes: &Planes, channels: &[Channel]) {
        for (index, output) in output.chunks_exact_mut(planes.pixels).enumerate() {
            let plane = first + index;
            let x = planes.of(planes.x, plane);
            let channel = channels[plane % planes.channels];
            let visible = planes.shown(plane / planes.channels);
            for ((output, x), visible) in output.iter_mut().zip(x).zip(visible) {
                let y = channel.output::<A>(*x) * visible;
                // What is not a number is not hidden by the rectifier.
                *output = if channel.floor > y { channel.floor } else { y };
            }
        }
    }

    /// For each plane from `first` on, the sum of the gradient that the rectifier lets through, and the sum of
    /// its products with the normalized numbers.
    fn sums_of_gradients<A>(
        sums: &mut [f32],
        first: usize,
        planes: &Planes,
        gradient: &[f32],
        channels: &[Channel],
    ) {
        let mut passed = vec![0.0; planes.pixels];
        for (index, sums) in sums.chunks_exact_mut(2).enumerate() {
            let plane = first + index;
            let x = planes.of(planes.x, plane);
            let gradient = planes.of(gradient, plane);
            let channel = channels[plane % planes.channels];
            let visible = planes.shown(plane / planes.channels);
            for (place, passed) in passed.iter_mut().enumerate() {
                *passed = channel.passed::<A>(x[place], gradient[place]) * visible[place];
            }
            sums[0] = sum(&passed, |g| g);
            sums[1] = fold(&passed, x, |sum, g, x| A::mul_add(g, channel.normal(x), sum));
        }
    }

    /// The gradient of the planes from `first` on, given the `means` of g and g · n of each channel.
    fn gradients<A>(
        dx: &mut [f32],
        first: usize,
        planes: &Planes,
        gradient: &[f32],
        channels: &[Channel],
        means: &[[f32; 2]],
    ) {
        for (index, dx) in dx.chunks_exact_mut(planes.pixels).enumerate() {
            let plane = first + index;
            let x = planes.of(planes.x, plane);
            let gradient = planes.of(gradient, plane);
            let channel = channels[plane % planes.channels];
            let [straight, along] = means[plane % planes.channels];
            let visible = planes.shown(plane / planes.channels);
            let scale = channel.gamma * channel.scale;
            for (((dx, x), gradient), visible) in dx.iter_mut().zip(x).zip(gradient).zip(visible) {
                let shared = A::mul_add(channel.normal(*x), along, straight);
                *dx = scale * visible * (channel.passed::<A>(*x, *gradient) - shared);
            }
        }
    }
}

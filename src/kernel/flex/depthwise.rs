//! A convolution of each feature on its own, features next to each other in memory: one cell after the
//! other, and for each as many features at once as stay in registers while the window passes.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::buffer::{dense, register, tensor, values};
use super::simd::{MulAdd, sum_of_rows, vectorized};
use super::tiles::{by_tiles, total};

#[backend_extension(Flex, Autodiff)]
pub(crate) trait DepthwiseKernel: Backend {
    fn mim_depthwise(
        cells: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rows: usize,
        cols: usize,
    ) -> FloatTensor<Self>;
}

impl DepthwiseKernel for Flex {
    fn mim_depthwise(
        cells: FlexTensor,
        kernel: FlexTensor,
        bias: FlexTensor,
        rows: usize,
        cols: usize,
    ) -> FlexTensor {
        forward([cells, kernel, bias], [rows, cols])
    }
}

impl<C: CheckpointStrategy> DepthwiseKernel for Autodiff<Flex, C> {
    fn mim_depthwise(
        cells: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rows: usize,
        cols: usize,
    ) -> FloatTensor<Self> {
        let (inputs, grid) = ([cells, kernel, bias], [rows, cols]);
        let nodes = inputs.each_ref().map(|input| input.node());
        match Step.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = [0, 1].map(|input| prep.checkpoint(&inputs[input]));
                let output = forward(inputs.map(|input| input.into_primitive()), grid);
                prep.finish((saved, grid), output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(forward(inputs.map(|input| input.into_primitive()), grid))
            }
        }
    }
}

fn forward(inputs: [FlexTensor; 3], grid: [usize; 2]) -> FlexTensor {
    let inputs = inputs.map(dense);
    let [x, kernel, bias] = inputs.each_ref().map(values);
    tensor(convolved(x, kernel, bias, grid), inputs[0].layout().shape().clone())
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 3> for Step {
    /// The cells and the kernel, and the grid.
    type State = ([NodeId; 2], [usize; 2]);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (saved, grid) = ops.state;
        let [cells, kernel] =
            saved.map(|id| dense(checkpointer.retrieve_node_output::<FlexTensor>(id)));
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let [of_cells, of_kernel, of_bias] =
            ops.parents.map(|parent| parent.map(|parent| parent.id));
        let (x, gradient) = (values(&cells), values(&gradient));
        let (shape, width) = (kernel.layout().shape().clone(), kernel.layout().shape()[1]);
        if of_cells.is_some() {
            // What a cell adds to its neighbors comes back from them: the window turned around.
            let turned: Vec<f32> =
                values(&kernel).chunks_exact(width).rev().flatten().copied().collect();
            let dx = convolved(gradient, &turned, &vec![0.0; width], grid);
            register(grads, of_cells, dx, cells.layout().shape().clone());
        }
        if of_kernel.is_some() || of_bias.is_some() {
            let [dk, db] = of_parameters(x, gradient, values(&kernel).len(), width, grid);
            register(grads, of_kernel, dk, shape);
            register(grads, of_bias, db, [width].into());
        }
    }
}

/// Every image's cells convolved, image by image on all threads, or row by row of few images.
fn convolved(x: &[f32], kernel: &[f32], bias: &[f32], [rows, cols]: [usize; 2]) -> Vec<f32> {
    const FEW: usize = 8;
    let width = bias.len();
    let (cells, places) = (rows * cols, kernel.len() / width);
    let count = x.len() / width;
    let tile = if count / cells < FEW { cols } else { cells };
    let ([output], _) = by_tiles(count, tile, [bias], |first, [output]| {
        let sample = &x[first / cells * cells * width..][..cells * width];
        let lines = [first % cells / cols, rows, cols, places.isqrt()];
        convolve(output, sample, kernel, lines);
    });
    output
}

/// The gradients of the kernel and of the bias. Partial sums are of an eighth of the images each,
/// whatever the number of threads.
fn of_parameters(
    x: &[f32],
    gradient: &[f32],
    weights: usize,
    width: usize,
    [rows, cols]: [usize; 2],
) -> [Vec<f32>; 2] {
    const PARTS: usize = 8;
    let image = rows * cols * width;
    let images = x.len() / image;
    let (part, side) = (images.div_ceil(PARTS), (weights / width).isqrt());
    let ([], sums) = by_tiles(images, part, [], |first, []| {
        let range = first * image..images.min(first + part) * image;
        let (x, gradient) = (&x[range.clone()], &gradient[range]);
        let mut sum = vec![0.0; weights];
        for (x, gradient) in x.chunks_exact(image).zip(gradient.chunks_exact(image)) {
            correlate(&mut sum, x, gradient, [rows, cols, side]);
        }
        (sum, sum_of_rows(gradient, width))
    });
    let (kernels, biases) = sums.into_iter().unzip();
    [total(kernels), total(biases)]
}

/// Numbers of the gradient that are read at a time for the gradient of the kernel.
const CACHED: usize = 1 << 11;

/// The places of a window of `side` whose middle is at `at`, that are within `length`.
#[inline(always)]
fn within(at: usize, length: usize, side: usize) -> std::ops::Range<usize> {
    let half = side / 2;
    half.saturating_sub(at)..side.min(length + half - at)
}

/// Calls `$span` for the features of a cell: 32 at a time, then 16, 8, and the rest one by one.
macro_rules! spans {
    ($width:expr, $start:ident => $span:ident::<$arithmetic:ident, _>($($arg:expr),*)) => {
        let mut $start = 0;
        while $width - $start >= 32 {
            $span::<$arithmetic, 32>($($arg),*);
            $start += 32;
        }
        if $width - $start >= 16 {
            $span::<$arithmetic, 16>($($arg),*);
            $start += 16;
        }
        if $width - $start >= 8 {
            $span::<$arithmetic, 8>($($arg),*);
            $start += 8;
        }
        while $start < $width {
            $span::<$arithmetic, 1>($($arg),*);
            $start += 1;
        }
    };
}

vectorized! {
    /// Adds to lines of output, the first of which is that of a row, the window over the rows of `x`.
    fn convolve<A>(output: &mut [f32], x: &[f32], kernel: &[f32], lines: [usize; 4]) {
        let [first, rows, cols, side] = lines;
        let width = kernel.len() / (side * side);
        for (line, output) in output.chunks_exact_mut(cols * width).enumerate() {
            let row = first + line;
            for (col, output) in output.chunks_exact_mut(width).enumerate() {
                let at = [row, col, rows, cols, side];
                spans!(width, start => window::<A, _>(output, x, kernel, at, start));
            }
        }
    }

    /// Adds to `sum`, a window, how `gradient` goes with the neighbors in `x`, of one image.
    fn correlate<A>(sum: &mut [f32], x: &[f32], gradient: &[f32], sizes: [usize; 3]) {
        let [rows, cols, side] = sizes;
        let width = sum.len() / (side * side);
        // So many rows stay in the nearest cache while all places of the window pass over them.
        let block = (CACHED / (cols * width)).max(1);
        for first in (0..rows).step_by(block) {
            let block = [first, rows.min(first + block)];
            for (place, sum) in sum.chunks_exact_mut(width).enumerate() {
                spans!(width, start => along::<A, _>(sum, x, gradient, sizes, block, [place, start]));
            }
        }
    }
}

/// `N` features of one cell of the output.
#[inline(always)]
fn window<A: MulAdd, const N: usize>(
    output: &mut [f32],
    x: &[f32],
    kernel: &[f32],
    [row, col, rows, cols, side]: [usize; 5],
    start: usize,
) {
    let (width, half) = (output.len(), side / 2);
    let output: &mut [f32; N] = (&mut output[start..start + N]).try_into().expect("N of them");
    let mut sum = *output;
    let across = within(col, cols, side);
    for down in within(row, rows, side) {
        let line = (row + down - half) * cols + col;
        for right in across.clone() {
            let neighbor = (line + right - half) * width + start;
            let x: &[f32; N] = x[neighbor..][..N].try_into().expect("N");
            let place = (down * side + right) * width + start;
            let weight: &[f32; N] = kernel[place..][..N].try_into().expect("N");
            for lane in 0..N {
                sum[lane] = A::mul_add(x[lane], weight[lane], sum[lane]);
            }
        }
    }
    *output = sum;
}

/// `N` features of one place of the window, over the rows of the gradient from `first` to `end`.
#[inline(always)]
fn along<A: MulAdd, const N: usize>(
    output: &mut [f32],
    x: &[f32],
    gradient: &[f32],
    [rows, cols, side]: [usize; 3],
    [first, end]: [usize; 2],
    [place, start]: [usize; 2],
) {
    let (width, half) = (output.len(), side / 2);
    let output: &mut [f32; N] = (&mut output[start..start + N]).try_into().expect("N of them");
    let mut sum = *output;
    // The cells whose neighbor at this place is within the grid.
    let inside = |place: usize, length: usize| {
        half.saturating_sub(place)..length.min((length + half).saturating_sub(place))
    };
    let (down, right) = (place / side, place % side);
    let within = inside(down, rows);
    for row in within.start.max(first)..within.end.min(end) {
        let other = (row + down - half) * cols;
        for col in inside(right, cols) {
            let neighbor = (other + col + right - half) * width + start;
            let x: &[f32; N] = x[neighbor..][..N].try_into().expect("N");
            let own = (row * cols + col) * width + start;
            let gradient: &[f32; N] = gradient[own..][..N].try_into().expect("N");
            for lane in 0..N {
                sum[lane] = A::mul_add(x[lane], gradient[lane], sum[lane]);
            }
        }
    }
    *output = sum;
}

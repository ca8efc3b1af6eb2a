//! Images of half and of double the size, plane by plane.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::buffer::{dense, dims, register, tensor, values};
use super::simd::vectorized;
use super::tiles::by_tiles;

#[backend_extension(Flex, Autodiff)]
pub(crate) trait ResizeKernel: Backend {
    fn mim_resize(images: FloatTensor<Self>, doubled: bool) -> FloatTensor<Self>;
}

impl ResizeKernel for Flex {
    fn mim_resize(images: FlexTensor, doubled: bool) -> FlexTensor {
        forward(images, doubled)
    }
}

impl<C: CheckpointStrategy> ResizeKernel for Autodiff<Flex, C> {
    fn mim_resize(images: FloatTensor<Self>, doubled: bool) -> FloatTensor<Self> {
        match Step.prepare::<C>([images.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let saved = (!doubled).then(|| prep.checkpoint(&images));
                prep.finish(saved, forward(images.into_primitive(), doubled))
            }
            OpsKind::UnTracked(prep) => prep.finish(forward(images.into_primitive(), doubled)),
        }
    }
}

fn forward(images: FlexTensor, doubled: bool) -> FlexTensor {
    let images = dense(images);
    let [batch, channels, rows, cols] = dims(&images);
    let plane = [rows, cols];
    let [to_rows, to_cols] = plane.map(|side| if doubled { 2 * side } else { side / 2 });
    let write = if doubled { double } else { halve };
    let output = by_planes(batch * channels, to_rows * to_cols, |output, index| {
        write(output, &values(&images)[index * rows * cols..][..rows * cols], plane);
    });
    tensor(output, [batch, channels, to_rows, to_cols].into())
}

/// New planes of so many pixels each, on all threads.
fn by_planes(count: usize, pixels: usize, write: impl Fn(&mut [f32], usize) + Sync) -> Vec<f32> {
    const TILE: usize = 1 << 15;
    let start = vec![0.0; pixels];
    let tile = (TILE / pixels).max(1);
    let ([planes], _) = by_tiles(count, tile, [&start], |first, [planes]| {
        for (index, plane) in planes.chunks_exact_mut(pixels).enumerate() {
            write(plane, first + index);
        }
    });
    planes
}

#[derive(Debug)]
struct Step;

impl Backward<Flex, 1> for Step {
    /// The images that were halved, and not doubled.
    type State = Option<NodeId>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = dense(grads.consume::<Flex>(&ops.node));
        let [batch, channels, rows, cols] = dims(&gradient);
        let gradient = values(&gradient);
        let of = |index: usize| &gradient[index * rows * cols..][..rows * cols];
        let saved: Option<FlexTensor> =
            ops.state.map(|id| dense(checkpointer.retrieve_node_output(id)));
        let (dx, [rows, cols]) = match &saved {
            Some(images) => {
                let [_, _, rows, cols] = dims(images);
                let pixels = rows * cols;
                let dx = by_planes(batch * channels, pixels, |dx, index| {
                    to_largest(
                        dx,
                        &values(images)[index * pixels..][..pixels],
                        of(index),
                        [rows, cols],
                    );
                });
                (dx, [rows, cols])
            }
            None => {
                let plane = [rows / 2, cols / 2];
                let dx = by_planes(batch * channels, rows * cols / 4, |dx, index| {
                    add_four(dx, of(index), [rows, cols]);
                });
                (dx, plane)
            }
        };
        let [parent] = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register(grads, parent, dx, [batch, channels, rows, cols].into());
    }
}

/// Two rows of `cols` pixels each, pair by pair.
#[inline(always)]
fn pairs(pixels: &[f32], cols: usize) -> impl Iterator<Item = [&[f32]; 2]> {
    pixels.chunks_exact(2 * cols).map(move |rows| [&rows[..cols], &rows[cols..]])
}

vectorized! {
    /// The largest of 2 × 2 pixels.
    fn halve<_A>(output: &mut [f32], x: &[f32], plane: [usize; 2]) {
        let larger = |a: f32, b: f32| if b > a { b } else { a };
        for (output, [upper, lower]) in output.chunks_exact_mut(plane[1] / 2).zip(pairs(x, plane[1])) {
            let (upper, _) = upper.as_chunks::<2>();
            let (lower, _) = lower.as_chunks::<2>();
            for ((output, [a, b]), [c, d]) in output.iter_mut().zip(upper).zip(lower) {
                *output = larger(larger(*a, *b), larger(*c, *d));
            }
        }
    }

    /// Gives the gradient to the first largest of 2 × 2 pixels.
    fn to_largest<_A>(dx: &mut [f32], x: &[f32], gradient: &[f32], plane: [usize; 2]) {
        let cols = plane[1];
        let rows = dx.chunks_exact_mut(2 * cols).zip(pairs(x, cols));
        for ((dx, [upper, lower]), gradient) in rows.zip(gradient.chunks_exact(cols / 2)) {
            let (dx_upper, dx_lower) = dx.split_at_mut(cols);
            let (dx_upper, _) = dx_upper.as_chunks_mut::<2>();
            let (dx_lower, _) = dx_lower.as_chunks_mut::<2>();
            let (upper, _) = upper.as_chunks::<2>();
            let (lower, _) = lower.as_chunks::<2>();
            for (index, gradient) in gradient.iter().enumerate() {
                let ([a, b], [c, d]) = (upper[index], lower[index]);
                let (right, below) = (b > a, d > c);
                let is_below = (if below { d } else { c }) > (if right { b } else { a });
                let when = |is: bool| if is { *gradient } else { 0.0 };
                dx_upper[index] = [when(!is_below & !right), when(!is_below & right)];
                dx_lower[index] = [when(is_below & !below), when(is_below & below)];
            }
        }
    }

    /// Every pixel as 2 × 2 of them.
    fn double<_A>(output: &mut [f32], x: &[f32], plane: [usize; 2]) {
        let cols = plane[1];
        for (output, x) in output.chunks_exact_mut(4 * cols).zip(x.chunks_exact(cols)) {
            let (upper, lower) = output.split_at_mut(2 * cols);
            let (pixels, _) = upper.as_chunks_mut::<2>();
            for (pixels, x) in pixels.iter_mut().zip(x) {
                *pixels = [*x; 2];
            }
            lower.copy_from_slice(upper);
        }
    }

    /// The sums of 2 × 2 numbers of the gradient.
    fn add_four<_A>(dx: &mut [f32], gradient: &[f32], plane: [usize; 2]) {
        let cols = plane[1];
        for (dx, [upper, lower]) in dx.chunks_exact_mut(cols / 2).zip(pairs(gradient, cols)) {
            let (upper, _) = upper.as_chunks::<2>();
            let (lower, _) = lower.as_chunks::<2>();
            for ((dx, [a, b]), [c, d]) in dx.iter_mut().zip(upper).zip(lower) {
                *dx = (a + b) + (c + d);
            }
        }
    }
}

//! Convolutions and their gradients, as matrix products with the numbers under the windows.

use super::super::matrix::{Matrix, Output, multiply};
use super::super::simd::{sum, vectorized};
use super::super::tiles::{by_tiles, total};
use super::planes::{add_columns, columns, forget, padded, take_out};
use super::sizes::Sizes;

/// Images are split into so many parts at most, each with a partial sum of the gradient of the weight.
const PARTS: usize = 8;

/// Up to so many outputs the gradient of a weight is computed in products of at most [`SUMMED`] numbers, which
/// the crate `gemm` does not arrange.
const FEW: usize = 32;
const SUMMED: usize = 256;

/// Numbers that the partial sums may take together.
const PARTIAL: usize = 1 << 22;

/// Every image convolved, plus `bias`; 0 where `above` is given and not above 0.
pub(super) fn convolve(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    sizes: &Sizes,
    above: Option<&[f32]>,
) -> Vec<f32> {
    let (cells, under) = (sizes.cells(), sizes.under());
    let images = x.len() / sizes.read();
    by_images([images, sizes.outputs, cells], sizes, above, |part, output| {
        let x = &x[part.image * sizes.read()..][..part.lanes * sizes.read()];
        let weight = Matrix::dense(&weight[part.channel * under..][..part.channels * under], under);
        let bias = &bias[part.channel..][..part.channels];
        if sizes.is_by_pixel() && part.lanes == 1 && !sizes.rectified {
            spread(output, bias);
            multiply(Output::dense(output, cells).added(), 1.0, weight, Matrix::dense(x, cells));
            return;
        }
        let planes = padded(x, part.lanes, sizes);
        if part.lanes == 1 {
            spread(output, bias);
            multiply_windows(output, &planes, weight, 1, sizes);
        } else {
            let mut beside = vec![0.0; output.len()];
            spread(&mut beside, bias);
            multiply_windows(&mut beside, &planes, weight, part.lanes, sizes);
            one_after_the_other(output, &beside, part.lanes);
        }
    })
}

/// Some channels of a few images.
struct Part {
    image: usize,
    lanes: usize,
    channel: usize,
    channels: usize,
}

/// A new buffer of `images` of so many `channels` of `pixels`, some images or channels at a time on all
/// threads; 0 where `above` is given and not above 0.
fn by_images(
    [images, channels, pixels]: [usize; 3],
    sizes: &Sizes,
    above: Option<&[f32]>,
    write: impl Fn(Part, &mut [f32]) + Sync,
) -> Vec<f32> {
    let lanes = sizes.lanes(images);
    let parts = if lanes == 1 { Sizes::parts(images, channels) } else { 1 };
    let (each, start) = (channels / parts, vec![0.0; pixels]);
    let ([buffer], _) = by_tiles(images * channels, each * lanes, [&start], |first, [output]| {
        let lanes = output.len() / (each * pixels);
        let part =
            Part { image: first / channels, lanes, channel: first % channels, channels: each };
        write(part, output);
        if let Some(x) = above {
            forget(output, &x[first * pixels..][..output.len()]);
        }
    });
    buffer
}

/// Fills equal parts of `output` with one number each.
fn spread(output: &mut [f32], values: &[f32]) {
    let length = output.len() / values.len();
    for (output, value) in output.chunks_exact_mut(length).zip(values) {
        output.fill(*value);
    }
}

/// Adds to `output`, channel by channel, the product of `weight` and what lies under the windows.
fn multiply_windows(
    output: &mut [f32],
    planes: &[f32],
    weight: Matrix,
    lanes: usize,
    sizes: &Sizes,
) {
    let (span, all) = (sizes.output[1] * lanes, sizes.cells() * lanes);
    each_block(lanes, sizes, |matrix, rows| {
        columns(matrix, planes, lanes, sizes, rows);
        let output = Output::strided(&mut output[rows[0] * span..], all).added();
        multiply(output, 1.0, weight, Matrix::dense(matrix, rows[1] * span));
    });
}

/// Calls `each` for some rows of the output after the other, given as the first and their number, with room
/// for their columns.
fn each_block(lanes: usize, sizes: &Sizes, mut each: impl FnMut(&mut [f32], [usize; 2])) {
    let block = sizes.block(lanes);
    let row = sizes.under() * sizes.output[1] * lanes;
    let mut matrix = vec![0.0; block * row];
    for first in (0..sizes.output[0]).step_by(block) {
        let count = block.min(sizes.output[0] - first);
        each(&mut matrix[..count * row], [first, count]);
    }
}

/// Images that are side by side, one after the other.
fn one_after_the_other(images: &mut [f32], beside: &[f32], lanes: usize) {
    turn(images, beside, lanes);
}

/// Images that are one after the other, side by side.
fn side_by_side(images: &[f32], lanes: usize) -> Vec<f32> {
    let mut beside = vec![0.0; images.len()];
    turn(&mut beside, images, images.len() / lanes);
    beside
}

vectorized! {
    /// The transposed matrix of `from`, whose rows are `columns` numbers long.
    fn turn<_A>(to: &mut [f32], from: &[f32], columns: usize) {
        let rows = from.len() / columns;
        if columns < rows {
            for (column, to) in to.chunks_exact_mut(rows).enumerate() {
                for (to, from) in to.iter_mut().zip(from.chunks_exact(columns)) {
                    *to = from[column];
                }
            }
        } else {
            for (row, from) in from.chunks_exact(columns).enumerate() {
                for (to, from) in to.chunks_exact_mut(rows).zip(from) {
                    to[row] = *from;
                }
            }
        }
    }

    /// Adds to each of `sums` the numbers of its row.
    fn add_sums<_A>(sums: &mut [f32], rows: &[f32]) {
        let length = rows.len() / sums.len();
        for (total, row) in sums.iter_mut().zip(rows.chunks_exact(length)) {
            *total += sum(row, |value| value);
        }
    }
}

/// The gradient of what was read, plus `bias` (of a transposed convolution); 0 where `above`, what a
/// rectified convolution read, is given and not above 0.
pub(super) fn carry_back(
    gradient: &[f32],
    weight: &[f32],
    bias: &[f32],
    sizes: &Sizes,
    above: Option<&[f32]>,
) -> Vec<f32> {
    let (cells, under) = (sizes.cells(), sizes.under());
    let places = under / sizes.inputs;
    if let Some(back) = sizes.backward() {
        // What a window adds to its neighbors comes back from them: the window turned around.
        let mut turned = Vec::with_capacity(weight.len());
        for input in 0..sizes.inputs {
            for weight in weight.chunks_exact(under) {
                turned.extend(weight[input * places..][..places].iter().rev());
            }
        }
        return convolve(gradient, &turned, bias, &back, above);
    }
    let read = sizes.outputs * cells;
    let pixels = sizes.image[0] * sizes.image[1];
    let images = gradient.len() / read;
    by_images([images, sizes.inputs, pixels], sizes, above, |part, output| {
        let gradient = &gradient[part.image * read..][..part.lanes * read];
        let sizes = &Sizes { inputs: part.channels, ..*sizes };
        let weight = Matrix::strided(
            &weight[part.channel * places..],
            sizes.outputs,
            part.channels * places,
            under,
        );
        let beside = (part.lanes > 1).then(|| side_by_side(gradient, part.lanes));
        let gradient = beside.as_deref().unwrap_or(gradient);
        let (span, all) = (sizes.output[1] * part.lanes, cells * part.lanes);
        let [rows, cols] = sizes.reached();
        let mut planes = vec![0.0; part.channels * rows * cols * part.lanes];
        each_block(part.lanes, sizes, |matrix, rows| {
            let width = rows[1] * span;
            let gradient = Matrix::strided(&gradient[rows[0] * span..], sizes.outputs, width, all);
            multiply(Output::dense(matrix, width), 1.0, weight.transposed(), gradient);
            add_columns(&mut planes, matrix, part.lanes, sizes, rows);
        });
        for output in output.chunks_exact_mut(part.channels * pixels) {
            spread(output, &bias[part.channel..][..part.channels]);
        }
        take_out(output, &planes, part.lanes, sizes);
    })
}

/// The gradients of the weight and of the bias. How images are split depends on the sizes alone.
pub(super) fn of_parameters(x: &[f32], gradient: &[f32], sizes: &Sizes) -> [Vec<f32>; 2] {
    let (under, written) = (sizes.under(), sizes.outputs * sizes.cells());
    let images = x.len() / sizes.read();
    let weights = sizes.outputs * under;
    let part = images.div_ceil(PARTS.min(PARTIAL / weights).max(2));
    let lanes = sizes.lanes(images).min(part);
    let ([], sums) = by_tiles(images, part, [], |first, []| {
        let (mut weight, mut bias) = (vec![0.0; weights], vec![0.0; sizes.outputs]);
        let end = images.min(first + part);
        for first in (first..end).step_by(lanes) {
            let lanes = lanes.min(end - first);
            let x = &x[first * sizes.read()..][..lanes * sizes.read()];
            let gradient = &gradient[first * written..][..lanes * written];
            add_products(&mut weight, &mut bias, x, gradient, lanes, sizes);
        }
        (weight, bias)
    });
    let (weights, biases) = sums.into_iter().unzip();
    [total(weights), total(biases)]
}

/// Adds the gradients of the parameters that so many images have.
fn add_products(
    weight: &mut [f32],
    bias: &mut [f32],
    x: &[f32],
    gradient: &[f32],
    lanes: usize,
    sizes: &Sizes,
) {
    let beside = (lanes > 1).then(|| side_by_side(gradient, lanes));
    let gradient = beside.as_deref().unwrap_or(gradient);
    add_sums(bias, gradient);
    let (span, all, under) = (sizes.output[1] * lanes, sizes.cells() * lanes, sizes.under());
    // Products of so few numbers are summed along the rows, without arranging these first.
    let step = match sizes.outputs {
        ..=FEW => (SUMMED / sizes.outputs).min(under),
        _ => under,
    };
    let mut add = |first: usize, width: usize, columns: &[f32]| {
        let gradient = Matrix::strided(&gradient[first..], sizes.outputs, width, all);
        for (at, columns) in columns.chunks(step * width).enumerate() {
            let columns = Matrix::dense(columns, width).transposed();
            let output = Output::strided(&mut weight[at * step..], under).added();
            multiply(output, 1.0, gradient, columns);
        }
    };
    if sizes.is_by_pixel() && lanes == 1 && !sizes.rectified {
        return add(0, all, x);
    }
    let planes = padded(x, lanes, sizes);
    each_block(lanes, sizes, |matrix, rows| {
        columns(matrix, &planes, lanes, sizes, rows);
        add(rows[0] * span, rows[1] * span, matrix);
    });
}

/// The sum of each of so many channels, over all images.
pub(super) fn of_channels(gradient: &[f32], images: usize, channels: usize) -> Vec<f32> {
    let mut sums = vec![0.0; channels];
    for image in gradient.chunks_exact(gradient.len() / images) {
        add_sums(&mut sums, image);
    }
    sums
}

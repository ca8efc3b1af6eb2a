//! Images laid out for a convolution: zeros around them, and several images side by side where their rows
//! are short, pixel by pixel; and the columns of numbers under each window.

use std::ops::Range;

use super::super::simd::{add, vectorized};
use super::sizes::Sizes;

/// So many images side by side, with zeros around them: `[channels, rows, cols, lanes]`.
pub(super) fn padded(images: &[f32], lanes: usize, sizes: &Sizes) -> Vec<f32> {
    let [rows, cols] = sizes.reached();
    let mut planes = vec![0.0; sizes.inputs * rows * cols * lanes];
    lay_out(&mut planes, images, lanes, sizes);
    if sizes.rectified {
        rectify(&mut planes);
    }
    planes
}

/// The rows and columns of an image that are within reach of the windows.
#[inline(always)]
fn within(sizes: &Sizes) -> [usize; 2] {
    let reached = sizes.reached();
    [0, 1].map(|axis| sizes.image[axis].min(reached[axis].saturating_sub(sizes.padding[axis])))
}

vectorized! {
    /// Copies images to their places in `planes`.
    fn lay_out<_A>(planes: &mut [f32], images: &[f32], lanes: usize, sizes: &Sizes) {
        let ([rows, cols], [height, width]) = (sizes.reached(), sizes.image);
        let ([top, left], [copied, length]) = (sizes.padding, within(sizes));
        for channel in 0..sizes.inputs {
            for row in 0..copied {
                let to = ((channel * rows + row + top) * cols + left) * lanes;
                let to = &mut planes[to..][..length * lanes];
                for (lane, image) in images.chunks_exact(sizes.read()).enumerate() {
                    let from = &image[(channel * height + row) * width..][..length];
                    if lanes == 1 {
                        to.copy_from_slice(from);
                    } else {
                        for (to, from) in to.chunks_exact_mut(lanes).zip(from) {
                            to[lane] = *from;
                        }
                    }
                }
            }
        }
    }

    /// Puts 0 in place of what is below.
    fn rectify<_A>(values: &mut [f32]) {
        for value in values {
            *value = if *value > 0.0 { *value } else { 0.0 };
        }
    }

    /// Puts 0 where `x` is not above 0.
    fn forget<_A>(values: &mut [f32], x: &[f32]) {
        for (value, x) in values.iter_mut().zip(x) {
            *value = if *x > 0.0 { *value } else { 0.0 };
        }
    }

    /// Adds what is within images from `planes` to them.
    fn take_out<_A>(images: &mut [f32], planes: &[f32], lanes: usize, sizes: &Sizes) {
        let ([rows, cols], [height, width]) = (sizes.reached(), sizes.image);
        let ([top, left], [copied, length]) = (sizes.padding, within(sizes));
        for channel in 0..sizes.inputs {
            for row in 0..copied {
                let from = ((channel * rows + row + top) * cols + left) * lanes;
                let from = &planes[from..][..length * lanes];
                for (lane, image) in images.chunks_exact_mut(sizes.read()).enumerate() {
                    let to = &mut image[(channel * height + row) * width..][..length];
                    if lanes == 1 {
                        add(to, from);
                    } else {
                        for (to, from) in to.iter_mut().zip(from.chunks_exact(lanes)) {
                            *to += from[lane];
                        }
                    }
                }
            }
        }
    }

    /// Copies the numbers under the windows of some rows of the output, given the first and their number,
    /// to a matrix with a row for each place of a window in each channel.
    fn columns<_A>(matrix: &mut [f32], planes: &[f32], lanes: usize, sizes: &Sizes, rows: [usize; 2]) {
        match sizes.output[1] * lanes {
            64 if sizes.stride == 1 => copied::<64>(matrix, planes, lanes, sizes, rows),
            32 if sizes.stride == 1 => copied::<32>(matrix, planes, lanes, sizes, rows),
            16 if sizes.stride == 1 => copied::<16>(matrix, planes, lanes, sizes, rows),
            _ => copied::<0>(matrix, planes, lanes, sizes, rows),
        }
    }

    /// Adds such a matrix to the places that it was copied from.
    fn add_columns<_A>(
        planes: &mut [f32],
        matrix: &[f32],
        lanes: usize,
        sizes: &Sizes,
        rows: [usize; 2],
    ) {
        walk(lanes, sizes, rows, |place, at| add(&mut planes[at], &matrix[place]));
    }
}

/// Copies spans of `N` numbers, or of any number of them where that is 0.
#[inline(always)]
fn copied<const N: usize>(
    matrix: &mut [f32],
    planes: &[f32],
    lanes: usize,
    sizes: &Sizes,
    rows: [usize; 2],
) {
    walk(lanes, sizes, rows, |place, at| {
        let (to, from) = (&mut matrix[place], &planes[at]);
        if N == 0 {
            to.copy_from_slice(from);
        } else {
            // A copy of a known length is a few instructions, and no call.
            let to: &mut [f32; N] = to.try_into().expect("N");
            *to = *<&[f32; N]>::try_from(from).expect("N");
        }
    });
}

/// Calls `each` for every span of the matrix of columns, and the span of the planes it belongs to.
#[inline(always)]
fn walk(
    lanes: usize,
    sizes: &Sizes,
    [first, count]: [usize; 2],
    mut each: impl FnMut(Range<usize>, Range<usize>),
) {
    let ([rows, cols], stride) = (sizes.reached(), sizes.stride);
    // Next to each other in the output and in what is read, or not.
    let (spans, length) =
        if stride == 1 { (1, sizes.output[1] * lanes) } else { (sizes.output[1], lanes) };
    let mut place = 0;
    for channel in 0..sizes.inputs {
        for down in 0..sizes.window[0] {
            for right in 0..sizes.window[1] {
                for row in first..first + count {
                    let line = (channel * rows + row * stride + down) * cols + right;
                    for span in 0..spans {
                        let at = (line + span * stride) * lanes;
                        each(place..place + length, at..at + length);
                        place += length;
                    }
                }
            }
        }
    }
}

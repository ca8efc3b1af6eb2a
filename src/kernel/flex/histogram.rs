//! Histograms of directions in one pass over the pixels.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, backend_extension};

use super::buffer::{dense, dims, tensor, values};
use super::simd::vectorized;
use super::tiles::by_tiles;

/// How many planes one thread works on at a time.
const PLANES: usize = 16;

#[backend_extension(Flex)]
pub(crate) trait HistogramKernel: Backend {
    fn mim_direction_histograms(
        cosine: FloatTensor<Self>,
        sine: FloatTensor<Self>,
        strength: FloatTensor<Self>,
        cell: usize,
        limits: Vec<[f32; 2]>,
    ) -> FloatTensor<Self>;
}

impl HistogramKernel for Flex {
    fn mim_direction_histograms(
        cosine: FlexTensor,
        sine: FlexTensor,
        strength: FlexTensor,
        cell: usize,
        limits: Vec<[f32; 2]>,
    ) -> FlexTensor {
        let [planes, _, height, width] = dims(&strength);
        let (cells, pixels) = ((height / cell) * (width / cell), height * width);
        let maps = [cosine, sine, strength].map(dense);
        let [cosine, sine, strength] = maps.each_ref().map(values);
        let bins = limits.len() + 1;
        let start = vec![0.0; cells * bins];
        let ([sums], _) = by_tiles(planes, PLANES, [&start], |first, [sums]| {
            let mut directions = vec![0.0; width];
            for (index, sums) in sums.chunks_exact_mut(cells * bins).enumerate() {
                for row in 0..height {
                    let at = (first + index) * pixels + row * width;
                    let pixels = at..at + width;
                    directions_of(
                        &mut directions,
                        [&cosine[pixels.clone()], &sine[pixels.clone()]],
                        &limits,
                    );
                    let row_of_cells = row / cell * (width / cell);
                    let pixels = directions.iter().zip(&strength[pixels]).enumerate();
                    for (col, (&bin, strength)) in pixels {
                        sums[(row_of_cells + col / cell) * bins + bin as usize] += strength;
                    }
                }
            }
        });
        tensor(sums, [planes, cells, bins].into())
    }
}

vectorized! {
    /// The bin of each pixel, by how many of the `limits` (sine, cosine) its direction has passed.
    fn directions_of<_A>(directions: &mut [f32], maps: [&[f32]; 2], limits: &[[f32; 2]]) {
        let [cosine, sine] = maps;
        for ((direction, &cosine), &sine) in directions.iter_mut().zip(cosine).zip(sine) {
            let opposite = sine < 0.0 || sine == 0.0 && cosine < 0.0;
            let sign = if opposite { -1.0 } else { 1.0 };
            let (cosine, sine) = (cosine * sign, sine * sign);
            let mut passed = 0.0;
            for [y, x] in limits {
                passed += if sine * x - cosine * y >= 0.0 { 1.0 } else { 0.0 };
            }
            *direction = passed;
        }
    }
}

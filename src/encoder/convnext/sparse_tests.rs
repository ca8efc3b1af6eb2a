//! Hidden cells make the convolutions sparse: the same numbers as loops over the visible neighbors.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::{ConvNextV2Block, ConvNextV2Config};
use crate::encoder::Encoder;
use crate::grid::{Grid, ImageShape};
use crate::mask::{Mask, UnitMask};
use crate::nn::{Init, InitialWeights, Norm, named_parameters};
use crate::test_device;

/// The features of visible cells by their place.
type Sparse = BTreeMap<(usize, usize), Vec<f64>>;

/// Draws every parameter anew, so that none is 0 or 1.
struct Shaken(InitialWeights);

impl ModuleMapper for Shaken {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let noise = self.0.param(parameter.dims(), Init::Normal { std: 0.5 }).val();
        parameter.map(|value| value + noise)
    }
}

fn values<const D: usize>(parameter: &Param<Tensor<D>>) -> Vec<f64> {
    parameter.val().into_data().iter::<f64>().collect()
}

fn normed(norm: &Norm, x: &[f64]) -> Vec<f64> {
    let (gamma, beta) = (values(&norm.gamma), values(norm.beta.as_ref().unwrap()));
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (variance + norm.epsilon).sqrt();
    (0..x.len()).map(|i| (x[i] - mean) * scale * gamma[i] + beta[i]).collect()
}

fn linear(layer: &burn::nn::Linear, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = (values(&layer.weight), values(layer.bias.as_ref().unwrap()));
    let sum = |output: usize| -> f64 {
        x.iter().enumerate().map(|(i, x)| x * weight[i * bias.len() + output]).sum()
    };
    (0..bias.len()).map(|output| bias[output] + sum(output)).collect()
}

fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// A block: each visible cell looks for visible neighbors within 3 rows and columns.
fn block(block: &ConvNextV2Block, cells: &Sparse) -> Sparse {
    let (kernel, bias) = (values(&block.depthwise.kernel), values(&block.depthwise.bias));
    let width = bias.len();
    let hidden: Vec<((usize, usize), Vec<f64>)> = cells
        .keys()
        .map(|&(row, col)| {
            let mut sum = bias.clone();
            for (&(other, across), features) in cells {
                let (down, right) = ((other + 3).wrapping_sub(row), (across + 3).wrapping_sub(col));
                if down < 7 && right < 7 {
                    let place = (down * 7 + right) * width;
                    (0..width).for_each(|i| sum[i] += kernel[place + i] * features[i]);
                }
            }
            let hidden = linear(&block.fc1, &normed(&block.norm, &sum));
            ((row, col), hidden.into_iter().map(gelu).collect())
        })
        .collect();
    let gamma = values(&block.response_norm.gamma);
    let beta = values(&block.response_norm.beta);
    let response: Vec<f64> = (0..gamma.len())
        .map(|i| hidden.iter().map(|(_, x)| x[i] * x[i]).sum::<f64>().sqrt())
        .collect();
    let mean = response.iter().sum::<f64>() / response.len() as f64 + 1e-6;
    let branch = |x: &[f64]| {
        let x: Vec<f64> =
            (0..x.len()).map(|i| gamma[i] * x[i] * response[i] / mean + beta[i] + x[i]).collect();
        linear(&block.fc2, &x)
    };
    let add = |(place, x): &((usize, usize), Vec<f64>)| {
        let sum = cells[place].iter().zip(branch(x)).map(|(x, branch)| x + branch);
        (*place, sum.collect())
    };
    hidden.iter().map(add).collect()
}

#[test]
fn features_are_those_of_loops_over_the_visible_neighbors() {
    let image = ImageShape::new(2, 16, 24);
    let config = ConvNextV2Config::new(image, 2, vec![3, 4], vec![1, 2]);
    let mut weights = InitialWeights::new(2, &test_device());
    let network = config.init(&mut weights).map(&mut Shaken(weights.clone()));
    assert!(named_parameters(&network).len() > 30);
    let images = weights.param([1, 2, 16, 24], Init::Normal { std: 1.0 }).val();
    // 2 × 3 units of 8 pixels: 4 × 4 cells of the first stage, 2 × 2 of the second.
    let hidden = UnitMask::from_indices(Grid::new(2, 3), [1, 3]).unwrap();
    let pixels: Vec<f64> = images.to_data().iter::<f64>().collect();
    let fine = hidden.at(Grid::new(8, 12)).unwrap();
    let mut cells = Sparse::new();
    for cell in fine.visible_indices() {
        let (row, col) = (cell / 12, cell % 12);
        let patch: Vec<f64> = (0..8)
            .map(|i| pixels[(i / 4 * 16 + 2 * row + i / 2 % 2) * 24 + 2 * col + i % 2])
            .collect();
        cells.insert(
            (row, col),
            normed(&network.stem.norm, &linear(&network.stem.projection, &patch)),
        );
    }
    cells = block(&network.stages[0].blocks[0], &cells);
    let downsampling = network.stages[1].downsampling.as_ref().unwrap();
    let mut merged = Sparse::new();
    for cell in hidden.at(Grid::new(4, 6)).unwrap().visible_indices() {
        let (row, col) = (cell / 6, cell % 6);
        let four = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(down, right)| {
            normed(&downsampling.norm, &cells[&(2 * row + down, 2 * col + right)])
        });
        let joined: Vec<f64> = (0..12).map(|i| four[i % 4][i / 4]).collect();
        merged.insert((row, col), linear(&downsampling.reduction, &joined));
    }
    for each in &network.stages[1].blocks {
        merged = block(each, &merged);
    }
    let mask = Mask::new([hidden], &test_device()).unwrap();
    let features: Vec<f64> = network.encode(images, &mask).tokens.into_data().iter().collect();
    let expected: Vec<f64> = merged.into_values().flatten().collect();
    assert_eq!(features.len(), expected.len());
    let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    for (index, (got, expected)) in features.iter().zip(&expected).enumerate() {
        assert!((got - expected).abs() < 1e-5 * largest, "{index}: {got} {expected}");
    }
}

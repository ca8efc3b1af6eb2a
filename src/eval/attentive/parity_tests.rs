//! Attentive probes against PyTorch, from the same weights in the same order:
//! `tests/parity/attentive.py` makes what is compared with here.

use std::path::Path;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use safetensors::SafeTensors;

use super::*;
use crate::grid::Grid;
use crate::test_device;

const TRAIN: usize = 900;
const CELLS: usize = 16;
const WIDTH: usize = 12;
const CLASSES: usize = 10;

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn bytes(file: &SafeTensors, name: &str) -> Vec<usize> {
    file.tensor(name).unwrap().data().iter().map(|&byte| usize::from(byte)).collect()
}

/// The cells of the digits: four pixels, the row and the column.
fn cells(file: &SafeTensors, images: std::ops::Range<usize>) -> CellFeatures {
    let pixels = bytes(file, "images");
    let mut values = Vec::new();
    for image in images.clone() {
        for cell in 0..CELLS {
            let (row, col) = (cell / 4, cell % 4);
            let pixel = |i: usize| pixels[image * 64 + (row * 2 + i / 2) * 8 + col * 2 + i % 2];
            values.extend((0..4).map(|i| pixel(i) as f32));
            values.extend((0..4).map(|i| f32::from(i == row)));
            values.extend((0..4).map(|i| f32::from(i == col)));
        }
    }
    let values = TensorData::new(values, [images.len(), CELLS, WIDTH]);
    let values = Tensor::from_data(values, &test_device());
    let labels = bytes(file, "labels")[images].to_vec();
    CellFeatures::new(values, Grid { rows: 4, cols: 4 }, labels, CLASSES).unwrap()
}

/// The probe with the weights that PyTorch started from, whose matrices are `[outputs, inputs]`.
fn start(file: &SafeTensors, name: &str, queries: CellQueries) -> Probe {
    let device = test_device().autodiff();
    let mut probe = Probe::new(queries, WIDTH, CLASSES, &mut InitialWeights::new(0, &device));
    let matrix = |part: &str, outputs: usize| {
        let data = TensorData::new(floats(file, &format!("{name}.{part}")), [outputs, WIDTH]);
        Tensor::<2>::from_data(data, &device)
    };
    let rows = probe.attention.query_token.dims()[0];
    probe.attention.query_token = Param::from_tensor(matrix("query", rows));
    if let Some(keys) = &mut probe.attention.keys {
        keys.weight = Param::from_tensor(matrix("key.weight", WIDTH).transpose());
    }
    let values = matrix("value.weight", WIDTH).reshape([4, 3, WIDTH]).swap_dims(1, 2);
    probe.attention.values = Param::from_tensor(values);
    probe.head.weight = Param::from_tensor(matrix("head.weight", CLASSES).transpose());
    probe
}

#[test]
fn trained_probes_are_those_of_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/attentive.safetensors");
    let file = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&file).unwrap();
    let (train, test) = (cells(&file, 0..TRAIN), cells(&file, TRAIN..1797));
    let order: Vec<usize> = {
        let tensor = file.tensor("order").unwrap();
        let pairs = tensor.data().as_chunks::<2>().0;
        pairs.iter().map(|pair| usize::from(u16::from_le_bytes(*pair))).collect()
    };
    let epochs = order.len() / TRAIN;
    let order = |epoch: usize| order[epoch * TRAIN..(epoch + 1) * TRAIN].to_vec();
    for (name, queries) in
        [("many", CellQueries::Many { queries: 4 }), ("one", CellQueries::One { heads: 4 })]
    {
        let settings = AttentiveProbe::new().with_epochs(epochs).with_batch_size(90);
        let (rate, standardizer) = (1e-2, train.standardizer());
        let probe = start(&file, name, queries);
        let probe = settings.descend(probe, &train, order, &standardizer, rate);
        let all: Vec<usize> = (0..TRAIN).collect();
        let ours = AttentiveClassifier::new(probe, standardizer, &train, &all, rate);
        let scores: Vec<f32> = ours.scores(&test).into_data().try_to_vec().unwrap();
        let theirs = floats(&file, &format!("{name}.scores"));
        let worst = scores.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-2, "{name}: log-probabilities differ by up to {worst}");
        let theirs = bytes(&file, &format!("{name}.classes"));
        let right = theirs.iter().zip(&test.labels).filter(|(a, b)| a == b).count();
        let theirs = 100.0 * right as f64 / test.len() as f64;
        let ours = ours.test(&test).top1;
        assert!((ours - theirs).abs() < 0.3, "{name}: {ours} and {theirs}");
    }
}

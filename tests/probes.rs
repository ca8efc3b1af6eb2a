//! k-NN and logistic regression against scikit-learn on the same features, and the features of
//! baselines against scikit-image: `tests/parity/probes.py` and `tests/parity/handmade.py` make what
//! is compared with here.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use burn_mim::eval::{Features, Handmade, Knn, LogisticRegression, TestResult};
use safetensors::SafeTensors;

const TRAIN: usize = 900;
const CLASSES: usize = 10;

/// A fixture's bytes; its tensors are read in place.
fn bytes(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name);
    std::fs::read(path).unwrap()
}

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn classes(file: &SafeTensors, name: &str) -> Vec<usize> {
    file.tensor(name).unwrap().data().iter().map(|&class| usize::from(class)).collect()
}

/// The training and the test features.
fn split(file: &SafeTensors) -> (Features, Features) {
    let shape: [usize; 2] = file.tensor("features").unwrap().shape().try_into().unwrap();
    let values = TensorData::new(floats(file, "features"), shape);
    let values = Tensor::from_data(values, &Device::flex());
    let all = Features::new(values, classes(file, "labels"), CLASSES).unwrap();
    let places: Vec<usize> = (0..shape[0]).collect();
    (all.select(&places[..TRAIN]).unwrap(), all.select(&places[TRAIN..]).unwrap())
}

/// Percent of predictions that are right, where `classes` are those predicted.
fn accuracy(classes: &[usize], labels: &[usize]) -> f64 {
    let right = classes.iter().zip(labels).filter(|(a, b)| a == b).count();
    100.0 * right as f64 / labels.len() as f64
}

#[test]
fn knn_is_as_often_right_as_scikit_learns_and_of_the_same_mind() {
    let bytes = bytes("probes.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (train, test) = split(&file);
    for (kind, standardized) in [("knn", false), ("knn_standardized", true)] {
        let knn = Knn { neighbors: vec![1, 5, 20, 200], temperature: 0.07, standardized };
        for (count, scores) in knn.neighbors.iter().zip(knn.scores(&train, &test).unwrap()) {
            let theirs = classes(&file, &format!("{kind}.{count}"));
            let guesses = scores.clone().argmax(1).into_data();
            let ours: Vec<usize> = guesses.iter::<u32>().map(|class| class as usize).collect();
            let same = accuracy(&ours, &theirs);
            assert!(same > 99.8, "{kind}, {count} neighbors: {same} % of predictions agree");
            let ours = TestResult::new(scores, &test.labels).top1;
            let theirs = accuracy(&theirs, &test.labels);
            assert!((ours - theirs).abs() < 0.2, "{kind}, {count}: {ours} and {theirs}");
        }
    }
}

#[test]
fn logistic_regression_gives_scikit_learns_probabilities() {
    let bytes = bytes("probes.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (train, test) = split(&file);
    for (name, c) in [("0.01", 0.01), ("1.0", 1.0)] {
        let classifier = LogisticRegression { c, ..Default::default() }.fit(&train).unwrap();
        let ours: Vec<f32> = classifier.scores(&test).exp().into_data().iter().collect();
        let theirs = floats(&file, &format!("logistic.{name}"));
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-2, "C = {name}: probabilities differ by up to {worst}");
        let theirs = TensorData::new(theirs, [test.len(), CLASSES]);
        let theirs = TestResult::new(Tensor::from_data(theirs, &Device::flex()), &test.labels);
        let ours = classifier.test(&test);
        assert!((ours.top1 - theirs.top1).abs() < 0.2, "{} and {}", ours.top1, theirs.top1);
        assert!((ours.top5 - theirs.top5).abs() < 0.2, "{} and {}", ours.top5, theirs.top5);
    }
}

#[test]
fn hog_is_scikit_images() {
    let bytes = bytes("handmade.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for cell in [4, 5] {
        let images = format!("{cell}.images");
        let shape: [usize; 4] = file.tensor(&images).unwrap().shape().try_into().unwrap();
        let images = TensorData::new(floats(&file, &images), shape);
        let ours = Handmade::Hog.of(Tensor::from_data(images, &Device::flex()));
        let ours: Vec<f32> = ours.into_data().iter().collect();
        let theirs = floats(&file, &format!("{cell}.hog"));
        assert_eq!(ours.len(), theirs.len());
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "cells of {cell}: numbers differ by up to {worst}");
    }
}

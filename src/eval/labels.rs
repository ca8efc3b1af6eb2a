//! Labels: checks that data has those that evaluation needs, and labels as targets.

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::ImageData;
use crate::error::{Error, Result};

/// Checks that every image has a label; the error names images without one.
pub(crate) fn require_labels(data: &ImageData) -> Result<()> {
    if data.class_names.is_empty() {
        return Err(Error::config(
            "the training images have no labels, and evaluation needs classes",
        ));
    }
    if !data.unknown_classes.is_empty() {
        return Err(Error::config(format!(
            "the training split lacks classes of the test split: {}; evaluation needs images of \
             them to train on, or none to test on",
            data.unknown_classes.join(", ")
        )));
    }
    for (split, images) in [("training", &data.train), ("test", &data.test)] {
        let mut unlabelled = Vec::new();
        for index in 0..images.len() {
            if images.label(index)?.is_none() {
                unlabelled.push(index);
            }
        }
        if let Some(first) = unlabelled.first() {
            return Err(Error::config(format!(
                "{} of the {} {split} images have no label, and evaluation needs all of them; the \
                 first is {}",
                unlabelled.len(),
                images.len(),
                images.name(*first)
            )));
        }
    }
    Ok(())
}

/// Checks that every label is one of the classes.
pub(super) fn below(labels: &[usize], classes: usize) -> Result<()> {
    match labels.iter().find(|&&label| label >= classes) {
        Some(label) => Err(Error::config(format!("a label of {label} among {classes} classes"))),
        None => Ok(()),
    }
}

/// Labels as targets, `[labels, classes]`, one 1 a row.
pub(super) fn one_hot(labels: &[usize], classes: usize, device: &Device) -> Result<Tensor<2>> {
    below(labels, classes)?;
    let mut targets = vec![0.0f32; labels.len() * classes];
    for (row, &label) in labels.iter().enumerate() {
        targets[row * classes + label] = 1.0;
    }
    Ok(Tensor::from_data(TensorData::new(targets, [labels.len(), classes]), device))
}

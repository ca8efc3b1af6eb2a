//! Checks that data has the labels that evaluation needs.

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

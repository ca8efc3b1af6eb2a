//! Which class an image is of, by a fine-tuned run.

use std::sync::Arc;

use burn::tensor::Device;
use serde::Serialize;

use super::fine_tuned::FineTuned;
use crate::config::config;
use crate::data::augment::EvalView;
use crate::data::{ImageCollate, ImageDataset, OnBadImage};
use crate::encoder::Backbone;
use crate::error::Result;
use crate::train::Interrupt;

/// How many classes a prediction names.
const NAMED: usize = 5;

config! {
    /// How images are read to be classified.
    #[derive(Debug, PartialEq)]
    pub struct Predict {
        /// What becomes of a file that cannot be read as an image. Default: it is an error
        pub on_bad_image: OnBadImage = OnBadImage::Error,
        /// Images per batch. Default: 32
        pub batch_size: usize = 32,
        /// Threads that read and prepare images ahead. Default: 1
        pub workers: usize = 1,
    }
}

/// The classes of one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The image's name: its path below the folder that was listed.
    pub path: String,
    /// The likeliest class.
    pub class: String,
    /// Its probability, from 0 to 1.
    pub confidence: f32,
    /// The five likeliest classes, or all where there are fewer, the likeliest first.
    pub top: Vec<Likely>,
}

/// A class with its probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Likely {
    /// The class.
    pub class: String,
    /// Its probability, from 0 to 1.
    pub confidence: f32,
}

impl Predict {
    /// Calls `said` with the prediction of `tuned` for each of `images`, in their order, framed as
    /// in evaluation and normalized by the run's statistics. Yields the faults of the images that
    /// were left out.
    ///
    /// # Errors
    ///
    /// When an image cannot be read, when `said` fails, and when somebody asked to stop.
    pub fn run<B: Backbone + Clone + 'static>(
        &self,
        tuned: &FineTuned<B>,
        images: &Arc<dyn ImageDataset>,
        device: &Device,
        interrupt: &Interrupt,
        said: &mut dyn FnMut(&Prediction) -> Result<()>,
    ) -> Result<Vec<String>> {
        let config = &tuned.config;
        let collate = ImageCollate::new(config.image, EvalView::default(), &config.statistics)?;
        let sizes = [self.batch_size, self.workers];
        let loader = collate.loader(images.clone(), self.on_bad_image, sizes, device)?;
        let (classes, mut skipped) = (config.class_names.as_slice(), Vec::new());
        for batch in &loader {
            interrupt.check()?;
            let batch = batch?;
            skipped.extend(batch.faults);
            let Some(pixels) = batch.images else { continue };
            let shares: Vec<f32> = tuned.probabilities(pixels).into_data().iter().collect();
            for (place, shares) in batch.places.into_iter().zip(shares.chunks(classes.len())) {
                said(&Prediction::of(images.name(place), shares, classes))?;
            }
        }
        Ok(skipped)
    }
}

impl Prediction {
    /// The prediction of an image called `path`, given each class's probability.
    fn of(path: String, shares: &[f32], classes: &[String]) -> Self {
        let mut order: Vec<usize> = (0..classes.len()).collect();
        order.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));
        let likely = |&at: &usize| Likely { class: classes[at].clone(), confidence: shares[at] };
        let top: Vec<Likely> = order.iter().take(NAMED).map(likely).collect();
        let Likely { class, confidence } = top[0].clone();
        Self { path, class, confidence, top }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_likeliest_classes_are_named_in_order_and_equals_by_number() {
        let names = ["a", "b", "c", "d", "e", "f"].map(String::from);
        let shares = [0.1, 0.3, 0.1, 0.2, 0.05, 0.25];
        let made = Prediction::of("x.png".into(), &shares, &names);
        let order: Vec<_> = made.top.iter().map(|likely| likely.class.as_str()).collect();
        assert_eq!(order, ["b", "f", "d", "a", "c"]);
        assert_eq!((made.class.as_str(), made.confidence), ("b", 0.3));
        let json = serde_json::to_string(&made).unwrap();
        assert!(json.starts_with(r#"{"path":"x.png","class":"b","confidence":0.3,"top":[{"#));
    }
}

//! How an evaluation extracts the features that its protocols read.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Evaluation, Split, Subject};
use crate::data::{ChannelStatistics, ImageDataset};
use crate::encoder::Backbone;
use crate::error::Result;
use crate::eval::{Features, Handmade, LabelledCollate, Labels};

impl<B: Backbone + Clone> Evaluation<'_, B> {
    /// Features of every seed's training images and of the test images.
    ///
    /// # Errors
    ///
    /// When an image cannot be read, or the encoder has no class token to pool.
    pub fn splits(&self, subject: Subject) -> Result<Vec<Split>> {
        let splits = self.splits_of(subject, None)?;
        Ok(splits.into_iter().map(|mut kinds| kinds.remove(0)).collect())
    }

    /// Features after each of these layers: for every seed, one split a layer.
    ///
    /// # Errors
    ///
    /// As [`Evaluation::splits`], and when `subject` is no encoder.
    ///
    /// # Panics
    ///
    /// As [`Backbone::represent_layers`].
    pub fn layer_splits(&self, subject: Subject, layers: &[usize]) -> Result<Vec<Vec<Split>>> {
        self.splits_of(subject, Some(layers))
    }

    /// Features of the test images alone, of every seed: they differ between random weights.
    ///
    /// # Errors
    ///
    /// As [`Evaluation::splits`].
    pub fn test_features(&self, subject: Subject) -> Result<Vec<Features>> {
        let mut all: Vec<Features> = Vec::new();
        for seed in self.all_seeds() {
            self.interrupt.check()?;
            let features = match all.first() {
                Some(first) if subject != Subject::Random => first.clone(),
                _ => self.features(subject, None, seed, &self.data.test)?.remove(0),
            };
            all.push(features);
        }
        Ok(all)
    }

    fn splits_of(&self, subject: Subject, layers: Option<&[usize]>) -> Result<Vec<Vec<Split>>> {
        let mut splits: Vec<Vec<Split>> = Vec::new();
        for seed in self.all_seeds() {
            self.interrupt.check()?;
            // Nothing differs between seeds but random weights and parts of the labels.
            let known = splits.first().filter(|_| subject != Subject::Random);
            let split = match known {
                Some(first) if self.labels == Labels::ALL => first.clone(),
                _ => {
                    let train = self.features(subject, layers, seed, &self.train(seed)?)?;
                    let test = match known {
                        Some(first) => first.iter().map(|split| split.test.clone()).collect(),
                        None => self.features(subject, layers, seed, &self.data.test)?,
                    };
                    let pairs = train.into_iter().zip(test);
                    pairs.map(|(train, test)| Split { train, test }).collect()
                }
            };
            splits.push(split);
        }
        Ok(splits)
    }

    /// One kind of features for each layer; of the representation without layers.
    fn features(
        &self,
        subject: Subject,
        layers: Option<&[usize]>,
        seed: u64,
        images: &Arc<dyn ImageDataset>,
    ) -> Result<Vec<Features>> {
        let handmade = match subject {
            Subject::Pixels => Handmade::Pixels,
            Subject::Hog => Handmade::Hog,
            Subject::Given | Subject::Random => {
                let backbone = self.backbone(subject, seed)?;
                let of_view = |time: f64| {
                    let collate = self.collate()?.at_time(time);
                    let loader = self.loader(images, collate, self.seed, false)?;
                    Features::read_all(&loader, |images| self.vectors(&backbone, images, layers))
                };
                return match self.clip_views {
                    1 => of_view(0.5),
                    views => {
                        let time = |view| view as f64 / (views - 1) as f64;
                        let all = (0..views).map(|view| of_view(time(view)));
                        Ok(means(&all.collect::<Result<Vec<_>>>()?))
                    }
                };
            }
        };
        let image = self.encoder.image;
        let statistics = ChannelStatistics::none(image.channels);
        let collate = LabelledCollate::new(image, &statistics, self.data.class_names.len())?;
        let loader = self.loader(images, collate, self.seed, false)?;
        Ok(vec![Features::read(&loader, |images| Ok(handmade.of(images)))?])
    }

    fn vectors(
        &self,
        backbone: &B,
        images: Tensor<4>,
        layers: Option<&[usize]>,
    ) -> Result<Vec<Tensor<2>>> {
        let tokens = match layers {
            None => vec![backbone.represent(images)],
            Some(layers) => backbone.represent_layers(images, layers),
        };
        tokens.into_iter().map(|tokens| self.pooling.of(tokens)).collect()
    }
}

/// The mean features of several views, of each kind.
fn means(views: &[Vec<Features>]) -> Vec<Features> {
    let kinds = views[0].iter().enumerate();
    let mean = |(kind, first): (usize, &Features)| {
        let sum = views[1..]
            .iter()
            .fold(first.values.clone(), |sum, view| sum + view[kind].values.clone());
        Features { values: sum / views.len() as f64, ..first.clone() }
    };
    kinds.map(mean).collect()
}

//! How an evaluation extracts the features that its protocols read.

use burn::tensor::Tensor;

use super::helpers::{Part, Reads, Work};
use super::{Evaluation, Split, Subject};
use crate::data::{ChannelStatistics, Loader};
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
                _ => self.features(subject, None, seed, Part::Test)?.remove(0),
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
                    let train = self.features(subject, layers, seed, Part::Train)?;
                    let test = match known {
                        Some(first) => first.iter().map(|split| split.test.clone()).collect(),
                        None => self.features(subject, layers, seed, Part::Test)?,
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
        part: Part,
    ) -> Result<Vec<Features>> {
        let read = Reads::Vectors(layers.map(<[usize]>::to_vec));
        self.ask(Work { subject, seed, part, read })?;
        let found = self.share_of_features(subject, layers, seed, part)?;
        Ok(found.expect("the first process has all features"))
    }

    /// The part of this process in extracting these features, the first of which has them all.
    pub(super) fn share_of_features(
        &self,
        subject: Subject,
        layers: Option<&[usize]>,
        seed: u64,
        part: Part,
    ) -> Result<Option<Vec<Features>>> {
        let of_view = |time: f64| {
            let source = self.source(subject, seed, part, Some(time));
            let (encoder, loader) = self.ranks.together(source)?;
            let read = |images| match (&encoder, subject) {
                (Some(encoder), _) => self.vectors(encoder, images, layers),
                (None, Subject::Hog) => Ok(vec![Handmade::Hog.of(images)]),
                (None, _) => Ok(vec![Handmade::Pixels.of(images)]),
            };
            Features::read_by(&self.ranks, self.turns(&loader), read)
        };
        let views = if subject.is_encoder() { self.clip_views } else { 1 };
        if views == 1 {
            return of_view(0.5);
        }
        let time = |view| view as f64 / (views - 1) as f64;
        let all = (0..views).map(|view| of_view(time(view))).collect::<Result<Vec<_>>>()?;
        let all: Option<Vec<_>> = all.into_iter().collect();
        Ok(all.map(|all| means(&all)))
    }

    /// What reads images, unless it is no encoder, and the images as it reads them; of a film the clip at
    /// this `time` between its beginning and its end, where that is given.
    pub(super) fn source(
        &self,
        subject: Subject,
        seed: u64,
        part: Part,
        time: Option<f64>,
    ) -> Result<(Option<B>, Loader<LabelledCollate>)> {
        let images = match part {
            Part::Train => self.train(seed)?,
            Part::Test => self.data.test.clone(),
        };
        let encoder = subject.is_encoder().then(|| self.backbone(subject, seed)).transpose()?;
        let collate = match &encoder {
            Some(_) => match time {
                Some(time) => self.collate()?.at_time(time),
                None => self.collate()?,
            },
            None => {
                let image = self.encoder.image;
                let statistics = ChannelStatistics::none(image.channels);
                LabelledCollate::new(image, &statistics, self.data.class_names.len())?
            }
        };
        Ok((encoder, self.loader(&images, collate, self.seed, false)?))
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

//! The score card of an evaluation.

use burn::data::dataset::Dataset;

use super::{Evaluation, Scores, Split};
use crate::data::augment::{Augmentation, Scratch, View};
use crate::data::{ImageDataset, OnBadImage, Sample, data_error, scan};
use crate::encoder::Backbone;
use crate::error::Result;
use crate::eval::{LabelledPicture, NeighborRow, ScoreCard, nearest};
use crate::rng::{Purpose, stream};
use crate::viz::Picture;

/// Test images whose neighbors are shown, and neighbors of each.
const QUERIES: usize = 8;
const NEIGHBOURS: usize = 7;

impl<B: Backbone + Clone> Evaluation<'_, B> {
    /// The page of `scores`, with the losses, the reconstructions and the configuration of the
    /// encoder's run. `data` describes the images.
    ///
    /// # Errors
    ///
    /// When an image or a file of the run cannot be read.
    pub fn score_card(&self, scores: &Scores, data: &str) -> Result<ScoreCard> {
        let headline = scores.headline();
        let mut card = ScoreCard {
            encoder: headline.encoder.clone(),
            data: format!(
                "{data}: {} labelled images, tested on {}",
                headline.train_images, headline.test_images
            ),
            scores: scores.given.clone(),
            baselines: scores.baselines.clone(),
            class_names: self.data.class_names.clone(),
            history: None,
            reconstructions: None,
            neighbors: Vec::new(),
            config: None,
        };
        if let Some(split) = &scores.features {
            card.neighbors = self.neighbors(split)?;
        }
        if let Some(run) = &self.encoder.run {
            card.history = Some(run.require_latest()?.snapshot().history.clone());
            card.config = Some(run.config()?);
            // A run whose pictures were removed is still a run.
            card.reconstructions = std::fs::read(run.path().join(self.encoder.picture)).ok();
        }
        Ok(card)
    }

    /// The first test image of each of the first classes, with its neighbors.
    fn neighbors(&self, split: &Split) -> Result<Vec<NeighborRow>> {
        let first = |class| split.test.labels.iter().position(|&label| label == class);
        let queries: Vec<usize> = (0..split.test.classes).filter_map(first).take(QUERIES).collect();
        let found = nearest(&split.train, &split.test.select(&queries)?, NEIGHBOURS)?;
        let train = self.train(self.seed)?;
        let (places, test_places) = (self.places(&*train), self.places(&*self.data.test));
        let row = |(&query, found): (&usize, &Vec<crate::eval::Neighbor>)| {
            let found = found.iter().map(|neighbor| {
                Ok((self.picture(&*train, places[neighbor.index])?, neighbor.similarity))
            });
            let query = self.picture(&*self.data.test, test_places[query])?;
            Ok(NeighborRow { query, found: found.collect::<Result<_>>()? })
        };
        queries.iter().zip(&found).map(row).collect()
    }

    /// The places of the samples that features were extracted from, without images that were left
    /// out.
    fn places(&self, images: &dyn ImageDataset) -> Vec<usize> {
        let all: Vec<usize> = (0..images.len()).collect();
        if self.data.options.on_bad_image == OnBadImage::Error {
            return all;
        }
        let readable = scan(&all, |index| images.get(index).is_ok(), |_| false, &mut |_| {});
        all.into_iter().zip(readable).filter(|(_, readable)| *readable).map(|(at, _)| at).collect()
    }

    /// An image as the encoder sees it, not normalized.
    fn picture(&self, images: &dyn Dataset<Sample>, index: usize) -> Result<LabelledPicture> {
        let sample = images.get(index).map_err(|error| data_error(index, error))?;
        let shape = self.encoder.image.frame();
        let mut nothing = stream(self.seed, Purpose::Augmentation, 0, index as u64);
        let transform = Augmentation::none().sample(sample.image.shape(), &mut nothing);
        let shown = View::new(shape)?.image(&sample.image, &transform, &mut Scratch::default())?;
        let picture = Picture::from_planar(shape, &shown.values())?;
        Ok(LabelledPicture { picture, label: sample.label.unwrap_or_default() })
    }
}

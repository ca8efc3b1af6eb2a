//! Linear probes with few labels.

use std::time::Instant;

use super::reading::Reading;
use crate::encoder::Backbone;
use crate::error::Result;
use crate::eval::{LogisticRegression, Score, share_of};

/// The shares of the labels.
const SHARES: [f64; 2] = [0.01, 0.1];

impl<B: Backbone + Clone> Reading<'_, '_, B> {
    /// Logistic regression on 1 % and on 10 % of the labels, the same share of every class and the
    /// same images that `labels` of as much gives with the same seed.
    pub(super) fn few(&mut self, add: &mut dyn FnMut(Score)) -> Result<()> {
        let (evaluation, subject) = (self.evaluation, self.subject);
        let splits = self.splits()?;
        for share in SHARES {
            let (mut results, mut train_images, started) = (Vec::new(), 0, Instant::now());
            for (seed, split) in evaluation.all_seeds().zip(splits) {
                evaluation.interrupt.check()?;
                let train = split.train.select(&share_of(&split.train.labels, share, seed))?;
                train_images = train.len();
                let probe = LogisticRegression::default().fit(&train)?;
                results.push(probe.test(&split.test));
            }
            let setting =
                format!("logistic regression, {} % of the labels ({train_images})", share * 100.0);
            add(evaluation.score("few", setting, subject, results, train_images, started));
        }
        Ok(())
    }
}

//! Linear probes of layers within, of which the best is chosen without the test images.

use std::time::Instant;

use super::Split;
use super::reading::Reading;
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::eval::{LogisticRegression, Score, TestResult, held_out};

/// At most so many layers are probed, and so many of the last of them together.
const PROBED: usize = 6;
const TOGETHER: usize = 4;
/// The share of the training labels by which the best is chosen.
const HELD_OUT: f64 = 0.2;

impl<B: Backbone + Clone> Reading<'_, '_, B> {
    /// Logistic regression on the pooled features after several layers and on those of the last ones
    /// together. First comes the one that is best on a held-out fifth of every seed's training
    /// labels, fitted again on all of them; test images choose nothing.
    pub(super) fn layers(&mut self, add: &mut dyn FnMut(Score)) -> Result<()> {
        let (evaluation, subject) = (self.evaluation, self.subject);
        let depth = evaluation.encoder.backbone.represented_layers();
        if depth == 0 {
            return self.without_layers("probes of layers need");
        }
        let probed = probed(depth);
        let mut splits = evaluation.layer_splits(subject, &probed)?;
        let mut settings: Vec<_> =
            probed.iter().map(|layer| format!("layer {layer} of {depth}")).collect();
        let together = &probed[probed.len().saturating_sub(TOGETHER)..];
        if together.len() > 1 {
            let names: Vec<_> = together.iter().map(usize::to_string).collect();
            settings.push(format!("layers {} of {depth} together", names.join(" + ")));
            for kinds in &mut splits {
                let last = Split::beside(&kinds[probed.len() - together.len()..]);
                kinds.push(last);
            }
        }
        let train_images = splits[0][0].train.len();
        let (mut chosen, started) = (Some(Vec::new()), Instant::now());
        let mut rows = vec![(Vec::new(), 0.0); settings.len()];
        for (seed, kinds) in evaluation.all_seeds().zip(&splits) {
            for (split, (results, seconds)) in kinds.iter().zip(&mut rows) {
                let started = Instant::now();
                evaluation.interrupt.check()?;
                results.push(fitted(split)?);
                *seconds += started.elapsed().as_secs_f64();
            }
            let best = best(kinds, seed)?;
            chosen = chosen.zip(best).map(|(mut chosen, best)| {
                chosen.push(best);
                chosen
            });
        }
        let score = |setting, results| {
            evaluation.score("linear", setting, subject, results, train_images, started)
        };
        if let Some(chosen) = chosen {
            let of_seed = |(seed, &best): (usize, &usize)| rows[best].0[seed].clone();
            let results = chosen.iter().enumerate().map(of_seed).collect();
            add(score(
                format!("chosen on held-out labels: {}", named(&chosen, &settings)),
                results,
            ));
        }
        for (setting, (results, seconds)) in settings.into_iter().zip(rows) {
            add(Score { seconds, ..score(setting, results) });
        }
        Ok(())
    }

    /// Does nothing as a part of all protocols; asked for alone, an encoder that does not name its
    /// layers is a fault.
    fn without_layers(&self, need: &str) -> Result<()> {
        if self.plan.protocol == super::Protocol::All {
            return Ok(());
        }
        Err(Error::config(format!("{need} an encoder that names its layers")))
    }
}

/// The layers to probe: all, or so many at even distances up to the last.
fn probed(depth: usize) -> Vec<usize> {
    let count = depth.min(PROBED);
    (1..=count).map(|at| (at * depth).div_ceil(count)).collect()
}

fn fitted(split: &Split) -> Result<TestResult> {
    Ok(LogisticRegression::default().fit(&split.train)?.test(&split.test))
}

/// Which kind of features is best on the held-out labels of `seed`, of equally good ones the last;
/// `None` where every class has a single image, so that none can be held out.
fn best(kinds: &[Split], seed: u64) -> Result<Option<usize>> {
    let [rest, held] = held_out(&kinds[0].train.labels, HELD_OUT, seed);
    if held.is_empty() {
        return Ok(None);
    }
    let mut best: Option<(f64, usize)> = None;
    for (index, Split { train, .. }) in kinds.iter().enumerate() {
        let split = Split { train: train.select(&rest)?, test: train.select(&held)? };
        let top1 = fitted(&split)?.top1;
        if best.is_none_or(|(most, _)| top1 >= most) {
            best = Some((top1, index));
        }
    }
    Ok(best.map(|(_, index)| index))
}

/// The settings that were chosen, each one once.
fn named(chosen: &[usize], settings: &[String]) -> String {
    let mut indices = chosen.to_vec();
    indices.sort_unstable();
    indices.dedup();
    let names: Vec<_> = indices.into_iter().map(|index| settings[index].as_str()).collect();
    names.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Features;
    use crate::test_device;
    use burn::tensor::{Tensor, TensorData};

    #[test]
    fn layers_are_evenly_spaced_and_the_last_is_one_of_them() {
        assert_eq!(probed(1), [1]);
        assert_eq!(probed(6), [1, 2, 3, 4, 5, 6]);
        assert_eq!(probed(12), [2, 4, 6, 8, 10, 12]);
        assert_eq!(probed(8), [2, 3, 4, 6, 7, 8]);
    }

    /// Forty samples of two classes whose only feature tells them apart, or does not.
    fn features(telling: bool) -> Features {
        let value = |at: usize| (at % 2) as f32 * f32::from(u8::from(telling)) + (at % 3) as f32;
        let values = TensorData::new((0..40).map(value).collect::<Vec<_>>(), [40, 1]);
        let values = Tensor::from_data(values, &test_device());
        Features::new(values, (0..40).map(|at| at % 2).collect(), 2).unwrap()
    }

    #[test]
    fn the_choice_reads_training_labels_alone() {
        let split = |train, test| Split { train: features(train), test: features(test) };
        // What would be best on the test images has a training part that tells nothing.
        let kinds = [split(false, true), split(true, false), split(false, true)];
        for seed in 0..3 {
            assert_eq!(best(&kinds, seed).unwrap(), Some(1));
        }
        let single = features(true).select(&[0, 1]).unwrap();
        let single = Split { train: single.clone(), test: single };
        assert_eq!(best(&[single], 0).unwrap(), None);
    }

    #[test]
    fn every_choice_is_named_once() {
        let settings = ["a", "b", "c"].map(String::from);
        assert_eq!(named(&[2, 0, 2], &settings), "a; c");
    }
}

//! What each protocol reads of a subject.

use super::Protocol;
use super::reading::Reading;
use crate::encoder::Backbone;
use crate::error::Result;
use crate::eval::{AttentiveProbe, FineTuning, Knn, LinearProbe, Score, SegmentationProbe};

impl<B: Backbone + Clone> Reading<'_, '_, B> {
    /// Measures by one protocol, and hands every score to `add` as soon as it is known.
    pub(super) fn measure(&mut self, protocol: Protocol, add: &mut dyn FnMut(Score)) -> Result<()> {
        match protocol {
            Protocol::Linear => self.linear(add),
            Protocol::Knn => self.knn(add),
            Protocol::Few => self.few(add),
            Protocol::Layers => self.layers(add),
            Protocol::Attentive => self.attentive(add),
            Protocol::Dense => self.dense(add),
            Protocol::Quality => self.quality(add),
            Protocol::FineTune => self.fine_tuning(add),
            Protocol::Partial => self.partial(add),
            Protocol::All => Ok(()),
        }
    }

    fn linear(&mut self, add: &mut dyn FnMut(Score)) -> Result<()> {
        let (evaluation, subject) = (self.evaluation, self.subject);
        let splits = self.splits()?;
        add(evaluation.linear(subject, splits)?);
        add(evaluation.linear_chosen(subject, splits)?);
        evaluation.interrupt.check()?;
        let probe = LinearProbe::mae();
        // With fewer images than a batch it would take only a few small steps, which lead nowhere.
        if splits[0].train.len() >= probe.batch_size {
            add(evaluation.probe(&probe, subject, splits)?);
        }
        Ok(())
    }

    fn knn(&mut self, add: &mut dyn FnMut(Score)) -> Result<()> {
        let (evaluation, subject) = (self.evaluation, self.subject);
        let splits = self.splits()?;
        for standardized in [false, true] {
            let knn = Knn { standardized, ..Knn::default() };
            evaluation.knn(&knn, subject, splits)?.into_iter().for_each(&mut *add);
            evaluation.interrupt.check()?;
        }
        Ok(())
    }

    fn attentive(&mut self, add: &mut dyn FnMut(Score)) -> Result<()> {
        let evaluation = self.evaluation;
        let images = evaluation.labels.number(evaluation.data.train.len());
        let probes = [AttentiveProbe::efficient(), AttentiveProbe::one_query()];
        let probes = probes.map(|probe| probe.for_images(images));
        evaluation.attentive(&probes, self.subject)?.into_iter().for_each(add);
        Ok(())
    }

    fn dense(&mut self, add: &mut dyn FnMut(Score)) -> Result<()> {
        // Asked for alone, images without label maps are a fault, which names one.
        if self.plan.protocol == Protocol::All && !self.evaluation.has_label_maps()? {
            return Ok(());
        }
        let probe = SegmentationProbe::new();
        self.evaluation.dense(&probe, self.subject)?.into_iter().for_each(add);
        Ok(())
    }

    fn quality(&mut self, add: &mut dyn FnMut(Score)) -> Result<()> {
        let test = self.test_features()?;
        self.evaluation.quality(self.subject, &test)?.into_iter().for_each(add);
        Ok(())
    }

    fn fine_tuning(&mut self, add: &mut dyn FnMut(Score)) -> Result<()> {
        add(self.evaluation.fine_tune(&self.plan.tuning, self.subject, &self.plan.out)?);
        Ok(())
    }

    fn partial(&mut self, add: &mut dyn FnMut(Score)) -> Result<()> {
        let layers = self.evaluation.encoder.backbone.layers();
        // An encoder that does not name its layers has no last ones; asked for alone, that is a fault.
        if layers == 0 && self.plan.protocol == Protocol::All {
            return Ok(());
        }
        for blocks in steps(layers) {
            let tuning = FineTuning { last_blocks: Some(blocks), ..self.plan.tuning.clone() };
            add(self.evaluation.fine_tune(&tuning, self.subject, &self.plan.out)?);
        }
        Ok(())
    }
}

/// 0, 1, 2, 4, ... and `layers`.
fn steps(layers: usize) -> Vec<usize> {
    let powers = (0..usize::BITS).map(|power| 1 << power).take_while(|&blocks| blocks < layers);
    [0].into_iter().chain(powers).chain([layers]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_fine_tuning_doubles_its_blocks() {
        assert_eq!(steps(6), [0, 1, 2, 4, 6]);
        assert_eq!(steps(12), [0, 1, 2, 4, 8, 12]);
        assert_eq!(steps(1), [0, 1]);
    }
}

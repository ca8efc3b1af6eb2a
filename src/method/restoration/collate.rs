//! Samples into batches of image restoration: the only place where images are spoilt.

use std::sync::Arc;

use burn::tensor::Device;
use rand::RngExt;

use super::corrupt::Corruption;
use crate::batch::RestorationBatch;
use crate::data::Image;
use crate::data::augment::{Augmentation, Scratch};
use crate::data::{Collate, Item, Preprocess, Sample, images};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;
use crate::rng::Purpose;

/// Augments, spoils and normalizes samples, all of a batch by one corruption.
///
/// Which one is drawn from the stream of the batch's first sample.
#[derive(Debug, Clone)]
pub struct RestorationCollate {
    preprocess: Preprocess,
    corruptions: Vec<Arc<dyn Corruption>>,
    only: Option<usize>,
}

impl RestorationCollate {
    /// Batches of images of `shape`, normalized by `statistics`, augmented by `augmentation`
    /// and spoilt by one of `corruptions`.
    ///
    /// # Errors
    ///
    /// When there is no corruption, the statistics are not of the images' channels, or a range of
    /// the augmentation is broken.
    pub fn new(
        shape: ImageShape,
        statistics: &ChannelStatistics,
        augmentation: Augmentation,
        corruptions: Vec<Arc<dyn Corruption>>,
    ) -> Result<Self> {
        let preprocess = Preprocess::new(shape, statistics, augmentation)?;
        if corruptions.is_empty() {
            return Err(Error::config("restoration needs at least one corruption"));
        }
        Ok(Self { preprocess, corruptions, only: None })
    }

    /// The same batches, all of them spoilt by corruption number `corruption`.
    ///
    /// # Panics
    ///
    /// When there is no such corruption.
    pub fn with_only(mut self, corruption: usize) -> Self {
        assert!(corruption < self.corruptions.len(), "there is no corruption number {corruption}");
        self.only = Some(corruption);
        self
    }

    /// The clean and the spoilt image of one sample.
    fn pair(
        &self,
        item: &Item,
        corruption: usize,
        rng: &mut impl rand::Rng,
        scratch: &mut Scratch,
    ) -> Result<[Image; 2]> {
        let clean = self.preprocess.image(item, rng, scratch)?;
        let spoilt = self.corruptions[corruption].corrupt(&clean, rng)?;
        Ok([clean, spoilt])
    }
}

impl Collate for RestorationCollate {
    type Sample = Sample;
    type Batch = RestorationBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<RestorationBatch> {
        let (batch, shape) = (items.len(), self.preprocess.shape());
        let mut scratch = Scratch::default();
        let mut clean = vec![0.0; batch * shape.values()];
        let mut corrupted = clean.clone();
        let mut drawn = None;
        let outputs =
            clean.chunks_exact_mut(shape.values()).zip(corrupted.chunks_exact_mut(shape.values()));
        for (item, (clean, corrupted)) in items.zip(outputs) {
            let item = item?;
            let corruption = *drawn.get_or_insert_with(|| {
                let mut rng = item.stream(Purpose::Corruption);
                self.only.unwrap_or_else(|| rng.random_range(0..self.corruptions.len()))
            });
            let mut rng = item.stream(Purpose::Augmentation);
            let [image, spoilt] = self.pair(&item, corruption, &mut rng, &mut scratch)?;
            self.preprocess.normalization.write_image(&image, clean);
            self.preprocess.normalization.write_image(&spoilt, corrupted);
        }
        Ok(RestorationBatch {
            corrupted: images(corrupted, shape, device),
            clean: images(clean, shape, device),
            corruption: drawn.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::MemoryDataset;
    use crate::data::{Loader, LoaderConfig};
    use crate::method::CorruptionConfig;
    use crate::test_device;
    use burn::tensor::Tensor;

    const SHAPE: ImageShape = ImageShape::new(2, 6, 9);

    fn loader(workers: usize, only: Option<usize>) -> Loader<RestorationCollate> {
        let pixels = (0..30 * SHAPE.values()).map(|i| (i * 31 % 256) as u8).collect();
        let dataset = Arc::new(MemoryDataset::new(SHAPE, pixels, None).unwrap());
        let statistics = ChannelStatistics { mean: vec![0.0; 2], std: vec![1.0; 2] };
        let corruptions = CorruptionConfig::paper().iter().map(|config| config.build()).collect();
        let plain = Augmentation::none();
        let mut collate = RestorationCollate::new(SHAPE, &statistics, plain, corruptions).unwrap();
        collate.only = only;
        let config = LoaderConfig { batch_size: 2, seed: 3, workers, training: true };
        Loader::new(dataset, collate, config, &test_device()).unwrap()
    }

    fn batches(workers: usize) -> Vec<(usize, Vec<f32>, Vec<f32>)> {
        let values = |tensor: Tensor<4>| tensor.into_data().try_to_vec().unwrap();
        let of = |batch: RestorationBatch| {
            (batch.corruption, values(batch.corrupted), values(batch.clean))
        };
        loader(workers, None).epoch(0, 0).map(|batch| of(batch.unwrap())).collect()
    }

    #[test]
    fn batches_do_not_depend_on_workers_and_have_one_corruption_each() {
        let batches = batches(0);
        assert_eq!(batches, self::batches(2));
        let mut drawn: Vec<_> = batches.iter().map(|(corruption, ..)| *corruption).collect();
        drawn.sort();
        drawn.dedup();
        assert!(drawn.len() > 3 && drawn.iter().all(|&corruption| corruption < 6), "{drawn:?}");
        assert!(batches.iter().all(|(_, corrupted, clean)| corrupted != clean));
    }

    #[test]
    fn one_corruption_can_be_asked_for() {
        let all = loader(0, Some(4)).epoch(1, 0).all(|batch| batch.unwrap().corruption == 4);
        assert!(all);
    }

    #[test]
    fn statistics_of_other_channels_and_no_corruption_are_refused() {
        let refused = |channels, corruptions| {
            let statistics = ChannelStatistics::none(channels);
            RestorationCollate::new(SHAPE, &statistics, Augmentation::none(), corruptions)
                .unwrap_err()
                .to_string()
        };
        let message = refused(3, vec![CorruptionConfig::Rain.build()]);
        assert!(message.contains("2 channels cannot be normalized with statistics of 3"));
        assert!(refused(2, vec![]).contains("at least one corruption"));
    }
}

//! Samples into batches of masked image modelling: the only place where masks are drawn.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::batch::MimBatch;
use crate::data::augment::{Augmentation, Interpolation, Normalization, Scratch, Transform, View};
use crate::data::loader::{Collate, Item};
use crate::data::sample::Sample;
use crate::error::{Error, Result, ensure};
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;
use crate::mask::{KnownGrids, Mask, MaskStrategy, UnitMask};
use crate::rng::Purpose;

/// Augments, normalizes and masks samples.
#[derive(Debug, Clone)]
pub struct MimCollate {
    view: View,
    augmentation: Augmentation,
    normalization: Normalization,
    mask: Arc<dyn MaskStrategy>,
    grids: KnownGrids,
    target_view: Option<(View, Normalization)>,
}

impl MimCollate {
    /// Batches of images of `shape`, normalized by `statistics`, masked by `mask`, and not
    /// augmented.
    ///
    /// # Errors
    ///
    /// When the mask's units do not tile the image, or the statistics are not of its channels.
    pub fn new(
        shape: ImageShape,
        statistics: &ChannelStatistics,
        mask: Arc<dyn MaskStrategy>,
    ) -> Result<Self> {
        statistics.check(shape)?;
        let (grid, normalization) = (mask.grid(), Normalization::new(statistics)?);
        if grid.rows == 0 || shape.grid(shape.height / grid.rows.max(1)).ok() != Some(grid) {
            return Err(Error::config(format!(
                "a mask of {grid} units does not fit images of {}×{} pixels",
                shape.height, shape.width
            )));
        }
        let (view, augmentation) = (View::new(shape)?, Augmentation::none());
        let grids = KnownGrids::default();
        Ok(Self { view, augmentation, normalization, mask, grids, target_view: None })
    }

    /// The same batches with a second view of every crop, of `shape`, resized by `interpolation` and
    /// normalized by `statistics`: what a tokenizer ([`ChannelStatistics::none`]) or a teacher reads.
    ///
    /// # Errors
    ///
    /// When the view holds no pixels, or has other channels than the images or the statistics.
    pub fn with_target_view(
        mut self,
        shape: ImageShape,
        interpolation: Interpolation,
        statistics: &ChannelStatistics,
    ) -> Result<Self> {
        let channels = self.view.shape().channels;
        if shape.channels != channels {
            return Err(Error::config(format!(
                "a second view of {} channels does not go with images of {channels}",
                shape.channels
            )));
        }
        statistics.check(shape)?;
        let (view, normalization) = (View::new(shape)?, Normalization::new(statistics)?);
        self.target_view = Some((view.with_interpolation(interpolation), normalization));
        Ok(self)
    }

    /// The same batches of augmented images.
    ///
    /// # Errors
    ///
    /// When a range of the augmentation is broken.
    pub fn with_augmentation(mut self, augmentation: Augmentation) -> Result<Self> {
        augmentation.validate()?;
        self.view = self.view.with_interpolation(augmentation.interpolation);
        self.augmentation = augmentation;
        Ok(self)
    }
}

/// The mask of a sample, which hides as much as `strategy` says.
fn sampled_mask(strategy: &dyn MaskStrategy, item: &Item) -> Result<UnitMask> {
    let mask = strategy.sample(&mut item.stream(Purpose::Mask));
    let promised = (strategy.hidden(), strategy.grid());
    ensure!(
        (mask.hidden(), mask.grid()) == promised,
        "a mask strategy that promises {} hidden units of {} drew a mask of {} of {} for sample {}: \
         its `hidden` must be the count that its `sample` hides",
        promised.0,
        promised.1,
        mask.hidden(),
        mask.grid(),
        item.index
    );
    Ok(mask)
}

impl Collate for MimCollate {
    type Sample = Sample;
    type Batch = MimBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<MimBatch> {
        let batch = items.len();
        let mut images = Rendering::new(&self.view, &self.normalization, batch);
        let mut target_view = self
            .target_view
            .as_ref()
            .map(|(view, normalization)| Rendering::new(view, normalization, batch));
        let (mut masks, mut labels) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
        let mut strategy = None;
        for item in items {
            let item = item?;
            // The batch uses the stream of its first sample.
            let of_batch = || self.mask.for_batch(&mut item.stream(Purpose::BatchMask));
            let strategy = strategy.get_or_insert_with(of_batch).as_deref().unwrap_or(&self.mask);
            let mut rng = item.stream(Purpose::Augmentation);
            let transform = self.augmentation.sample(item.sample.image.shape(), &mut rng);
            images.push(&item, &transform)?;
            target_view.iter_mut().try_for_each(|view| view.push(&item, &transform).map(drop))?;
            masks.push(sampled_mask(strategy, &item)?);
            labels.extend(item.sample.label.map(|label| label as i64));
        }
        let labels = (labels.len() == batch)
            .then(|| Tensor::from_data(TensorData::new(labels, [batch]), device));
        Ok(MimBatch {
            images: images.finish(device),
            target_view: target_view.map(|view| view.finish(device)),
            mask: Mask::new(masks, device)?.prepared(&self.grids),
            labels,
        })
    }
}

/// The images of a batch as one view shows them, while it fills.
#[derive(Debug)]
pub(crate) struct Rendering<'a> {
    view: &'a View,
    normalization: &'a Normalization,
    scratch: Scratch,
    values: Vec<f32>,
}

impl<'a> Rendering<'a> {
    /// Room for `batch` images.
    pub(crate) fn new(view: &'a View, normalization: &'a Normalization, batch: usize) -> Self {
        let values = Vec::with_capacity(batch * view.shape().values());
        Self { view, normalization, scratch: Scratch::default(), values }
    }

    /// Adds the image of `item`, seen through `transform`, and yields its values.
    pub(crate) fn push(&mut self, item: &Item, transform: &Transform) -> Result<&mut [f32]> {
        let start = self.values.len();
        self.values.resize(start + self.view.shape().values(), 0.0);
        let (image, out) = (&item.sample.image, &mut self.values[start..]);
        self.view
            .write(image, transform, self.normalization, &mut self.scratch, out)
            .map_err(|error| item.fault(error))?;
        Ok(out)
    }

    /// All values so far.
    pub(crate) fn values(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// `[batch, channels, height, width]`.
    pub(crate) fn finish(self, device: &Device) -> Tensor<4> {
        let ImageShape { channels, height, width } = self.view.shape();
        let batch = self.values.len() / self.view.shape().values();
        Tensor::from_data(TensorData::new(self.values, [batch, channels, height, width]), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sample::Image;
    use crate::data::{Loader, LoaderConfig};
    use crate::grid::Grid;
    use crate::mask::RandomMask;
    use crate::test_device;
    use burn::data::dataset::InMemDataset;

    const SHAPE: ImageShape = ImageShape::new(2, 8, 12);

    fn statistics(mean: f32) -> ChannelStatistics {
        ChannelStatistics { mean: vec![mean; 2], std: vec![0.5; 2] }
    }

    fn collate() -> MimCollate {
        let mask = Arc::new(RandomMask::mae(Grid::new(2, 3), 0.5).unwrap());
        MimCollate::new(SHAPE, &statistics(0.5), mask).unwrap()
    }

    fn first_batch(collate: MimCollate) -> MimBatch {
        batch_of(collate).unwrap()
    }

    fn batch_of(collate: MimCollate) -> Result<MimBatch> {
        loader(collate, 4, 4).epoch(0, 0).next().unwrap()
    }

    fn loader(collate: MimCollate, samples: usize, batch_size: usize) -> Loader<MimCollate> {
        // Brightness grows from left to right, so a flip or a crop shows.
        let pixels = (0..SHAPE.values()).map(|i| (i % 12 * 20) as u8).collect::<Vec<_>>();
        let sample = Sample { image: Image::new(SHAPE, pixels).unwrap(), label: None };
        let dataset = Arc::new(InMemDataset::new(vec![sample; samples]));
        let config = LoaderConfig { batch_size, seed: 3, workers: 0, training: true };
        Loader::new(dataset, collate, config, &test_device()).unwrap()
    }

    #[test]
    fn both_views_show_the_same_crop_and_flip_each_in_its_normalization() {
        let augmentation = Augmentation { jitter: None, ..Augmentation::beit() };
        let collate = collate().with_augmentation(augmentation).unwrap();
        let second = ImageShape::new(2, 4, 6);
        let none = ChannelStatistics::none(2);
        let batch =
            first_batch(collate.with_target_view(second, Interpolation::Lanczos, &none).unwrap());
        let view = batch.target_view.unwrap();
        assert_eq!(view.dims(), [4, 2, 4, 6]);
        let first: Vec<f32> = (batch.images * 0.5 + 0.5).mean_dim(2).into_data().iter().collect();
        let second: Vec<f32> = view.mean_dim(2).into_data().iter().collect();
        for (row, half) in first.chunks(12).zip(second.chunks(6)) {
            for (pair, value) in row.chunks(2).zip(half) {
                assert!(((pair[0] + pair[1]) / 2.0 - value).abs() < 0.03, "{row:?} {half:?}");
            }
        }
    }

    #[test]
    fn without_a_second_view_there_is_none() {
        assert!(first_batch(collate()).target_view.is_none());
    }

    /// Promises half of what it hides.
    #[derive(Debug)]
    struct Liar;

    impl MaskStrategy for Liar {
        fn grid(&self) -> Grid {
            Grid::new(2, 3)
        }

        fn hidden(&self) -> usize {
            2
        }

        fn sample(&self, _rng: &mut dyn rand::Rng) -> UnitMask {
            UnitMask::from_indices(Grid::new(2, 3), [0, 1, 2, 5]).unwrap()
        }
    }

    #[test]
    fn a_mask_of_another_count_than_its_strategy_promises_is_refused_with_both() {
        let collate = MimCollate::new(SHAPE, &statistics(0.5), Arc::new(Liar)).unwrap();
        let message = batch_of(collate).unwrap_err().to_string();
        assert!(message.contains("promises 2 hidden units of 2×3"), "{message}");
        assert!(message.contains("drew a mask of 4 of 2×3"), "{message}");
    }

    /// Hides two units of every sample of a batch, or four.
    #[derive(Debug)]
    struct TwoOrFour;

    impl MaskStrategy for TwoOrFour {
        fn grid(&self) -> Grid {
            Grid::new(2, 3)
        }

        fn hidden(&self) -> usize {
            4
        }

        fn sample(&self, rng: &mut dyn rand::Rng) -> UnitMask {
            RandomMask::new(self.grid(), 4).unwrap().sample(rng)
        }

        fn for_batch(&self, rng: &mut dyn rand::Rng) -> Option<Box<dyn MaskStrategy>> {
            let hidden = if rng.next_u64().is_multiple_of(2) { 2 } else { 4 };
            Some(Box::new(RandomMask::new(self.grid(), hidden).unwrap()))
        }
    }

    #[test]
    fn the_number_of_hidden_units_may_differ_by_batch_and_is_the_same_within_one() {
        let collate = MimCollate::new(SHAPE, &statistics(0.5), Arc::new(TwoOrFour)).unwrap();
        let loader = loader(collate, 32, 2);
        let counts = |epoch| -> Vec<usize> {
            let batches = loader.epoch(epoch, 0);
            batches.map(|batch| batch.unwrap().mask.at(Grid::new(4, 6)).asked.count()).collect()
        };
        let first = counts(0);
        assert_eq!(first.len(), 16);
        assert!(first.contains(&8) && first.contains(&16), "{first:?}");
        assert_eq!(counts(0), first);
        assert_ne!(counts(1), first);
    }

    #[test]
    fn a_second_view_of_other_channels_is_refused() {
        let other = ImageShape::new(3, 4, 6);
        let view = collate().with_target_view(other, Interpolation::Lanczos, &statistics(0.0));
        let message = view.unwrap_err().to_string();
        assert!(message.contains("3 channels") && message.contains("images of 2"), "{message}");
    }
}

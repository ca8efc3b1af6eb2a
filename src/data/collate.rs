//! Samples into batches of masked image modelling.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::batch::MimBatch;
use crate::data::augment::{Augmentation, Interpolation};
use crate::data::batch_masks::{BatchMasks, tiles};
use crate::data::loaded::Loaded;
use crate::data::loader::{Collate, Item};
use crate::data::preprocess::{Preprocess, Rendering};
use crate::data::sample::Sample;
use crate::error::{Error, Result, ensure};
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;
use crate::mask::{AskedConfig, KnownGrids, Mask, MaskStrategy};
use crate::rng::Purpose;

/// Augments, normalizes and masks samples.
#[derive(Debug, Clone)]
pub struct MimCollate {
    preprocess: Preprocess,
    mask: Arc<dyn MaskStrategy>,
    masks: usize,
    asked: AskedConfig,
    grids: KnownGrids,
    target_view: Option<Preprocess>,
    second_views: bool,
    /// Whether the target view is not of the same crop, but another view of the image.
    other_views: bool,
}

impl MimCollate {
    /// Batches of images of `shape`, normalized by `statistics`, augmented by `augmentation` and
    /// masked by `mask`.
    ///
    /// # Errors
    ///
    /// When the mask's units do not tile the image, the statistics are not of its channels, or a
    /// range of the augmentation is broken.
    pub fn new(
        shape: ImageShape,
        statistics: &ChannelStatistics,
        augmentation: Augmentation,
        mask: Arc<dyn MaskStrategy>,
    ) -> Result<Self> {
        let (grid, preprocess) = (mask.grid(), Preprocess::new(shape, statistics, augmentation)?);
        if !tiles(grid, shape) {
            return Err(Error::config(format!(
                "a mask of {grid} units does not fit images of {}×{} pixels",
                shape.height, shape.width
            )));
        }
        let (asked, grids) = (AskedConfig::Hidden {}, KnownGrids::default());
        Ok(Self {
            preprocess,
            mask,
            masks: 1,
            asked,
            grids,
            target_view: None,
            second_views: false,
            other_views: false,
        })
    }

    /// The same batches with `masks` masks of every image, drawn one after the other.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn with_masks(mut self, masks: usize) -> Result<Self> {
        ensure!(masks > 0, "every image needs a mask, got {masks}");
        self.masks = masks;
        Ok(self)
    }

    /// The same batches, which ask for other cells than the hidden ones.
    ///
    /// # Errors
    ///
    /// As [`AskedConfig::validate`].
    pub fn with_asked(mut self, asked: AskedConfig) -> Result<Self> {
        asked.validate(&*self.mask)?;
        self.asked = asked;
        Ok(self)
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
        let channels = self.preprocess.shape().channels;
        if shape.channels != channels {
            return Err(Error::config(format!(
                "a second view of {} channels does not go with images of {channels}",
                shape.channels
            )));
        }
        self.target_view = Some(Preprocess::plain(shape, statistics, interpolation)?);
        Ok(Self { other_views: false, ..self })
    }

    /// The same batches, whose target view is another view of every image, augmented anew.
    pub fn with_other_views(self) -> Self {
        Self { target_view: Some(self.preprocess.clone()), other_views: true, ..self }
    }

    /// The same batches, in which each image is followed by a second view of it, augmented and masked
    /// anew: a batch is twice as large.
    pub fn with_second_views(self) -> Self {
        Self { second_views: true, ..self }
    }
}

/// What the crop and the colors, the mask, and the asked cells of each view of an image are drawn for.
const VIEWS: [[Purpose; 3]; 2] = [
    [Purpose::Augmentation, Purpose::Mask, Purpose::Asked],
    [Purpose::SecondView, Purpose::SecondMask, Purpose::SecondAsked],
];

impl Collate for MimCollate {
    type Sample = Sample;
    type Batch = MimBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<MimBatch> {
        self.load(items, device).map(Loaded::finish)
    }

    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<Loaded<MimBatch>> {
        let views = if self.second_views { VIEWS.len() } else { 1 };
        let batch = items.len() * views;
        let mut images = self.preprocess.batch(batch);
        let mut target_view = self.target_view.as_ref().map(|view| view.batch(batch));
        let (mut masks, mut labels) =
            (Vec::with_capacity(batch * self.masks), Vec::with_capacity(batch));
        let mut asked = Vec::new();
        let mut drawn = BatchMasks::new(&*self.mask);
        for item in items {
            let item = item?;
            for (number, [augmentation, of_mask, of_asked]) in VIEWS[..views].iter().enumerate() {
                let (transform, _) = self.preprocess.draw_for(&item, *augmentation);
                images.push(&item, &transform)?;
                if let Some(view) = &mut target_view {
                    let other = || self.preprocess.draw_for(&item, VIEWS[1 - number][0]).0;
                    let transform = if self.other_views { other() } else { transform };
                    view.push(&item, &transform)?;
                }
                let [mut of_mask, mut of_asked] = [of_mask, of_asked].map(|p| item.stream(*p));
                for _ in 0..self.masks {
                    let mask = drawn.draw(&item, &mut of_mask)?;
                    asked.extend(self.asked.draw(&mask, &mut of_asked));
                    masks.push(mask);
                }
                labels.extend(item.sample.label.map(|label| label as i64));
            }
        }
        let labels = (labels.len() == batch)
            .then(|| Tensor::from_data(TensorData::new(labels, [batch]), device));
        let mask = Mask::new(masks, device)?;
        let mask = if asked.is_empty() { mask } else { mask.with_asked(asked)? };
        let mask = mask.prepared(&self.grids);
        let (images, device) = (images.pack()?, device.clone());
        let target_view = target_view.map(Rendering::pack).transpose()?;
        Ok(Loaded::later(move || {
            let target_view = target_view.map(|view| view.on(&device));
            MimBatch { images: images.on(&device), target_view, mask, labels }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sample::Image;
    use crate::data::{Loader, LoaderConfig};
    use crate::grid::Grid;
    use crate::mask::{RandomMask, UnitMask};
    use crate::test_device;
    use burn::data::dataset::InMemDataset;

    const SHAPE: ImageShape = ImageShape::new(2, 8, 12);

    fn statistics(mean: f32) -> ChannelStatistics {
        ChannelStatistics { mean: vec![mean; 2], std: vec![0.5; 2] }
    }

    fn collate() -> MimCollate {
        collate_with(Augmentation::none())
    }

    fn collate_with(augmentation: Augmentation) -> MimCollate {
        masked(augmentation, Arc::new(RandomMask::mae(Grid::new(2, 3), 0.5).unwrap()))
    }

    fn masked(augmentation: Augmentation, mask: Arc<dyn MaskStrategy>) -> MimCollate {
        MimCollate::new(SHAPE, &statistics(0.5), augmentation, mask).unwrap()
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
        let collate = collate_with(augmentation);
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
    fn other_cells_than_the_hidden_ones_may_be_asked_for() {
        let hidden = first_batch(collate()).mask;
        let asked = |asked| {
            let mask = first_batch(collate().with_asked(asked).unwrap()).mask;
            assert_eq!(mask.samples(), hidden.samples());
            mask.at(mask.grid()).asked.count()
        };
        let cells = hidden.grid().cells();
        assert_eq!(asked(AskedConfig::Hidden {}), hidden.samples()[0].hidden());
        assert_eq!(asked(AskedConfig::All {}), cells);
        assert_eq!(asked(AskedConfig::Part { share: 1.0 / cells as f64 }), 1);
        assert!(collate().with_asked(AskedConfig::Part { share: 1.0 }).is_err());
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
        let collate = masked(Augmentation::none(), Arc::new(Liar));
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

        fn for_batch(&self, rng: &mut dyn rand::Rng) -> Option<Arc<dyn MaskStrategy>> {
            let hidden = if rng.next_u64().is_multiple_of(2) { 2 } else { 4 };
            Some(Arc::new(RandomMask::new(self.grid(), hidden).unwrap()))
        }
    }

    #[test]
    fn the_number_of_hidden_units_may_differ_by_batch_and_is_the_same_within_one() {
        let collate = masked(Augmentation::none(), Arc::new(TwoOrFour));
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

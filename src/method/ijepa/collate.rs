//! Batches of images with a context and target blocks each.

use burn::tensor::Device;

use super::IJepaBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Collate, Item, Loaded, Preprocess, Sample};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::mask::{KnownGrids, MultiBlock};
use crate::rng::Purpose;

/// Crops and normalizes samples, and draws their contexts and target blocks, which are as large in
/// all images of a batch.
#[derive(Debug, Clone)]
pub struct IJepaCollate {
    preprocess: Preprocess,
    blocks: MultiBlock,
    grids: KnownGrids,
}

impl IJepaCollate {
    /// Batches of images of `shape`, normalized by `statistics` and augmented by `augmentation`, with
    /// the blocks that `blocks` draws.
    ///
    /// # Errors
    ///
    /// When the statistics are not of the image's channels, or a range of the augmentation is broken.
    pub fn new(
        shape: ImageShape,
        statistics: &ChannelStatistics,
        augmentation: Augmentation,
        blocks: MultiBlock,
    ) -> Result<Self> {
        let preprocess = Preprocess::new(shape, statistics, augmentation)?;
        Ok(Self { preprocess, blocks, grids: KnownGrids::default() })
    }
}

impl Collate for IJepaCollate {
    type Sample = Sample;
    type Batch = IJepaBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<IJepaBatch> {
        self.load(items, device).map(Loaded::finish)
    }

    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<Loaded<IJepaBatch>> {
        let mut images = self.preprocess.batch(items.len());
        let mut blocks = None;
        for item in items {
            let item = item?;
            let (transform, _) = self.preprocess.draw(&item);
            images.push(&item, &transform)?;
            // The batch uses the stream of its first sample.
            let of_batch = || self.blocks.for_batch(&mut item.stream(Purpose::BatchMask));
            blocks.get_or_insert_with(of_batch).draw(&mut item.stream(Purpose::Mask));
        }
        let blocks = blocks.ok_or_else(|| Error::config("a batch needs at least one image"))?;
        let masks = blocks.masks(device)?.prepared(&self.grids);
        let (images, device) = (images.pack()?, device.clone());
        Ok(Loaded::later(move || IJepaBatch { images: images.on(&device), masks }))
    }
}

//! Two views of every sample.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use rand::Rng;

use super::RefineBatch;
use crate::data::augment::Augmentation;
use crate::data::{BatchMasks, ChannelStatistics, Collate, Item, Loaded, Preprocess, Sample};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::mask::{KnownGrids, Mask, MaskStrategy};
use crate::rng::Purpose;

/// Augments each sample twice, independently, and masks both views if it is told to.
///
/// The first view of a sample is what every other collate makes of it; the second has a stream of
/// random numbers of its own.
#[derive(Debug, Clone)]
pub struct RefineCollate {
    preprocess: Preprocess,
    mask: Option<Arc<dyn MaskStrategy>>,
    grids: KnownGrids,
}

impl RefineCollate {
    /// Batches of images of `shape`, normalized by `statistics`, augmented by `augmentation` and
    /// masked by `mask`.
    ///
    /// # Errors
    ///
    /// When the statistics are not of the image's channels, or a range of the augmentation is broken.
    pub fn new(
        shape: ImageShape,
        statistics: &ChannelStatistics,
        augmentation: Augmentation,
        mask: Option<Arc<dyn MaskStrategy>>,
    ) -> Result<Self> {
        let preprocess = Preprocess::new(shape, statistics, augmentation)?;
        Ok(Self { preprocess, mask, grids: KnownGrids::default() })
    }
}

impl Collate for RefineCollate {
    type Sample = Sample;
    type Batch = RefineBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<RefineBatch> {
        self.load(items, device).map(Loaded::finish)
    }

    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<Loaded<RefineBatch>> {
        let batch = items.len();
        let [mut first, mut second] = [(); 2].map(|()| self.preprocess.batch(batch));
        let mut masks = [(); 2].map(|()| Vec::with_capacity(batch));
        let mut drawn = self.mask.as_deref().map(BatchMasks::new);
        for item in items {
            let item = item?;
            let (transform, _) = self.preprocess.draw(&item);
            first.push(&item, &transform)?;
            let (transform, mut rng) = self.preprocess.draw_second(&item);
            second.push(&item, &transform)?;
            let Some(drawn) = &mut drawn else { continue };
            let own: [&mut dyn Rng; 2] = [&mut item.stream(Purpose::Mask), &mut rng];
            for (masks, rng) in masks.iter_mut().zip(own) {
                masks.push(drawn.draw(&item, rng)?);
            }
        }
        let masks = masks.concat();
        let mask = match masks.is_empty() {
            true => None,
            false => Some(Mask::new(masks, device)?.prepared(&self.grids)),
        };
        let (first, second, device) = (first.pack()?, second.pack()?, device.clone());
        Ok(Loaded::later(move || {
            let views = Tensor::cat(vec![first.on(&device), second.on(&device)], 0);
            RefineBatch { views, mask }
        }))
    }
}

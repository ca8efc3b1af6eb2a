//! Samples into batches of Image GPT.

use std::sync::Arc;

use burn::tensor::Device;

use crate::data::augment::Augmentation;
use crate::data::{Collate, Item, Loaded, Preprocess, Sample};
use crate::error::Result;
use crate::image::ChannelStatistics;
use crate::mask::{KnownGrids, Mask, MaskStrategy};
use crate::method::{ImageGptBatch, ImageGptConfig};
use crate::rng::Purpose;

/// Augments samples, keeps their pixels in [0, 1] for the palette, and draws the BERT objective's
/// masks.
#[derive(Debug, Clone)]
pub struct ImageGptCollate {
    preprocess: Preprocess,
    mask: Option<Arc<dyn MaskStrategy>>,
    grids: KnownGrids,
}

impl ImageGptCollate {
    /// Batches for the model of `config`, augmented by `augmentation`.
    ///
    /// # Errors
    ///
    /// When the configuration or a range of the augmentation is broken.
    pub fn new(config: &ImageGptConfig, augmentation: Augmentation) -> Result<Self> {
        config.validate()?;
        let image = config.encoder.image;
        let preprocess =
            Preprocess::new(image, &ChannelStatistics::none(image.channels), augmentation)?;
        Ok(Self { preprocess, mask: config.mask()?, grids: KnownGrids::default() })
    }
}

impl Collate for ImageGptCollate {
    type Sample = Sample;
    type Batch = ImageGptBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<ImageGptBatch> {
        self.load(items, device).map(Loaded::finish)
    }

    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<Loaded<ImageGptBatch>> {
        let mut images = self.preprocess.batch(items.len());
        let mut masks = Vec::new();
        for item in items {
            let item = item?;
            images.push(&item, &self.preprocess.draw(&item).0)?;
            masks.extend(
                self.mask.as_ref().map(|mask| mask.sample(&mut item.stream(Purpose::Mask))),
            );
        }
        let mask = match masks.is_empty() {
            true => None,
            false => Some(Mask::new(masks, device)?.prepared(&self.grids)),
        };
        let (images, device) = (images.pack()?, device.clone());
        Ok(Loaded::later(move || ImageGptBatch { images: images.on(&device), mask }))
    }
}

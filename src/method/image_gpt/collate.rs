//! Samples into batches of Image GPT.

use std::sync::Arc;

use burn::tensor::Device;

use crate::data::Rendering;
use crate::data::augment::{Augmentation, Normalization, View};
use crate::data::{Collate, Item, Sample};
use crate::error::Result;
use crate::image::ChannelStatistics;
use crate::mask::{KnownGrids, Mask, MaskStrategy};
use crate::method::{ImageGptBatch, ImageGptConfig};
use crate::rng::Purpose;

/// Augments samples, keeps their pixels in [0, 1] for the palette, and draws the BERT objective's
/// masks.
#[derive(Debug, Clone)]
pub struct ImageGptCollate {
    view: View,
    normalization: Normalization,
    augmentation: Augmentation,
    mask: Option<Arc<dyn MaskStrategy>>,
    grids: KnownGrids,
}

impl ImageGptCollate {
    /// Batches for the model of `config`, not augmented.
    ///
    /// # Errors
    ///
    /// When the configuration is broken.
    pub fn new(config: &ImageGptConfig) -> Result<Self> {
        config.validate()?;
        let image = config.encoder.image;
        Ok(Self {
            view: View::new(image)?,
            normalization: Normalization::new(&ChannelStatistics::none(image.channels))?,
            augmentation: Augmentation::none(),
            mask: config.mask()?.map(Arc::from),
            grids: KnownGrids::default(),
        })
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

impl Collate for ImageGptCollate {
    type Sample = Sample;
    type Batch = ImageGptBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<ImageGptBatch> {
        let mut images = Rendering::new(&self.view, &self.normalization, items.len());
        let mut masks = Vec::new();
        for item in items {
            let item = item?;
            let mut rng = item.stream(Purpose::Augmentation);
            let transform = self.augmentation.sample(item.sample.image.shape(), &mut rng);
            images.push(&item, &transform)?;
            masks.extend(
                self.mask.as_ref().map(|mask| mask.sample(&mut item.stream(Purpose::Mask))),
            );
        }
        let mask = match masks.is_empty() {
            true => None,
            false => Some(Mask::new(masks, device)?.prepared(&self.grids)),
        };
        Ok(ImageGptBatch { images: images.finish(device), mask })
    }
}

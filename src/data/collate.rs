//! Samples into batches of masked image modelling: the only place where masks are drawn.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::batch::MimBatch;
use crate::data::augment::{Augmentation, Normalization, Scratch, View};
use crate::data::loader::{Collate, Item};
use crate::data::sample::ChannelStatistics;
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::mask::{Mask, MaskStrategy};
use crate::rng::Purpose;

/// Augments, normalises and masks samples.
#[derive(Debug, Clone)]
pub struct MimCollate {
    view: View,
    augmentation: Augmentation,
    normalization: Normalization,
    mask: Arc<dyn MaskStrategy>,
}

impl MimCollate {
    /// Batches of images of `shape`, normalised by `statistics`, masked by `mask`, and not
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
        let (grid, normalization) = (mask.grid(), Normalization::new(statistics)?);
        if grid.rows == 0 || shape.grid(shape.height / grid.rows.max(1)).ok() != Some(grid) {
            return Err(Error::config(format!(
                "a mask of {grid} units does not fit images of {}×{} pixels",
                shape.height, shape.width
            )));
        }
        if normalization.channels() != shape.channels {
            return Err(Error::config(format!(
                "images of {} channels cannot be normalised with statistics of {}",
                shape.channels,
                normalization.channels()
            )));
        }
        let (view, augmentation) = (View::new(shape)?, Augmentation::none());
        Ok(Self { view, augmentation, normalization, mask })
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

impl Collate for MimCollate {
    type Batch = MimBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<MimBatch> {
        let (batch, shape) = (items.len(), self.view.shape());
        let mut scratch = Scratch::default();
        let mut pixels = vec![0; shape.values()];
        let mut images = vec![0.0; batch * shape.values()];
        let (mut masks, mut labels) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
        for (item, out) in items.zip(images.chunks_exact_mut(shape.values())) {
            let item = item?;
            let mut rng = item.stream(Purpose::Augmentation);
            let transform = self.augmentation.sample(item.sample.image.shape(), &mut rng);
            self.view
                .render(&item.sample.image, &transform, &mut scratch, &mut pixels)
                .map_err(|error| Error::data(format!("sample {}", item.index), error))?;
            self.normalization.write(&pixels, out);
            masks.push(self.mask.sample(&mut item.stream(Purpose::Mask)));
            labels.extend(item.sample.label.map(|label| label as i64));
        }
        let ImageShape { channels, height, width } = shape;
        let images = TensorData::new(images, [batch, channels, height, width]);
        let labels = (labels.len() == batch)
            .then(|| Tensor::from_data(TensorData::new(labels, [batch]), device));
        let images = Tensor::from_data(images, device);
        Ok(MimBatch { images, target_view: None, mask: Mask::new(masks, device)?, labels })
    }
}

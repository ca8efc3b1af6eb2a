//! Samples into batches of MILAN.

use burn::tensor::{Device, Tensor, TensorData};

use super::MilanBatch;
use crate::data::{Collate, Item, Loaded, MimCollate, Sample};
use crate::error::Result;
use crate::method::tokenizers::gumbel_noise;
use crate::rng::Purpose;

/// Augments, normalizes and masks samples, and draws what semantic masks need.
#[derive(Debug, Clone)]
pub struct MilanCollate {
    images: MimCollate,
    /// Cells that noise is drawn for; 0 for none.
    cells: usize,
}

impl MilanCollate {
    /// The batches of `images`, with Gumbel noise for each of `cells` cells, or without where there are
    /// none.
    pub fn new(images: MimCollate, cells: usize) -> Self {
        Self { images, cells }
    }
}

impl Collate for MilanCollate {
    type Sample = Sample;
    type Batch = MilanBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<MilanBatch> {
        self.load(items, device).map(Loaded::finish)
    }

    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<Loaded<MilanBatch>> {
        let (batch, cells) = (items.len(), self.cells);
        let mut noise = Vec::with_capacity(batch * cells);
        let mut drawn = items.inspect(|item| {
            // The semantic mask is drawn by the numbers of the sample's mask.
            let draws =
                item.iter().flat_map(|item| gumbel_noise(item.stream(Purpose::Mask)).take(cells));
            noise.extend(draws);
        });
        let images = self.images.load(&mut drawn, device)?;
        let noise =
            (cells > 0).then(|| Tensor::from_data(TensorData::new(noise, [batch, cells]), device));
        Ok(Loaded::later(move || MilanBatch { images: images.finish(), noise }))
    }
}

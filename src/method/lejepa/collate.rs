//! Views of every sample, and directions for all of them.

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use super::LeJepaBatch;
use crate::data::{Collate, Item, Loaded, MimCollate, Sample};
use crate::error::{Error, Result};
use crate::rng::Purpose;

/// Crops each sample twice and masks each crop several times, and draws the directions of a batch.
#[derive(Debug, Clone)]
pub struct LeJepaCollate {
    crops: MimCollate,
    directions: [usize; 2],
}

impl LeJepaCollate {
    /// The batches of `images`, with a second view of every image, and with `slices` directions of
    /// `embedding` features.
    pub fn new(images: MimCollate, embedding: usize, slices: usize) -> Self {
        Self { crops: images.with_second_views(), directions: [embedding, slices] }
    }
}

impl Collate for LeJepaCollate {
    type Sample = Sample;
    type Batch = LeJepaBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<LeJepaBatch> {
        self.load(items, device).map(Loaded::finish)
    }

    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<Loaded<LeJepaBatch>> {
        let mut directions = None;
        let mut items = items.inspect(|item| {
            if let (Ok(item), None) = (item, &directions) {
                // The batch uses the stream of its first sample.
                let draws = StandardNormal.sample_iter(item.stream(Purpose::Directions));
                let values: Vec<f32> = draws.take(self.directions.iter().product()).collect();
                directions = Some(TensorData::new(values, self.directions));
            }
        });
        let crops = self.crops.load(&mut items, device)?;
        let directions =
            directions.ok_or_else(|| Error::config("a batch needs at least one image"))?;
        let directions = Tensor::from_data(directions, device);
        Ok(Loaded::later(move || LeJepaBatch { crops: crops.finish(), directions }))
    }
}

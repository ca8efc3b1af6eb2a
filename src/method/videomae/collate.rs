//! Samples into batches of clips.

use burn::tensor::Device;

use super::VideoMaeConfig;
use crate::batch::ClipBatch;
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Collate, Item, MimCollate, Sample};
use crate::error::Result;
use crate::image::unstack_frames;

/// Draws the frames of each clip, crops and flips all of them alike, normalizes and masks them.
#[derive(Debug, Clone)]
pub struct ClipCollate {
    stacked: MimCollate,
    frames: usize,
}

impl ClipCollate {
    /// Batches for the model of `config`, of clips normalized by `statistics` and augmented by
    /// `augmentation`.
    ///
    /// # Errors
    ///
    /// As [`MimCollate::new`] and [`VideoMaeConfig::mask`].
    pub fn new(
        config: &VideoMaeConfig,
        statistics: &ChannelStatistics,
        augmentation: Augmentation,
    ) -> Result<Self> {
        let encoder = &config.encoder;
        let stacked = MimCollate::new(encoder.image(), statistics, augmentation, config.mask()?)?;
        Ok(Self { stacked, frames: encoder.clip.frames })
    }
}

impl Collate for ClipCollate {
    type Sample = Sample;
    type Batch = ClipBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<ClipBatch> {
        let batch = self.stacked.collate(items, device)?;
        Ok(ClipBatch::new(unstack_frames(batch.images, self.frames), batch.mask))
    }
}

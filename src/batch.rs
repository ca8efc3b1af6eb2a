//! Batches, which the loader fills and which targets and tasks read.

use burn::tensor::{Device, Int, Tensor};

use crate::error::Result;
use crate::mask::Mask;

/// A batch of normalized images with their masks.
#[derive(Debug, Clone)]
pub struct MimBatch {
    /// `[batch, channels, height, width]`, normalized per channel.
    pub images: Tensor<4>,
    /// A second view of the same crops, at the size and normalization the target reads (a
    /// tokenizer or a teacher), or another view of the images; `None` where the target reads `images`.
    pub target_view: Option<Tensor<4>>,
    /// The masks: one for each image, or the same number for each, those of an image side by side.
    pub mask: Mask,
    /// Classes, `[batch]`; never read in pre-training.
    pub labels: Option<Tensor<1, Int>>,
}

impl MimBatch {
    /// A batch of images and masks alone.
    pub fn new(images: Tensor<4>, mask: Mask) -> Self {
        Self { images, target_view: None, mask, labels: None }
    }

    /// Samples in the batch.
    pub fn size(&self) -> usize {
        self.images.dims()[0]
    }

    /// How many masks each image has.
    ///
    /// # Panics
    ///
    /// When not every image has as many.
    pub fn masks_per_image(&self) -> usize {
        let (masks, images) = (self.mask.samples().len(), self.size());
        assert!(
            masks.is_multiple_of(images),
            "{masks} masks cannot be the same number for each of {images} images"
        );
        masks / images
    }

    /// The rows of the images once for each of their masks.
    ///
    /// # Shapes
    ///
    /// - rows: `[images, ..]`
    /// - output: `[masks, ..]`
    ///
    /// # Panics
    ///
    /// When not every image has as many masks.
    pub fn for_each_mask<const D: usize>(&self, rows: Tensor<D>) -> Tensor<D> {
        let (masks, mut shape) = (self.masks_per_image(), rows.dims());
        if masks == 1 {
            return rows;
        }
        let values: usize = shape[1..].iter().product();
        let images = shape[0];
        shape[0] = images * masks;
        rows.reshape([images, 1, values]).expand([images, masks, values]).reshape(shape)
    }

    /// The first `count` samples, or all where there are fewer.
    ///
    /// # Errors
    ///
    /// When `count` is 0.
    pub fn first(self, count: usize) -> Result<Self> {
        let count = count.min(self.size());
        let masks = count * self.masks_per_image();
        let mask = self.mask.first(masks, &self.images.device())?;
        Ok(Self {
            images: self.images.slice_dim(0, 0..count),
            target_view: self.target_view.map(|view| view.slice_dim(0, 0..count)),
            mask,
            labels: self.labels.map(|labels| labels.slice_dim(0, 0..count)),
        })
    }

    /// The same batch on another device.
    pub fn to_device(self, device: &Device) -> Self {
        Self {
            images: self.images.to_device(device),
            target_view: self.target_view.map(|view| view.to_device(device)),
            mask: self.mask.to_device(device),
            labels: self.labels.map(|labels| labels.to_device(device)),
        }
    }
}

/// A batch of normalized clips with their masks.
#[derive(Debug, Clone)]
pub struct ClipBatch {
    /// `[batch, channels, frames, height, width]`, normalized per channel.
    pub clips: Tensor<5>,
    /// The masks, one for each clip, of a [`ClipGrid::flat`](crate::grid::ClipGrid::flat).
    pub mask: Mask,
}

impl ClipBatch {
    /// A batch of clips and masks.
    pub fn new(clips: Tensor<5>, mask: Mask) -> Self {
        Self { clips, mask }
    }
}

/// A batch of images to train a tokenizer on.
#[derive(Debug, Clone)]
pub struct TokenizerBatch {
    /// `[batch, channels, height, width]` in [0, 1].
    pub images: Tensor<4>,
    /// Gumbel noise for each token of each cell, `[batch, cells, vocabulary]`; `None` for tokenizers
    /// that need none, and in validation.
    pub noise: Option<Tensor<3>>,
}

/// Normalized clean images, and the corrupted images that a restoration model reads.
#[derive(Debug, Clone)]
pub struct RestorationBatch {
    /// `[batch, channels, height, width]`.
    pub corrupted: Tensor<4>,
    /// `[batch, channels, height, width]`.
    pub clean: Tensor<4>,
    /// The number of the corruption that all images of the batch have.
    pub corruption: usize,
}

//! A view for the student, and a shifted one for its teacher.

use std::sync::Arc;

use burn::tensor::Device;
use rand::{Rng, RngExt};

use crate::batch::MimBatch;
use crate::data::augment::{Augmentation, Frame, Transform};
use crate::data::{BatchMasks, ChannelStatistics, Collate, Item, Loaded, Preprocess, Sample};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::mask::{KnownGrids, Mask, MaskStrategy};
use crate::rng::Purpose;

/// Crops, mirrors and masks samples as MAE's collate does; the target view of a batch shows the same
/// crops moved by a few pixels (§3.2, "pixel shifting"), and it alone has other colors.
#[derive(Debug, Clone)]
pub struct CmaeCollate {
    preprocess: Preprocess,
    mask: Arc<dyn MaskStrategy>,
    grids: KnownGrids,
    shift: usize,
}

impl CmaeCollate {
    /// Batches of images of `shape`, normalized by `statistics`, augmented by `augmentation`, masked
    /// by `mask`, and shifted by up to `shift` pixels of the model's.
    ///
    /// # Errors
    ///
    /// When the statistics are not of the image's channels, or a range of the augmentation is broken.
    pub fn new(
        shape: ImageShape,
        statistics: &ChannelStatistics,
        augmentation: Augmentation,
        mask: Arc<dyn MaskStrategy>,
        shift: usize,
    ) -> Result<Self> {
        let preprocess = Preprocess::new(shape, statistics, augmentation)?;
        Ok(Self { preprocess, mask, grids: KnownGrids::default(), shift })
    }

    /// What the teacher sees of an image: the crop of `transform`, moved as far as the image allows.
    /// What is not cropped does not move.
    fn shifted(&self, transform: Transform, image: ImageShape, rng: &mut dyn Rng) -> Transform {
        let Frame::Crop(mut crop) = transform.frame else { return transform };
        let view = self.preprocess.shape();
        let mut moved = |start: usize, length: usize, sides: [usize; 2]| {
            let [side, whole] = sides;
            let most = self.shift * length / side;
            let shift = rng.random_range(0..=2 * most);
            (start + shift).saturating_sub(most).min(whole - length)
        };
        crop.top = moved(crop.top, crop.height, [view.height, image.height]);
        crop.left = moved(crop.left, crop.width, [view.width, image.width]);
        Transform { frame: Frame::Crop(crop), ..transform }
    }
}

impl Collate for CmaeCollate {
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
        let batch = items.len();
        let [mut images, mut views] = [(); 2].map(|()| self.preprocess.batch(batch));
        let mut masks = Vec::with_capacity(batch);
        let mut drawn = BatchMasks::new(&*self.mask);
        for item in items {
            let item = item?;
            let (transform, _) = self.preprocess.draw(&item);
            let mut rng = item.stream(Purpose::SecondView);
            let shifted = self.shifted(transform, item.sample.image.frame_shape(), &mut rng);
            let Transform { frame, flipped, time, .. } = transform;
            let plain = Transform { flipped, time, ..Transform::of(frame) };
            images.push(&item, &plain)?;
            views.push(&item, &shifted)?;
            masks.push(drawn.draw(&item, &mut item.stream(Purpose::Mask))?);
        }
        let mask = Mask::new(masks, device)?.prepared(&self.grids);
        let (images, views, device) = (images.pack()?, views.pack()?, device.clone());
        Ok(Loaded::later(move || {
            let target_view = Some(views.on(&device));
            MimBatch { target_view, ..MimBatch::new(images.on(&device), mask) }
        }))
    }
}

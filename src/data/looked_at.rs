//! Batches of images that are only looked at, each with its place in the data set.

use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::{Device, Tensor};

use super::augment::EvalView;
use super::loaded::Loaded;
use super::loader::{Collate, Item, Loader, LoaderConfig};
use super::options::OnBadImage;
use super::preprocess::Preprocess;
use super::sample::{ImageDataset, Sample, data_error};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;

/// A batch of images that are only looked at.
#[derive(Debug, Clone)]
pub struct ImageBatch {
    /// `[images, channels, height, width]`, normalized; `None` if none of the batch could be read.
    pub images: Option<Tensor<4>>,
    /// The place of each in the data set.
    pub places: Vec<usize>,
    /// The label of each, where it has one.
    pub labels: Vec<Option<usize>>,
    /// The faults of the images that could not be read and are left out.
    pub faults: Vec<String>,
}

/// Makes batches of images of one shape, framed as evaluation frames them.
#[derive(Debug, Clone)]
pub struct ImageCollate {
    preprocess: Preprocess,
    framing: EvalView,
}

impl ImageCollate {
    /// Images of `shape` framed by `framing` and normalized by `statistics`.
    ///
    /// # Errors
    ///
    /// When the shape holds no pixels, or the statistics are for another number of channels.
    pub fn new(
        shape: ImageShape,
        framing: EvalView,
        statistics: &ChannelStatistics,
    ) -> Result<Self> {
        let preprocess = Preprocess::plain(shape, statistics, framing.interpolation)?;
        Ok(Self { preprocess, framing })
    }

    /// A loader of all `images` in their order, gray or color as the shape has it. What cannot be
    /// read is an error, or is left out of its batch, as `on_bad_image` says.
    ///
    /// # Errors
    ///
    /// As [`Loader::new`].
    pub fn loader(
        self,
        images: Arc<dyn ImageDataset>,
        on_bad_image: OnBadImage,
        [batch_size, workers]: [usize; 2],
        device: &Device,
    ) -> Result<Loader<Self>> {
        let config = LoaderConfig { batch_size, seed: 0, workers, training: false };
        let channels = self.preprocess.shape().channels;
        Loader::new(Arc::new(LookedAt { images, channels, on_bad_image }), self, config, device)
    }
}

impl Collate for ImageCollate {
    type Sample = Result<Sample, String>;
    type Batch = ImageBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item<Self::Sample>>>,
        device: &Device,
    ) -> Result<ImageBatch> {
        self.load(items, device).map(Loaded::finish)
    }

    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item<Self::Sample>>>,
        device: &Device,
    ) -> Result<Loaded<ImageBatch>> {
        let mut images = self.preprocess.batch(items.len());
        let (mut places, mut labels, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            let item = item?;
            let sample = match &item.sample {
                Ok(sample) => sample,
                Err(fault) => {
                    faults.push(fault.clone());
                    continue;
                }
            };
            let transform = self.framing.transform(sample.image.shape());
            images.add((item.index, item.threads), &sample.image, &transform)?;
            places.push(item.index);
            labels.push(sample.label);
        }
        let images = (!places.is_empty()).then(|| images.pack()).transpose()?;
        let device = device.clone();
        Ok(Loaded::later(move || {
            let images = images.map(|images| images.on(&device));
            ImageBatch { images, places, labels, faults }
        }))
    }
}

/// Images brought to one number of channels; one that cannot be read is a fault, not an error,
/// where it may be left out.
struct LookedAt {
    images: Arc<dyn ImageDataset>,
    channels: usize,
    on_bad_image: OnBadImage,
}

impl LookedAt {
    fn read(&self, index: usize) -> Result<Result<Sample, String>> {
        let Sample { image, label } = match self.images.get(index) {
            Ok(sample) => sample,
            Err(error) => {
                let error = data_error(index, error);
                return match self.on_bad_image {
                    OnBadImage::Skip => Ok(Err(error.to_string())),
                    OnBadImage::Error => Err(error),
                };
            }
        };
        let fault = |error: Error| match error {
            Error::Config(reason) => Error::data(self.images.name(index), reason),
            other => other,
        };
        Ok(Ok(Sample { image: image.with_channels(self.channels).map_err(fault)?, label }))
    }
}

impl Dataset<Result<Sample, String>> for LookedAt {
    fn get(&self, index: usize) -> Result<Result<Sample, String>, DatasetError> {
        self.read(index).map_err(DatasetError::new)
    }

    fn len(&self) -> usize {
        self.images.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::augment::Framing;
    use crate::data::sample::Image;
    use crate::test_device;

    /// Images of one value each; every third cannot be read.
    struct Thirds;

    impl Dataset<Sample> for Thirds {
        fn get(&self, index: usize) -> Result<Sample, DatasetError> {
            if index % 3 == 2 {
                return Err(DatasetError::new(Error::data(format!("{index}.png"), "is cut")));
            }
            let shape = ImageShape::new(1, 2, 4);
            let image = Image::new(shape, vec![51 * index as u8; 8]).map_err(DatasetError::new)?;
            Ok(Sample { image, label: None })
        }

        fn len(&self) -> usize {
            6
        }
    }

    impl ImageDataset for Thirds {}

    fn batches(batch_size: usize, on_bad_image: OnBadImage) -> Vec<Result<ImageBatch>> {
        let framing = EvalView { framing: Framing::Whole, ..EvalView::default() };
        let shape = ImageShape::square(3, 2);
        let collate = ImageCollate::new(shape, framing, &ChannelStatistics::none(3)).unwrap();
        let size = [batch_size, 1];
        let loader = collate.loader(Arc::new(Thirds), on_bad_image, size, &test_device());
        loader.unwrap().epoch(0, 0).collect()
    }

    #[test]
    fn images_keep_their_places_where_others_are_left_out() {
        let whole: Vec<_> = batches(4, OnBadImage::Skip).into_iter().map(Result::unwrap).collect();
        assert_eq!(whole[0].places, [0, 1, 3]);
        assert_eq!(whole[0].faults, ["2.png: is cut"]);
        let values: Vec<f32> = whole[0].images.clone().unwrap().into_data().iter().collect();
        // Gray is repeated three times, and the whole width is shown.
        assert_eq!(values.chunks(12).map(|image| image[0]).collect::<Vec<_>>(), [0.0, 0.2, 0.6]);
        assert!(values.chunks(12).all(|image| image.iter().all(|value| *value == image[0])));
        // A batch of nothing but bad images is no error.
        let single = batches(1, OnBadImage::Skip).remove(2).unwrap();
        assert!(single.images.is_none() && single.places.is_empty());
    }

    #[test]
    fn a_bad_image_is_an_error_that_names_it_unless_it_may_be_left_out() {
        let message = batches(4, OnBadImage::Error).remove(0).unwrap_err().to_string();
        assert_eq!(message, "2.png: is cut");
    }
}

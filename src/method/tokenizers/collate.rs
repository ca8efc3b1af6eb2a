//! Samples into batches to train a tokenizer on.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::{Distribution, Gumbel};

use crate::batch::TokenizerBatch;
use crate::data::augment::{Augmentation, Interpolation};
use crate::data::{Collate, Item, Loaded, Preprocess, Sample};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;
use crate::rng::Purpose;

/// Gumbel noise of the largest number below 1 is 16.6; of 1 itself, which is drawn once in 2²⁴ times,
/// it is infinite.
const LARGEST_NOISE: f32 = 17.0;

/// Endless Gumbel noise: of several scores, the one that is largest with it is each with the probability
/// of its softmax.
pub(in crate::method) fn gumbel_noise(rng: impl Rng) -> impl Iterator<Item = f32> {
    let gumbel = Gumbel::new(0.0f32, 1.0).expect("a scale above 0");
    gumbel.sample_iter(rng).map(|draw| draw.min(LARGEST_NOISE))
}

/// Augments samples, keeps their pixels in [0, 1], and draws what a relaxed choice of tokens needs.
#[derive(Debug, Clone)]
pub struct TokenizerCollate {
    preprocess: Preprocess,
    noise: Option<[usize; 2]>,
}

impl TokenizerCollate {
    /// Batches of images of `shape`, augmented by `augmentation` but always resized as the second
    /// view of BEiT's batches is (Lanczos), and without noise.
    ///
    /// # Errors
    ///
    /// When the shape holds no pixels, or a range of the augmentation is broken.
    pub fn new(shape: ImageShape, augmentation: Augmentation) -> Result<Self> {
        let augmentation = Augmentation { interpolation: Interpolation::Lanczos, ..augmentation };
        let pixels = ChannelStatistics::none(shape.channels);
        Ok(Self { preprocess: Preprocess::new(shape, &pixels, augmentation)?, noise: None })
    }

    /// The same batches with Gumbel noise for each of `vocabulary` tokens of each of `cells`.
    pub fn with_noise(mut self, cells: usize, vocabulary: usize) -> Self {
        self.noise = Some([cells, vocabulary]);
        self
    }
}

impl Collate for TokenizerCollate {
    type Sample = Sample;
    type Batch = TokenizerBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<TokenizerBatch> {
        self.load(items, device).map(Loaded::finish)
    }

    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<Loaded<TokenizerBatch>> {
        let batch = items.len();
        let mut images = self.preprocess.batch(batch);
        let [cells, vocabulary] = self.noise.unwrap_or_default();
        let mut noise = Vec::with_capacity(batch * cells * vocabulary);
        for item in items {
            let item = item?;
            images.push(&item, &self.preprocess.draw(&item).0)?;
            noise.extend(gumbel_noise(item.stream(Purpose::Tokens)).take(cells * vocabulary));
        }
        let noise = self.noise.map(|_| TensorData::new(noise, [batch, cells, vocabulary]));
        let noise = noise.map(|noise| Tensor::from_data(noise, device));
        let (images, device) = (images.pack()?, device.clone());
        Ok(Loaded::later(move || TokenizerBatch { images: images.on(&device), noise }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::MemoryDataset;
    use crate::data::{Loader, LoaderConfig};
    use crate::test_device;
    use std::sync::Arc;

    fn first_batch(collate: TokenizerCollate, seed: u64) -> TokenizerBatch {
        let shape = ImageShape::new(1, 2, 2);
        let pixels = [0_u8, 51, 102, 255].repeat(2);
        let dataset = Arc::new(MemoryDataset::new(shape, pixels, None).unwrap());
        let config = LoaderConfig { batch_size: 2, seed, workers: 0, training: true };
        let loader = Loader::new(dataset, collate, config, &test_device()).unwrap();
        loader.epoch(0, 0).next().unwrap().unwrap()
    }

    fn collate() -> TokenizerCollate {
        TokenizerCollate::new(ImageShape::new(1, 2, 2), Augmentation::none()).unwrap()
    }

    #[test]
    fn pixels_stay_between_black_and_white() {
        let batch = first_batch(collate(), 0);
        let pixels: Vec<f32> = batch.images.into_data().try_to_vec().unwrap();
        assert_eq!(pixels, [0.0, 0.2, 0.4, 1.0].repeat(2));
        assert!(batch.noise.is_none());
    }

    #[test]
    fn noise_is_gumbel_and_depends_on_the_seed_and_the_sample_alone() {
        let noise = |seed| {
            let noise = first_batch(collate().with_noise(4, 4096), seed).noise.unwrap();
            assert_eq!(noise.dims(), [2, 4, 4096]);
            noise.into_data().try_to_vec::<f32>().unwrap()
        };
        let values = noise(1);
        assert_eq!(values, noise(1));
        assert_ne!(values, noise(2));
        assert_ne!(values[..4096], values[4 * 4096..5 * 4096]);
        // The mean is Euler's constant, the variance π² / 6.
        let count = values.len() as f32;
        let mean = values.iter().sum::<f32>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count;
        assert!((mean - 0.5772).abs() < 0.03, "{mean}");
        assert!((variance - 1.6449).abs() < 0.06, "{variance}");
    }
}

//! Samples into pairs of neighboring patches: context prediction.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::data::Image;
use crate::data::augment::{Augmentation, CropBox, Frame, Interpolation, Scratch, Transform, View};
use crate::data::{Collate, Item, Preprocess, Sample, images};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::image::ChannelStatistics;
use crate::method::{ColorGuard, ContextBatch, NEIGHBORS, PatchPairs};
use crate::rng::Purpose;

/// Augments images and cuts pairs of patches from them, with the guards of [`PatchPairs`].
#[derive(Debug, Clone)]
pub struct ContextCollate {
    pairs: PatchPairs,
    preprocess: Preprocess,
}

impl ContextCollate {
    /// Pairs of patches, normalized by `statistics`, of images augmented by `augmentation`.
    ///
    /// # Errors
    ///
    /// When the pairs are broken, the statistics are not of their channels, or a range of the
    /// augmentation is broken.
    pub fn new(
        pairs: &PatchPairs,
        statistics: &ChannelStatistics,
        augmentation: Augmentation,
    ) -> Result<Self> {
        pairs.validate()?;
        let preprocess = Preprocess::new(pairs.image, statistics, augmentation)?;
        Ok(Self { pairs: pairs.clone(), preprocess })
    }

    /// One patch of `image`, guarded and normalized, into `out`.
    fn write_patch(
        &self,
        image: &Image,
        place: CropBox,
        scratch: &mut Scratch,
        rng: &mut dyn Rng,
        out: &mut [f32],
    ) -> Result<()> {
        let mut patch = resized(image, place, self.pairs.patch, scratch)?;
        if let Some(side) = self.pairs.drawn_side(rng) {
            let small = resized(image, place, side, scratch)?;
            patch = resized(&small, CropBox::whole(small.shape()), self.pairs.patch, scratch)?;
        }
        if self.pairs.colors == ColorGuard::Projection {
            let mut pixels = patch.bytes()?.to_vec();
            project_colors(&mut pixels);
            patch = Image::new(patch.shape(), pixels)?;
        }
        self.preprocess.normalization.write_image(&patch, out);
        if self.pairs.colors == ColorGuard::Dropping {
            drop_colors(out, image.shape().channels, rng);
        }
        Ok(())
    }
}

impl Collate for ContextCollate {
    type Sample = Sample;
    type Batch = ContextBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<ContextBatch> {
        let (batch, shape) = (items.len(), self.pairs.shape());
        let mut scratch = Scratch::default();
        let mut patches = [0, 1].map(|_| vec![0.0; batch * shape.values()]);
        let mut positions = Vec::with_capacity(batch);
        for (index, item) in items.enumerate() {
            let item = item?;
            let mut rng = item.stream(Purpose::Augmentation);
            let image = self.preprocess.image(&item, &mut rng, &mut scratch)?;
            let (position, places) = self.pairs.draw(&mut rng);
            for (patches, place) in patches.iter_mut().zip(places) {
                let out = &mut patches[index * shape.values()..][..shape.values()];
                self.write_patch(&image, place, &mut scratch, &mut rng, out)?;
            }
            positions.push(position as i64);
        }
        let [centers, neighbors] = patches.map(|values| images(values, shape, device));
        let positions = Tensor::from_data(TensorData::new(positions, [batch]), device);
        Ok(ContextBatch { centers, neighbors, positions })
    }
}

impl PatchPairs {
    /// A neighbor's number, and the places of the patch in the middle and of the neighbor.
    ///
    /// The whole neighborhood lies in the image, so the first patch alone says nothing of which
    /// neighbor was drawn.
    fn draw(&self, rng: &mut dyn Rng) -> (usize, [CropBox; 2]) {
        let Self { image, patch, gap, jitter, .. } = *self;
        let margin = self.span() + jitter;
        let top = rng.random_range(jitter..=image.height - margin);
        let left = rng.random_range(jitter..=image.width - margin);
        let position = rng.random_range(0..NEIGHBORS);
        let center = NEIGHBORS / 2;
        let cell = position + usize::from(position >= center);
        let places = [center, cell].map(|cell| {
            let mut moved = |start: usize, cell: usize| {
                start + cell * (patch + gap) + rng.random_range(0..=2 * jitter) - jitter
            };
            let (top, left) = (moved(top, cell / 3), moved(left, cell % 3));
            CropBox { top, left, height: patch, width: patch }
        });
        (position, places)
    }

    /// The side a patch is shrunk to before it is enlarged again, if it is.
    fn drawn_side(&self, rng: &mut dyn Rng) -> Option<usize> {
        let least = (1..=self.patch).find(|side| side * side >= self.min_pixels)?;
        let shrunk = rng.random_bool(self.downsampled);
        let side = rng.random_range(least..=self.patch);
        (shrunk && side < self.patch).then_some(side)
    }
}

/// The part of `image` at `place`, at `side` × `side` pixels.
fn resized(image: &Image, place: CropBox, side: usize, scratch: &mut Scratch) -> Result<Image> {
    let shape = ImageShape::square(image.shape().channels, side);
    let view = View::new(shape)?.with_interpolation(Interpolation::Bilinear);
    view.image(image, &Transform::of(Frame::Crop(place)), scratch)
}

/// Takes from every pixel its projection on (−1, 2, −1) (arXiv 1505.05192 §3.1, "projection").
fn project_colors(pixels: &mut [u8]) {
    let area = pixels.len() / 3;
    for index in 0..area {
        let at = |channel: usize| f32::from(pixels[channel * area + index]);
        let share = (2.0 * at(1) - at(0) - at(2)) / 6.0;
        let projected = [at(0) + share, at(1) - 2.0 * share, at(2) + share];
        for (channel, value) in projected.into_iter().enumerate() {
            pixels[channel * area + index] = value.round().clamp(0.0, 255.0) as u8;
        }
    }
}

/// Keeps one channel and fills the others with noise of a hundredth of its standard deviation.
fn drop_colors(values: &mut [f32], channels: usize, rng: &mut dyn Rng) {
    if channels < 2 {
        return;
    }
    let area = values.len() / channels;
    let kept = rng.random_range(0..channels);
    let std = 0.01 * deviation(&values[kept * area..][..area]);
    for (channel, plane) in values.chunks_exact_mut(area).enumerate() {
        if channel != kept {
            plane.fill_with(|| std * Distribution::<f32>::sample(&StandardNormal, &mut *rng));
        }
    }
}

fn deviation(values: &[f32]) -> f32 {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Loader, LoaderConfig};
    use crate::rng::stream;
    use crate::test_device;
    use burn::data::dataset::InMemDataset;
    use std::sync::Arc;

    fn pairs(channels: usize) -> PatchPairs {
        PatchPairs::new(ImageShape::new(channels, 32, 40), 8, 2, 1)
            .with_colors(ColorGuard::None)
            .with_downsampled(0.0)
    }

    fn rng(seed: u64) -> impl Rng {
        stream(seed, Purpose::Augmentation, 0, 0)
    }

    #[test]
    fn every_neighbor_lies_where_its_number_says_within_gap_and_jitter() {
        let pairs = pairs(1);
        let mut seen = [false; NEIGHBORS];
        for seed in 0..500 {
            let (position, [center, other]) = pairs.draw(&mut rng(seed));
            seen[position] = true;
            let cell = position + usize::from(position >= 4);
            for (from, to, steps, size) in [
                (center.top, other.top, (cell / 3) as isize - 1, 32),
                (center.left, other.left, (cell % 3) as isize - 1, 40),
            ] {
                let moved = to as isize - from as isize - steps * 10;
                assert!(moved.abs() <= 2, "seed {seed}: {moved}");
                assert!(to + 8 <= size && from + 8 <= size);
            }
        }
        assert_eq!(seen, [true; NEIGHBORS]);
    }

    #[test]
    fn a_projected_pixel_has_nothing_of_green_against_magenta() {
        let mut pixels = vec![10, 200, 90, 40, 60, 100];
        let gray = pixels.clone();
        project_colors(&mut pixels);
        for index in 0..2 {
            let of = |pixels: &[u8]| [0, 1, 2].map(|c| i32::from(pixels[c * 2 + index]));
            let [red, green, blue] = of(&pixels);
            assert!((2 * green - red - blue).abs() <= 4, "{pixels:?}");
            let (before, after): (i32, i32) = (of(&gray).iter().sum(), of(&pixels).iter().sum());
            assert!((before - after).abs() <= 3, "brightness stays");
        }
    }

    #[test]
    fn dropping_keeps_one_channel_and_leaves_faint_noise_in_the_others() {
        let original: Vec<f32> = (0..5 * 64).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let mut kept = [0; 5];
        for seed in 0..60 {
            let mut values = original.clone();
            drop_colors(&mut values, 5, &mut rng(seed));
            let same =
                |&channel: &usize| values[channel * 64..][..64] == original[channel * 64..][..64];
            let unchanged: Vec<usize> = (0..5).filter(same).collect();
            assert_eq!(unchanged.len(), 1);
            kept[unchanged[0]] += 1;
            let noise = (0..5).filter(|channel| *channel != unchanged[0]);
            let expected = 0.01 * deviation(&original[unchanged[0] * 64..][..64]);
            noise.for_each(|channel| {
                let got = deviation(&values[channel * 64..][..64]) / expected;
                assert!((0.6..1.5).contains(&got), "{got}");
            });
        }
        assert!(kept.iter().all(|&count| count > 0), "{kept:?}");
        let mut gray = vec![0.3, -0.2];
        drop_colors(&mut gray, 1, &mut rng(0));
        assert_eq!(gray, [0.3, -0.2]);
    }

    #[test]
    fn shrinking_goes_no_further_than_the_fewest_pixels() {
        let pairs = PatchPairs::new(ImageShape::square(1, 64), 16, 2, 1)
            .with_downsampled(1.0)
            .with_min_pixels(30);
        let sides: Vec<_> = (0..300).map(|seed| pairs.drawn_side(&mut rng(seed))).collect();
        assert_eq!(sides.iter().flatten().min(), Some(&6));
        assert_eq!(sides.iter().flatten().max(), Some(&15));
        let never = pairs.with_downsampled(0.0);
        assert!((0..50).all(|seed| never.drawn_side(&mut rng(seed)).is_none()));
    }

    fn loader(pairs: &PatchPairs, workers: usize) -> Loader<ContextCollate> {
        let shape = pairs.image;
        let sample = |seed: usize| {
            let pixels = (0..shape.values()).map(|i| (i * 7 + i / 40 * 3 + seed * 11) as u8);
            Sample { image: Image::new(shape, pixels.collect()).unwrap(), label: None }
        };
        let statistics =
            ChannelStatistics { mean: vec![0.0; shape.channels], std: vec![1.0; shape.channels] };
        let collate = ContextCollate::new(pairs, &statistics, Augmentation::none()).unwrap();
        let dataset = Arc::new(InMemDataset::new((0..24).map(sample).collect()));
        let config = LoaderConfig { batch_size: 6, seed: 3, workers, training: true };
        Loader::new(dataset, collate, config, &test_device()).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_pairs_with_any_workers() {
        let guarded = PatchPairs::small_images(ImageShape::new(3, 32, 40));
        let batches = |workers| {
            let batches = loader(&guarded, workers).epoch(1, 0);
            let batches = batches.map(|batch| {
                let ContextBatch { centers, neighbors, positions } = batch.unwrap();
                (centers.into_data(), neighbors.into_data(), positions.into_data())
            });
            batches.collect::<Vec<_>>()
        };
        assert_eq!(batches(0), batches(2));
    }

    #[test]
    fn without_guards_patches_are_the_images_own_pixels() {
        let batch = loader(&pairs(2), 0).epoch(0, 0).next().unwrap().unwrap();
        assert_eq!(batch.centers.dims(), [6, 2, 8, 8]);
        let values: Vec<f32> = batch.neighbors.into_data().try_to_vec().unwrap();
        // Seven levels from a pixel to the next, whatever the place.
        let step = (values[1] - values[0]) * 255.0;
        assert!((step.rem_euclid(256.0) - 7.0).abs() < 1e-3, "{step}");
    }

    #[test]
    fn statistics_of_other_channels_are_refused() {
        let statistics = ChannelStatistics { mean: vec![0.0], std: vec![1.0] };
        let refused = ContextCollate::new(&pairs(2), &statistics, Augmentation::none());
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("2 channels") && message.contains("statistics of 1"), "{message}");
    }
}

//! Batches of samples with their classes.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::labels::one_hot;
use super::{Mix, Mixing, RandomErasing};
use crate::data::augment::Augmentation;
use crate::data::{ChannelStatistics, Collate, Item, Loaded, Preprocess, Sample};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::rng::Purpose;

/// Normalized images with their target classes.
#[derive(Debug, Clone)]
pub struct LabelledBatch {
    /// `[batch, channels, height, width]`, normalized per channel.
    pub images: Tensor<4>,
    /// The share of each class in each image, `[batch, classes]`; every row sums to 1. It is
    /// one-hot unless images are mixed or labels smoothed.
    pub targets: Tensor<2>,
    /// The class of each sample before any mixing.
    pub labels: Vec<usize>,
}

impl LabelledBatch {
    /// `images` of one of `classes` classes each, for a [`Collate`] of your own: what
    /// [`Features::extract`](super::Features::extract) reads.
    ///
    /// # Errors
    ///
    /// When there is not one label an image, or a label is not below `classes`.
    pub fn new(images: Tensor<4>, labels: Vec<usize>, classes: usize) -> Result<Self> {
        let count = images.dims()[0];
        if labels.len() != count {
            return Err(Error::config(format!("{count} images with {} labels", labels.len())));
        }
        let targets = one_hot(&labels, classes, &images.device())?;
        Ok(Self { images, targets, labels })
    }

    /// The class with the largest share, `[batch]`.
    pub fn classes(&self) -> Tensor<1, Int> {
        self.targets.clone().argmax(1).squeeze_dim(1)
    }
}

/// Makes batches of labelled samples: renders, augments and normalizes them.
#[derive(Debug, Clone)]
pub struct LabelledCollate {
    preprocess: Preprocess,
    classes: usize,
    erasing: RandomErasing,
    mixing: Mixing,
    smoothing: f32,
    /// Where in time all clips are seen, if not where the augmentation says.
    time: Option<f64>,
}

impl LabelledCollate {
    /// Makes batches of images of `shape` with one of `classes` classes each, normalized by
    /// `statistics` and not augmented.
    ///
    /// # Errors
    ///
    /// When there are fewer than two classes, or the statistics are for another number of channels
    /// than the images have.
    pub fn new(shape: ImageShape, statistics: &ChannelStatistics, classes: usize) -> Result<Self> {
        if classes < 2 {
            return Err(Error::config(format!(
                "a classifier needs at least 2 classes, got {classes}"
            )));
        }
        let preprocess = Preprocess::new(shape, statistics, Augmentation::none())?;
        Ok(Self {
            preprocess: preprocess.with_fill(&statistics.mean),
            classes,
            erasing: RandomErasing::none(),
            mixing: Mixing::none(),
            smoothing: 0.0,
            time: None,
        })
    }

    /// Augments the images.
    ///
    /// # Errors
    ///
    /// When a range of the augmentation is broken.
    pub fn with_augmentation(self, augmentation: Augmentation) -> Result<Self> {
        Ok(Self { preprocess: self.preprocess.with_augmentation(augmentation)?, ..self })
    }

    /// Erases a part of some images.
    ///
    /// # Errors
    ///
    /// When the probability is outside [0, 1].
    pub fn with_erasing(mut self, erasing: RandomErasing) -> Result<Self> {
        erasing.validate()?;
        self.erasing = erasing;
        Ok(self)
    }

    /// Mixes pairs of images.
    ///
    /// # Errors
    ///
    /// When a number of the mixing is broken.
    pub fn with_mixing(mut self, mixing: Mixing) -> Result<Self> {
        mixing.validate()?;
        self.mixing = mixing;
        Ok(self)
    }

    /// Spreads a share of every target over all classes (label smoothing, Szegedy et al. 2016,
    /// arXiv 1512.00567 §7).
    ///
    /// # Errors
    ///
    /// When the share is outside [0, 1).
    pub fn with_smoothing(mut self, smoothing: f32) -> Result<Self> {
        if !(0.0..1.0).contains(&smoothing) {
            return Err(Error::config(format!(
                "label smoothing must be in [0, 1), got {smoothing}"
            )));
        }
        self.smoothing = smoothing;
        Ok(self)
    }

    /// The same batches of clips, seen at `time`: from 0, their first frames, to 1, their last ones
    /// ([`Transform::time`](crate::data::augment::Transform::time)). Papers average over several.
    #[must_use]
    pub fn at_time(self, time: f64) -> Self {
        Self { time: Some(time), ..self }
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// One row of targets.
    fn write_target(&self, label: usize, row: &mut [f32]) {
        row.fill(self.smoothing / self.classes as f32);
        row[label] += 1.0 - self.smoothing;
    }

    fn label(&self, item: &Item) -> Result<usize> {
        let label = item.sample.label.ok_or_else(|| item.fault("has no label"))?;
        if label >= self.classes {
            let reason = format!("has the class {label}, expected a class below {}", self.classes);
            return Err(item.fault(reason));
        }
        Ok(label)
    }
}

impl Collate for LabelledCollate {
    type Sample = Sample;
    type Batch = LabelledBatch;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<LabelledBatch> {
        self.load(items, device).map(Loaded::finish)
    }

    fn load(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        device: &Device,
    ) -> Result<Loaded<LabelledBatch>> {
        let (batch, shape) = (items.len(), self.preprocess.shape());
        let mut images = self.preprocess.batch(batch);
        let mut targets = vec![0.0; batch * self.classes];
        let (mut labels, mut mixed) = (Vec::with_capacity(batch), None);
        for (item, target) in items.zip(targets.chunks_exact_mut(self.classes)) {
            let item = item?;
            let (mut transform, mut rng) = self.preprocess.draw(&item);
            transform.time = self.time.unwrap_or(transform.time);
            match self.erasing == RandomErasing::none() {
                true => images.push(&item, &transform)?,
                false => self.erasing.apply(images.push_now(&item, &transform)?, shape, &mut rng),
            }
            labels.push(self.label(&item)?);
            self.write_target(labels[labels.len() - 1], target);
            // All images of a batch are mixed in the same way, which the random stream of the first
            // sample decides.
            mixed.get_or_insert_with(|| self.mixing.sample(shape, &mut item.stream(Purpose::Mix)));
        }
        if let Some(mix) = mixed.filter(|mix| *mix != Mix::None) {
            mix.apply(shape, images.values()?, self.classes, &mut targets);
        }
        let targets = TensorData::new(targets, [batch, self.classes]);
        let targets = Tensor::from_data(targets, device);
        let (images, device) = (images.pack()?, device.clone());
        Ok(Loaded::later(move || LabelledBatch { images: images.on(&device), targets, labels }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::MemoryDataset;
    use crate::data::{Loader, LoaderConfig};
    use crate::test_device;
    use std::sync::Arc;

    const SHAPE: ImageShape = ImageShape::new(2, 4, 6);

    fn collate() -> LabelledCollate {
        let statistics = ChannelStatistics { mean: vec![0.5; 2], std: vec![0.25; 2] };
        LabelledCollate::new(SHAPE, &statistics, 3).unwrap()
    }

    fn batch(collate: LabelledCollate, labels: Option<Vec<usize>>) -> Result<LabelledBatch> {
        let pixels = (0..4 * SHAPE.values()).map(|i| (i * 37 % 256) as u8).collect();
        let dataset = MemoryDataset::new(SHAPE, pixels, labels).unwrap();
        let config = LoaderConfig { batch_size: 4, seed: 0, workers: 0, training: true };
        let loader = Loader::new(Arc::new(dataset), collate, config, &test_device()).unwrap();
        loader.epoch(0, 0).next().unwrap()
    }

    fn rows(targets: Tensor<2>) -> Vec<Vec<f32>> {
        let values: Vec<f32> = targets.into_data().try_to_vec().unwrap();
        values.chunks(3).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn a_label_is_one_class_and_smoothed_it_is_a_little_of_all() {
        let plain = batch(collate(), Some(vec![2, 0, 1, 2])).unwrap();
        for (row, label) in rows(plain.targets).iter().zip(&plain.labels) {
            assert_eq!(row.iter().sum::<f32>(), 1.0);
            assert_eq!(row[*label], 1.0);
        }
        let smoothed = batch(collate().with_smoothing(0.3).unwrap(), Some(vec![2, 0, 1, 2]));
        let smoothed = smoothed.unwrap();
        for (row, label) in rows(smoothed.targets).iter().zip(&smoothed.labels) {
            for (class, value) in row.iter().enumerate() {
                let expected = if class == *label { 0.8 } else { 0.1 };
                assert!((value - expected).abs() < 1e-6, "{row:?}");
            }
        }
    }

    #[test]
    fn a_sample_without_a_label_or_of_an_unknown_class_is_named() {
        let message = |labels| batch(collate(), labels).unwrap_err().to_string();
        assert!(message(None).ends_with("has no label"));
        let message = message(Some(vec![3; 4]));
        assert!(message.ends_with("has the class 3, expected a class below 3"), "{message}");
    }

    #[test]
    fn what_cannot_be_collated_is_refused() {
        let statistics = ChannelStatistics { mean: vec![0.5], std: vec![0.25] };
        let channels = LabelledCollate::new(SHAPE, &statistics, 3).unwrap_err().to_string();
        assert!(
            channels.contains("images of 2 channels cannot be normalized with statistics of 1")
        );
        let statistics = ChannelStatistics { mean: vec![0.5; 2], std: vec![0.25; 2] };
        let classes = LabelledCollate::new(SHAPE, &statistics, 1).unwrap_err().to_string();
        assert!(classes.ends_with("needs at least 2 classes, got 1"), "{classes}");
        let smoothing = collate().with_smoothing(1.0).unwrap_err().to_string();
        assert!(smoothing.ends_with("must be in [0, 1), got 1"), "{smoothing}");
    }
}

//! The loader when a worker dies, and parts of a data set as burn's trainers ask for them.

mod common;

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use burn::data::dataloader::DataLoader;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use burn_mim::data::augment::Augmentation;
use burn_mim::data::{
    BadImage, ChannelStatistics, Collate, Image, Item, Loader, LoaderConfig, MimCollate, Sample,
};
use burn_mim::{Error, Grid, ImageShape, RandomMask, Result, UnitMask};
use common::{device, waves};

/// The numbers of a batch's samples; panics at sample `fatal`.
#[derive(Debug, Clone)]
struct Numbers {
    fatal: Option<u64>,
}

impl Collate for Numbers {
    type Sample = Sample;
    type Batch = Vec<u64>;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        _device: &Device,
    ) -> Result<Vec<u64>> {
        items
            .map(|item| {
                let index = item?.index as u64;
                assert!(self.fatal != Some(index), "the collate of the user gives up");
                Ok(index)
            })
            .collect()
    }
}

fn loader(fatal: Option<u64>, workers: usize) -> Loader<Numbers> {
    let config = LoaderConfig { batch_size: 4, seed: 0, workers, training: false };
    Loader::new(waves(ImageShape::square(1, 4), 22), Numbers { fatal }, config, &device()).unwrap()
}

#[test]
fn a_worker_that_panics_is_an_error_with_the_batch_and_not_a_hang() {
    for workers in [1, 3] {
        let mut epoch = loader(Some(9), workers).epoch(0, 0);
        assert_eq!(epoch.next().unwrap().unwrap(), [0, 1, 2, 3]);
        assert_eq!(epoch.next().unwrap().unwrap(), [4, 5, 6, 7]);
        let message = epoch.next().unwrap().unwrap_err().to_string();
        assert!(message.contains("batch 2") && message.contains("panicked"), "{message}");
        // The others end as well: an epoch has as many items as batches.
        assert_eq!(epoch.count(), 3);
    }
}

#[test]
fn slices_are_parts_of_the_samples_and_slices_of_slices_too() {
    let all = |loader: &Arc<dyn DataLoader<Vec<u64>>>| -> Vec<u64> {
        loader.iter().flat_map(|batch| batch.unwrap()).collect()
    };
    let numbers = |range: std::ops::Range<u64>| range.collect::<Vec<_>>();
    let part = loader(None, 0).slice(5, 20);
    assert_eq!(part.num_items(), 15);
    assert_eq!(all(&part), numbers(5..20));
    let inner = part.slice(3, 9);
    assert_eq!((inner.num_items(), all(&inner)), (6, numbers(8..14)));
    // Two halves are the whole, each sample once.
    let halves = [loader(None, 2).slice(0, 11), loader(None, 2).slice(11, 22)];
    assert_eq!([all(&halves[0]), all(&halves[1])].concat(), numbers(0..22));
}

/// The batches of an epoch of 22 samples in shards of 5, 9, 1 and 7, of which two are shuffled together.
fn windowed(workers: usize, epoch: u64, first: usize) -> Vec<Vec<u64>> {
    let config = LoaderConfig { batch_size: 4, seed: 3, workers, training: true };
    let samples = waves(ImageShape::square(1, 4), 22);
    let loader = Loader::new(samples, Numbers { fatal: None }, config, &device()).unwrap();
    let loader = loader.in_windows(&[5, 9, 1, 7], 2).unwrap();
    loader.epoch(epoch, first).map(Result::unwrap).collect()
}

#[test]
fn an_order_in_windows_is_the_same_for_any_workers_and_from_any_batch() {
    let whole = windowed(0, 1, 0);
    assert_eq!(whole.len(), 5);
    assert_ne!(whole, windowed(0, 2, 0));
    for workers in [1, 3] {
        assert_eq!(windowed(workers, 1, 0), whole);
        assert_eq!(windowed(workers, 1, 3), whole[3..]);
    }
    let mut all = whole.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 20);
}

#[test]
fn shards_that_are_not_those_of_the_data_are_refused() {
    let config = LoaderConfig { batch_size: 4, seed: 3, workers: 0, training: true };
    let loader = || {
        let samples = waves(ImageShape::square(1, 4), 22);
        Loader::new(samples, Numbers { fatal: None }, config, &device()).unwrap()
    };
    for (shards, window) in [(&[5, 9][..], 1), (&[22], 0)] {
        let message = loader().in_windows(shards, window).unwrap_err().to_string();
        assert!(message.contains("are no order of a data set of 22"), "{message}");
    }
}

/// Images of noise that are slow to read, as files are, and large enough to be slow to crop; the bad
/// ones may be left out, and one is of another kind.
struct Slow {
    bad: &'static [usize],
    gray: Option<usize>,
}

impl Dataset<Sample> for Slow {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        sleep(Duration::from_micros(300));
        if self.bad.contains(&index) {
            return Err(DatasetError::new(BadImage(Error::data(format!("{index}.png"), "is cut"))));
        }
        let channels = if self.gray == Some(index) { 1 } else { 3 };
        let shape = ImageShape::new(channels, 120, 160);
        let pixels = (0..shape.values()).map(|at| (at * (index + 7) % 251) as u8).collect();
        let image = Image::new(shape, pixels).map_err(DatasetError::new)?;
        Ok(Sample { image, label: Some(index) })
    }

    fn len(&self) -> usize {
        70
    }
}

/// The pixels, the hidden cells and the labels of two batches; and the faults of what was left out.
fn cropped(data: Slow, workers: usize) -> Result<(Vec<Vec<f32>>, Vec<String>)> {
    let shape = ImageShape::square(3, 96);
    let mask = Arc::new(RandomMask::mae(Grid::square(6), 0.5)?);
    let statistics = ChannelStatistics::none(3);
    let collate = MimCollate::new(shape, &statistics, Augmentation::mae(), mask)?;
    let config = LoaderConfig { batch_size: 35, seed: 5, workers, training: true };
    let loader = Loader::new(Arc::new(data), collate, config, &device())?;
    let mut batches = Vec::new();
    for batch in loader.epoch(1, 0) {
        let batch = batch?;
        let mut values: Vec<f32> = batch.images.into_data().iter().collect();
        let samples = batch.mask.samples();
        values.extend(samples.iter().flat_map(UnitMask::hidden_indices).map(|cell| cell as f32));
        values.extend(batch.labels.unwrap().into_data().iter::<f32>());
        batches.push(values);
    }
    Ok((batches, loader.skipped()))
}

#[test]
fn threads_that_share_a_batch_make_the_batch_of_one_thread() {
    let of = |workers| cropped(Slow { bad: &[3, 4, 40], gray: None }, workers).unwrap();
    let alone = of(0);
    assert_eq!(alone.1.len(), 3);
    for workers in [1, 2, 3, 8, 40] {
        assert!(of(workers) == alone, "{workers} workers");
    }
}

#[test]
fn threads_that_share_a_batch_name_the_sample_that_cannot_be_used() {
    for workers in [0, 1, 8] {
        let fault = cropped(Slow { bad: &[], gray: Some(11) }, workers).map(|_| ());
        let message = fault.unwrap_err().to_string();
        assert!(message.starts_with("sample 11: "), "{workers} workers: {message}");
    }
}

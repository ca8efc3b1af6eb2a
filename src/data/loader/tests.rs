//! Tests of the loader.

use super::*;
use crate::data::BadImage;
use crate::data::sample::Image;
use crate::grid::ImageShape;
use burn::data::dataset::DatasetError;
use rand::RngExt;

/// Samples whose pixel is their index; the bad ones may be left out.
#[derive(Debug)]
struct Numbers {
    len: usize,
    bad: Vec<usize>,
}

impl Dataset<Sample> for Numbers {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        if self.bad.contains(&index) {
            let fault = Error::data(format!("{index}.png"), "is cut");
            return Err(DatasetError::new(BadImage(fault)));
        }
        let image = Image::new(ImageShape::square(1, 1), vec![index as u8]);
        Ok(Sample { image: image.map_err(DatasetError::new)?, label: None })
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// The indices of a batch with what each draws; panics at the index named.
#[derive(Debug)]
struct Draws(Option<usize>);

impl Collate for Draws {
    type Sample = Sample;
    type Batch = Vec<(usize, u32)>;

    fn collate(
        &self,
        items: &mut dyn ExactSizeIterator<Item = Result<Item>>,
        _: &Device,
    ) -> Result<Self::Batch> {
        let promised = items.len();
        let mut batch = Vec::new();
        for item in items {
            let item = item?;
            assert!(self.0 != Some(item.index), "no use for sample {}", item.index);
            batch.push((item.index, item.stream(Purpose::Mask).random()));
        }
        assert_eq!(batch.len(), promised);
        Ok(batch)
    }
}

fn loader(bad: &[usize], workers: usize, panics_at: Option<usize>) -> Loader<Draws> {
    let data = Arc::new(Numbers { len: 40, bad: bad.to_vec() });
    let config = LoaderConfig { batch_size: 4, seed: 7, workers, training: true };
    Loader::new(data, Draws(panics_at), config, &Device::default()).unwrap()
}

fn batches(loader: &Loader<Draws>) -> Vec<Vec<(usize, u32)>> {
    (0..2).flat_map(|epoch| loader.epoch(epoch, 0)).map(Result::unwrap).collect()
}

#[test]
fn a_bad_sample_is_missing_from_its_batch_and_changes_nothing_else() {
    let bad = [3, 17, 18, 39];
    let mut expected = batches(&loader(&[], 0, None));
    expected.iter_mut().for_each(|batch| batch.retain(|(index, _)| !bad.contains(index)));
    for workers in [0, 1, 3, 64] {
        let loader = loader(&bad, workers, None);
        assert_eq!(batches(&loader), expected, "{workers} workers");
        let skipped = loader.skipped();
        assert_eq!(skipped, [3, 17, 18, 39].map(|index| format!("{index}.png: is cut")));
    }
}

#[test]
fn the_batches_of_a_part_are_those_of_the_epoch_with_their_numbers() {
    let whole: Vec<_> = loader(&[], 0, None).epoch(1, 0).map(Result::unwrap).collect();
    for workers in [0, 1, 3] {
        let loader = loader(&[], workers, None);
        let mut part = loader.part(1, [2, 3, 6, 7]);
        for number in [2, 3, 6, 7] {
            assert_eq!(part.next().unwrap().unwrap(), whole[number], "{workers} workers");
            assert_eq!(part.position(), number + 1);
        }
        assert!(part.next().is_none());
    }
}

#[test]
fn the_number_of_samples_in_a_batch_is_known() {
    let loader = loader(&[3, 17, 18, 39], 2, None);
    let mut epoch = loader.epoch(0, 0);
    while let Some(batch) = epoch.next() {
        assert_eq!(batch.unwrap().len(), epoch.samples());
    }
}

#[test]
fn a_batch_of_bad_samples_alone_is_an_error_that_names_them() {
    let all: Vec<usize> = (0..40).collect();
    let first = loader(&all, 1, None).epoch(0, 0).next().unwrap();
    let message = first.unwrap_err().to_string();
    assert!(message.starts_with("batch 0: none of its 4 images can be read ("), "{message}");
    assert!(message.contains(".png: is cut, ") && message.ends_with(", ...)"), "{message}");
}

#[test]
fn a_panic_on_a_worker_is_told_with_its_batch() {
    for workers in [0, 1, 3] {
        let loader = loader(&[], workers, Some(11));
        let order = loader.plan.order(0).at(0..40);
        let place = order.iter().position(|&index| index == 11).unwrap() / 4;
        let message = loader.epoch(0, 0).find_map(Result::err).unwrap().to_string();
        let expected = "the code that makes it panicked: no use for sample 11";
        assert_eq!(message, format!("batch {place}: {expected}"));
    }
}

//! A part of a data set, drawn so that all classes are in it alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use rand::seq::SliceRandom;

use crate::data::LabelMap;
use crate::data::sample::{ImageDataset, Sample, SampleFile};
use crate::error::{Error, Result};
use crate::rng::{Purpose, stream};

/// Some samples of a data set, in its order.
#[derive(Clone)]
pub struct Subset {
    dataset: Arc<dyn ImageDataset>,
    places: Vec<usize>,
}

impl Subset {
    /// The samples of `dataset` at `places`.
    ///
    /// # Errors
    ///
    /// When there is no such place in the data set.
    pub fn new(dataset: Arc<dyn ImageDataset>, places: Vec<usize>) -> Result<Self> {
        if let Some(place) = places.iter().find(|&&place| place >= dataset.len()) {
            let len = dataset.len();
            return Err(Error::config(format!("a data set of {len} has no sample {place}")));
        }
        Ok(Self { dataset, places })
    }

    /// `count` samples of `dataset`, or all when there are no more than that, with as many of each
    /// class as of any other while there are any left. Samples without a label count as a class.
    ///
    /// The same seed gives the same samples, and a larger number includes the samples of a smaller
    /// one. Labels are read by [`ImageDataset::label`].
    ///
    /// # Errors
    ///
    /// When `count` is 0 or a label cannot be read.
    pub fn balanced(dataset: Arc<dyn ImageDataset>, count: usize, seed: u64) -> Result<Self> {
        if count == 0 {
            return Err(Error::config("a part of a data set must hold at least 1 sample, got 0"));
        }
        if count >= dataset.len() {
            let places = (0..dataset.len()).collect();
            return Ok(Self { dataset, places });
        }
        let labels = labels(&*dataset)?;
        let mut places = class_balanced(&labels, seed);
        places.truncate(count);
        places.sort_unstable();
        Ok(Self { dataset, places })
    }

    /// The samples of `dataset` that have a label.
    ///
    /// # Errors
    ///
    /// When a label cannot be read.
    pub fn labelled(dataset: Arc<dyn ImageDataset>) -> Result<Self> {
        let labels = labels(&*dataset)?;
        let places = (0..labels.len()).filter(|&place| labels[place].is_some()).collect();
        Ok(Self { dataset, places })
    }

    /// Where the samples are in the data set.
    pub fn places(&self) -> &[usize] {
        &self.places
    }
}

impl std::fmt::Debug for Subset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subset({} of {})", self.places.len(), self.dataset.len())
    }
}

impl Dataset<Sample> for Subset {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        self.dataset.get(self.places[index])
    }

    fn len(&self) -> usize {
        self.places.len()
    }
}

impl ImageDataset for Subset {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        self.dataset.label(self.places[index])
    }

    fn label_map(&self, index: usize) -> Result<Option<LabelMap>> {
        self.dataset.label_map(self.places[index])
    }

    fn file(&self, index: usize) -> Result<Option<SampleFile>> {
        self.dataset.file(self.places[index])
    }

    fn shards(&self) -> Option<Vec<usize>> {
        let mut left = self.places.as_slice();
        let mut end = 0;
        let mut within = |samples: usize| {
            end += samples;
            let (inside, rest) = left.split_at(left.partition_point(|place| *place < end));
            left = rest;
            inside.len()
        };
        let shards = self.dataset.shards()?;
        self.places.is_sorted().then(|| shards.into_iter().map(&mut within).collect())
    }

    fn name(&self, index: usize) -> String {
        self.dataset.name(self.places[index])
    }

    fn notes(&self) -> Vec<String> {
        self.dataset.notes()
    }
}

/// Every sample's label.
pub(crate) fn labels(dataset: &dyn ImageDataset) -> Result<Vec<Option<usize>>> {
    (0..dataset.len()).map(|index| dataset.label(index)).collect()
}

/// All places, so that any beginning holds of every class as many as of any other while there are
/// any left.
fn class_balanced(labels: &[Option<usize>], seed: u64) -> Vec<usize> {
    let mut classes: Vec<_> = by_class(labels, seed).into_values().map(Vec::into_iter).collect();
    classes.shuffle(&mut stream(seed, Purpose::Subset, 1, 0));
    let mut places = Vec::with_capacity(labels.len());
    while places.len() < labels.len() {
        places.extend(classes.iter_mut().filter_map(Iterator::next));
    }
    places
}

/// The places of each class in an order drawn for it.
pub(crate) fn by_class(labels: &[Option<usize>], seed: u64) -> BTreeMap<Option<usize>, Vec<usize>> {
    let mut classes: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (place, label) in labels.iter().enumerate() {
        classes.entry(*label).or_default().push(place);
    }
    for (label, places) in &mut classes {
        let class = label.map_or(u64::MAX, |label| label as u64);
        places.shuffle(&mut stream(seed, Purpose::Subset, 0, class));
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sample::Image;
    use crate::data::source::MemoryDataset;
    use crate::grid::ImageShape;
    use burn::data::dataset::InMemDataset;

    /// One-pixel images of these classes, sorted as folders are.
    fn dataset(labels: Vec<usize>) -> Arc<dyn ImageDataset> {
        let pixels = vec![0_u8; labels.len()];
        Arc::new(MemoryDataset::new(ImageShape::square(1, 1), pixels, Some(labels)).unwrap())
    }

    fn counts(subset: &Subset, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for index in 0..subset.len() {
            counts[subset.label(index).unwrap().unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn every_class_is_there_as_often_as_any_other() {
        // Ten classes in turn, as the built-in data has them: even spacing would miss half of them.
        let turns = dataset((0..1000).map(|index| index % 10).collect());
        assert_eq!(counts(&Subset::balanced(turns.clone(), 50, 3).unwrap(), 10), [5; 10]);
        let mut uneven = counts(&Subset::balanced(turns, 54, 3).unwrap(), 10);
        uneven.sort_unstable();
        assert_eq!(uneven, [5, 5, 5, 5, 5, 5, 6, 6, 6, 6]);
        // A class that has run out leaves its places to the others.
        let rare = dataset([vec![0; 2], vec![1; 90], vec![2; 90]].concat());
        assert_eq!(counts(&Subset::balanced(rare, 62, 3).unwrap(), 3), [2, 30, 30]);
    }

    #[test]
    fn the_seed_decides_and_a_larger_part_holds_a_smaller() {
        let data = dataset((0..300).map(|index| index / 100).collect());
        let places =
            |count, seed| Subset::balanced(data.clone(), count, seed).unwrap().places().to_vec();
        assert_eq!(places(20, 1), places(20, 1));
        assert_ne!(places(20, 1), places(20, 2));
        assert!(places(20, 1).iter().all(|place| places(150, 1).contains(place)));
        assert!(places(20, 1).is_sorted());
        assert_eq!(places(1000, 1), (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn samples_without_a_label_are_a_class_of_their_own_or_left_out() {
        let sample = |label| {
            let image = Image::new(ImageShape::square(1, 1), vec![0_u8]).unwrap();
            Sample { image, label }
        };
        let labels = [None, Some(0), None, Some(1), None, Some(1), None, Some(0)];
        let data: Arc<dyn ImageDataset> =
            Arc::new(InMemDataset::new(labels.into_iter().map(sample).collect()));
        let part = Subset::balanced(data.clone(), 6, 0).unwrap();
        let unlabelled = (0..6).filter(|&index| part.label(index).unwrap().is_none()).count();
        assert_eq!(unlabelled, 2);
        assert_eq!(Subset::labelled(data).unwrap().places(), [1, 3, 5, 7]);
    }

    #[test]
    fn no_sample_and_a_place_that_is_not_there_are_refused() {
        let data = dataset(vec![0, 1]);
        let none = Subset::balanced(data.clone(), 0, 0).unwrap_err().to_string();
        assert!(none.ends_with("at least 1 sample, got 0"), "{none}");
        let beyond = Subset::new(data, vec![0, 2]).unwrap_err().to_string();
        assert!(beyond.ends_with("a data set of 2 has no sample 2"), "{beyond}");
    }
}

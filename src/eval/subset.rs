//! A part of a data set's labels.

use std::sync::Arc;

use burn::data::dataset::Dataset;
use burn::data::dataset::transform::SelectionDataset;
use rand::seq::SliceRandom;

use crate::data::{Sample, data_error};
use crate::error::{Error, Result};
use crate::rng::{Purpose, stream};

/// A share of a data set with the same share of every class, at least one sample of each.
///
/// The same seed gives the same samples, and a larger share holds those of a smaller one. Labels
/// are read once, from every sample.
///
/// # Errors
///
/// When the share is not in (0, 1], or a sample cannot be read or has no label.
pub fn labelled_share(
    dataset: &Arc<dyn Dataset<Sample>>,
    share: f64,
    seed: u64,
) -> Result<Arc<dyn Dataset<Sample>>> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::config(format!("a share of labels must be in (0, 1], got {share}")));
    }
    if share == 1.0 {
        return Ok(dataset.clone());
    }
    let label = |index| {
        let sample = dataset.get(index).map_err(|error| data_error(index, error))?;
        sample.label.ok_or_else(|| Error::data(format!("sample {index}"), "has no label"))
    };
    let labels = (0..dataset.len()).map(label).collect::<Result<Vec<_>>>()?;
    let places = stratified(&labels, share, seed);
    Ok(selection(dataset, places))
}

/// At most `count` samples of a data set, evenly spaced.
pub fn evenly_spaced(dataset: &Arc<dyn Dataset<Sample>>, count: usize) -> Arc<dyn Dataset<Sample>> {
    let count = count.min(dataset.len());
    selection(dataset, (0..count).map(|nth| nth * dataset.len() / count).collect())
}

fn selection(dataset: &Arc<dyn Dataset<Sample>>, places: Vec<usize>) -> Arc<dyn Dataset<Sample>> {
    let selection: SelectionDataset<Arc<dyn Dataset<Sample>>, Sample> =
        SelectionDataset::from_indices_unchecked(dataset.clone(), places);
    Arc::new(selection)
}

/// The places of a share of every class, rounded and at least 1, ascending.
fn stratified(labels: &[usize], share: f64, seed: u64) -> Vec<usize> {
    let classes = labels.iter().max().map_or(0, |last| last + 1);
    let mut chosen = Vec::new();
    for class in 0..classes {
        let mut places: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
        places.shuffle(&mut stream(seed, Purpose::Subset, 0, class as u64));
        let count = (places.len() as f64 * share).round().max(1.0) as usize;
        chosen.extend(places.into_iter().take(count));
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::MemoryDataset;
    use crate::grid::ImageShape;

    /// 1000 samples: 700 of class 0, 295 of class 1, 5 of class 3.
    fn labels() -> Vec<usize> {
        (0..1000)
            .map(|i| {
                if i % 10 < 7 {
                    0
                } else if i % 200 == 9 {
                    3
                } else {
                    1
                }
            })
            .collect()
    }

    #[test]
    fn every_class_has_its_share_and_at_least_one() {
        let labels = labels();
        let chosen = stratified(&labels, 0.02, 5);
        let count = |class| chosen.iter().filter(|&&place| labels[place] == class).count();
        assert_eq!([count(0), count(1), count(2), count(3)], [14, 6, 0, 1]);
        assert!(chosen.is_sorted() && chosen.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn the_seed_decides_and_a_larger_share_holds_a_smaller() {
        let labels = labels();
        let small = stratified(&labels, 0.01, 1);
        assert_eq!(small, stratified(&labels, 0.01, 1));
        assert_ne!(small, stratified(&labels, 0.01, 2));
        let large = stratified(&labels, 0.1, 1);
        assert!(small.iter().all(|place| large.contains(place)));
    }

    #[test]
    fn shares_and_labels_that_are_none_are_refused() {
        let images = |labels| -> Arc<dyn Dataset<Sample>> {
            Arc::new(MemoryDataset::new(ImageShape::square(1, 1), vec![0; 4], labels).unwrap())
        };
        let labelled = images(Some(vec![0, 0, 1, 1]));
        assert_eq!(labelled_share(&labelled, 0.5, 0).unwrap().len(), 2);
        assert_eq!(labelled_share(&labelled, 1.0, 0).unwrap().len(), 4);
        let message = |set, share| labelled_share(&set, share, 0).err().unwrap().to_string();
        assert!(message(labelled.clone(), 0.0).ends_with("in (0, 1], got 0"));
        assert!(message(labelled, 1.5).ends_with("in (0, 1], got 1.5"));
        assert!(message(images(None), 0.5).ends_with("sample 0: has no label"));
    }
}

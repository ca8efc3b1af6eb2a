//! A part of a data set with the same share of every class.

use std::sync::Arc;

use crate::data::{ImageDataset, Subset, by_class, labels};
use crate::error::{Error, Result};

/// A share of a data set with the same share of every class, at least one sample of each.
///
/// The same seed gives the same samples, and a larger share contains the samples of a smaller one.
/// Labels are read by [`ImageDataset::label`], so no image is decoded for them.
///
/// # Errors
///
/// When the share is not in (0, 1], or a sample has no label.
pub fn labelled_share(
    dataset: &Arc<dyn ImageDataset>,
    share: f64,
    seed: u64,
) -> Result<Arc<dyn ImageDataset>> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::config(format!("a share of labels must be in (0, 1], got {share}")));
    }
    if share == 1.0 {
        return Ok(dataset.clone());
    }
    let labels = labels(&**dataset)?;
    if let Some(index) = labels.iter().position(Option::is_none) {
        return Err(Error::data(dataset.name(index), "has no label"));
    }
    Ok(Arc::new(Subset::new(dataset.clone(), stratified(&labels, share, seed))?))
}

/// The places in samples of these classes that [`labelled_share`] takes.
pub(crate) fn share_of(labels: &[usize], share: f64, seed: u64) -> Vec<usize> {
    let labels: Vec<_> = labels.iter().copied().map(Some).collect();
    stratified(&labels, share, seed)
}

/// The places of the chosen samples in ascending order: of each class its share, rounded and at
/// least 1.
fn stratified(labels: &[Option<usize>], share: f64, seed: u64) -> Vec<usize> {
    let mut chosen = Vec::new();
    for places in by_class(labels, seed).into_values() {
        let count = (places.len() as f64 * share).round().max(1.0) as usize;
        chosen.extend(places.into_iter().take(count));
    }
    chosen.sort_unstable();
    chosen
}

/// A part of samples of these classes to fit on, and the rest, about `share` of every class, to choose
/// by: drawn by `seed`, places in ascending order. A class of a single sample is fitted on alone, so
/// that the rest can be empty.
pub fn held_out(labels: &[usize], share: f64, seed: u64) -> [Vec<usize>; 2] {
    let labels: Vec<_> = labels.iter().copied().map(Some).collect();
    let [mut fitted, mut held] = [Vec::new(), Vec::new()];
    for mut places in by_class(&labels, seed).into_values() {
        let count = (places.len() as f64 * share).round().max(1.0) as usize;
        let kept = places.split_off(count.min(places.len() - 1));
        held.extend(places);
        fitted.extend(kept);
    }
    fitted.sort_unstable();
    held.sort_unstable();
    [fitted, held]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::MemoryDataset;
    use crate::grid::ImageShape;

    /// 1000 samples: 700 of class 0, 295 of class 1, 5 of class 3.
    fn skewed() -> Vec<Option<usize>> {
        let class = |i| match i {
            _ if i % 10 < 7 => 0,
            _ if i % 200 == 9 => 3,
            _ => 1,
        };
        (0..1000).map(|i| Some(class(i))).collect()
    }

    #[test]
    fn every_class_has_its_share_and_at_least_one() {
        let labels = skewed();
        let chosen = stratified(&labels, 0.02, 5);
        let count = |class| chosen.iter().filter(|&&place| labels[place] == Some(class)).count();
        assert_eq!([count(0), count(1), count(2), count(3)], [14, 6, 0, 1]);
        assert!(chosen.is_sorted() && chosen.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_fifth_is_held_out_of_every_class_that_has_two() {
        let labels: Vec<usize> = skewed().into_iter().flatten().collect();
        let [fitted, held] = held_out(&labels, 0.2, 3);
        let count = |places: &[usize], class| {
            places.iter().filter(|&&place| labels[place] == class).count()
        };
        assert_eq!([0, 1, 3].map(|class| count(&held, class)), [140, 59, 1]);
        let mut all = [fitted, held.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_ne!(held_out(&labels, 0.2, 4)[1], held);
        assert_eq!(held_out(&[0, 1, 1, 2], 0.2, 0)[1].len(), 1);
        assert_eq!(held_out(&[2, 0, 1], 0.2, 0), [vec![0, 1, 2], vec![]]);
    }

    #[test]
    fn the_seed_decides_and_a_larger_share_holds_a_smaller() {
        let labels = skewed();
        let small = stratified(&labels, 0.01, 1);
        assert_eq!(small, stratified(&labels, 0.01, 1));
        assert_ne!(small, stratified(&labels, 0.01, 2));
        let large = stratified(&labels, 0.1, 1);
        assert!(small.iter().all(|place| large.contains(place)));
    }

    #[test]
    fn shares_and_labels_that_are_none_are_refused() {
        let images = |labels| -> Arc<dyn ImageDataset> {
            Arc::new(MemoryDataset::new(ImageShape::square(1, 1), vec![0_u8; 4], labels).unwrap())
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

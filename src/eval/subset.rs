//! A part of a data set with the same share of every class.

use std::cmp::Ordering;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::{ImageDataset, Subset, by_class, labels};
use crate::error::{Error, Result, ensure};

/// How many of the labelled training images are used.
///
/// In files and on command lines one number: up to 1 a share, and above 1 a whole number of images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub enum Labels {
    /// A share in (0, 1] of every class, rounded, and at least one image of each.
    Share(f64),
    /// So many images, every class as often as its share allows, and at least one of each.
    Count(usize),
}

impl Labels {
    /// All of them.
    pub const ALL: Self = Self::Share(1.0);

    /// About how many of `images` these are.
    pub fn number(self, images: usize) -> usize {
        match self {
            Self::Share(share) => (images as f64 * share).round().max(1.0) as usize,
            Self::Count(count) => count,
        }
    }

    /// Checks the number.
    ///
    /// # Errors
    ///
    /// When it is neither a share nor a whole number of images.
    pub fn validate(self) -> Result<()> {
        match self {
            Self::Share(share) if share > 0.0 && share <= 1.0 => Ok(()),
            Self::Count(count) if count > 0 => Ok(()),
            other => Err(Error::config(format!(
                "labels must be a share in (0, 1] or a whole number of images, got {}",
                f64::from(other)
            ))),
        }
    }
}

impl From<f64> for Labels {
    fn from(number: f64) -> Self {
        match number > 1.0 && number.fract() == 0.0 && number <= f64::from(u32::MAX) {
            true => Self::Count(number as usize),
            false => Self::Share(number),
        }
    }
}

impl From<Labels> for f64 {
    fn from(labels: Labels) -> Self {
        match labels {
            Labels::Share(share) => share,
            Labels::Count(count) => count as f64,
        }
    }
}

impl FromStr for Labels {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number: f64 = text.parse().unwrap_or(f64::NAN);
        let labels = Self::from(number);
        labels.validate().map(|()| labels).map_err(|_| {
            Error::config(format!(
                "labels must be a share in (0, 1] or a whole number of images, got `{text}`"
            ))
        })
    }
}

/// A part of a data set with the same share of every class, at least one sample of each.
///
/// The same seed gives the same samples, and a larger share contains the samples of a smaller one.
/// Of classes of one size, so does a larger number if the smaller one is as many of each class.
/// Labels are read by [`ImageDataset::label`], so no image is decoded for them.
///
/// # Errors
///
/// When the share is not in (0, 1], a sample has no label, or the number is below that of the classes
/// or above that of the samples.
pub fn labelled_share(
    dataset: &Arc<dyn ImageDataset>,
    share: impl Into<Labels>,
    seed: u64,
) -> Result<Arc<dyn ImageDataset>> {
    let share = share.into();
    share.validate()?;
    if share == Labels::ALL {
        return Ok(dataset.clone());
    }
    let labels = labels(&**dataset)?;
    if let Some(index) = labels.iter().position(Option::is_none) {
        return Err(Error::data(dataset.name(index), "has no label"));
    }
    let places = match share {
        Labels::Share(share) => stratified(&labels, share, seed),
        Labels::Count(count) => counted(&labels, count, seed)?,
    };
    Ok(Arc::new(Subset::new(dataset.clone(), places)?))
}

/// The places of exactly `count` samples in ascending order, the first of those that a share takes.
fn counted(labels: &[Option<usize>], count: usize, seed: u64) -> Result<Vec<usize>> {
    let classes = by_class(labels, seed);
    ensure!(
        (classes.len()..=labels.len()).contains(&count),
        "the number of labels must be from {}, one for each class, to {}, all of them, got {count}",
        classes.len(),
        labels.len()
    );
    let sizes: Vec<_> = classes.values().map(Vec::len).collect();
    let each = classes.into_values().zip(apportioned(&sizes, count));
    let mut chosen: Vec<_> =
        each.flat_map(|(places, count)| places.into_iter().take(count)).collect();
    chosen.sort_unstable();
    Ok(chosen)
}

/// How many of each class `count` samples are, where the classes have these sizes: its share rounded
/// down, at least 1, and what is then too few or too many where it matters least.
fn apportioned(sizes: &[usize], count: usize) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    let mut taken: Vec<_> = sizes.iter().map(|size| (count * size / total).max(1)).collect();
    loop {
        let missing = |class: &usize| {
            let [due, has] = [count * sizes[*class], taken[*class] * total];
            due as i128 - has as i128
        };
        // Of equals the first class.
        let classes = (0..sizes.len()).rev();
        match taken.iter().sum::<usize>().cmp(&count) {
            Ordering::Equal => return taken,
            Ordering::Less => {
                let open = classes.filter(|&class| taken[class] < sizes[class]);
                let class = open.max_by_key(missing).expect("fewer than all are taken");
                taken[class] += 1;
            }
            Ordering::Greater => {
                let open = classes.filter(|&class| taken[class] > 1);
                let class = open.max_by_key(|class| -missing(class));
                taken[class.expect("more than one of each is taken")] -= 1;
            }
        }
    }
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
        assert!(message(labelled.clone(), 0.0).ends_with("whole number of images, got 0"));
        assert!(message(labelled.clone(), 1.5).ends_with("whole number of images, got 1.5"));
        let range = "from 2, one for each class, to 4, all of them, got 5";
        assert!(message(labelled, 5.0).ends_with(range));
        assert!(message(images(None), 0.5).ends_with("sample 0: has no label"));
    }

    #[test]
    fn a_number_of_labels_is_exact_and_every_class_has_its_part() {
        let labels = skewed();
        let numbers = |count: usize| {
            let chosen = counted(&labels, count, 5).unwrap();
            assert_eq!(chosen.len(), count);
            [0, 1, 3].map(|class| chosen.iter().filter(|&&at| labels[at] == Some(class)).count())
        };
        // Shares of 70 %, 29.5 % and 0.5 %.
        assert_eq!(numbers(20), [14, 5, 1]);
        assert_eq!(numbers(3), [1, 1, 1]);
        assert_eq!(numbers(999), [699, 295, 5]);
        assert_eq!(numbers(1000), [700, 295, 5]);
        assert!(counted(&labels, 2, 5).is_err());
        // Of classes of one size these are the images of the share.
        let even: Vec<_> = (0..6000).map(|i| Some(i % 10)).collect();
        assert_eq!(counted(&even, 60, 7).unwrap(), stratified(&even, 0.01, 7));
    }

    #[test]
    fn labels_are_one_number_a_share_or_a_count() {
        for (text, labels) in [
            ("0.01", Labels::Share(0.01)),
            ("1", Labels::ALL),
            ("60", Labels::Count(60)),
            ("6000", Labels::Count(6000)),
        ] {
            assert_eq!(text.parse::<Labels>().unwrap(), labels);
            let json = serde_json::to_value(labels).unwrap();
            assert_eq!(serde_json::from_value::<Labels>(json).unwrap(), labels);
        }
        assert_eq!(serde_json::to_string(&Labels::ALL).unwrap(), "1.0");
        for text in ["0", "-1", "1.5", "60.5", "all", "inf"] {
            let message = text.parse::<Labels>().unwrap_err().to_string();
            assert!(message.contains(&format!("got `{text}`")), "{message}");
        }
        assert_eq!(
            [Labels::Share(0.01), Labels::Count(60)].map(|labels| labels.number(5000)),
            [50, 60]
        );
    }
}

use super::*;
use crate::data::Image;
use crate::data::source::MemoryDataset;

fn set(shape: ImageShape, pixels: &[u8]) -> MemoryDataset {
    MemoryDataset::new(shape, pixels.to_vec(), None).unwrap()
}

#[test]
fn two_channels_are_measured_apart() {
    let data = set(ImageShape::new(2, 1, 2), &[0, 255, 51, 51, 0, 255, 153, 153]);
    let statistics = ChannelStatistics::of(&data, 10).unwrap();
    assert_eq!(statistics.mean, [0.5, 0.4]);
    assert_eq!(statistics.std, [0.5, 0.2]);
}

#[test]
fn a_constant_channel_has_the_least_std() {
    let data = set(ImageShape::square(1, 2), &[255; 4]);
    let statistics = ChannelStatistics::of(&data, 10).unwrap();
    assert_eq!((statistics.mean[0], statistics.std[0]), (1.0, 1.0 / 255.0));
}

#[test]
fn fewer_samples_are_spaced_evenly() {
    let data = set(ImageShape::square(1, 1), &[255, 0, 0, 0, 0, 0]);
    assert_eq!(ChannelStatistics::of(&data, 2).unwrap().mean, [0.5]);
    let data = set(ImageShape::square(1, 1), &[255, 0, 0, 255, 0, 0]);
    assert_eq!(ChannelStatistics::of(&data, 2).unwrap().mean, [1.0]);
}

#[test]
fn nothing_has_no_statistics() {
    let empty = set(ImageShape::square(1, 1), &[]);
    assert!(ChannelStatistics::of(&empty, 5).is_err());
    let one = set(ImageShape::square(1, 1), &[1]);
    let message = ChannelStatistics::of(&one, 0).unwrap_err().to_string();
    assert!(message.contains("0 samples of a data set of 1"), "{message}");
}

#[test]
fn samples_of_other_channels_are_an_error() {
    let sample = |channels| {
        let image = Image::new(ImageShape::square(channels, 1), vec![0_u8; channels]).unwrap();
        Sample { image, label: None }
    };
    let mixed = burn::data::dataset::InMemDataset::new(vec![sample(3), sample(1)]);
    let message = ChannelStatistics::of(&mixed, 2).unwrap_err().to_string();
    assert_eq!(message, "sample 1: has 1 channels, sample 0 has 3");
}

use super::*;
use crate::data::sample::{Image, is_bad_image};
use crate::data::source::MemoryDataset;
use burn::data::dataset::InMemDataset;

const PIXEL: ImageShape = ImageShape::square(1, 1);

fn split(pixels: Vec<u8>) -> Arc<MemoryDataset> {
    Arc::new(MemoryDataset::new(PIXEL, pixels, None).unwrap())
}

/// One-pixel images of these values, one value a channel.
fn images(values: &[&[u8]]) -> Arc<InMemDataset<Sample>> {
    let sample = |values: &&[u8]| {
        let shape = ImageShape::square(values.len(), 1);
        Sample { image: Image::new(shape, values.to_vec()).unwrap(), label: None }
    };
    Arc::new(InMemDataset::new(values.iter().map(sample).collect()))
}

fn open(channels: Channels, train: &[&[u8]], test: &[&[u8]]) -> Result<ImageData> {
    let options = DataOptions::default().with_channels(channels);
    Splits::new(images(train), images(test), vec![]).open(&options, &mut |_| {})
}

#[test]
fn opened_data_measures_its_training_split() {
    let data = ImageData::new(split(vec![0, 255]), split(vec![9]), vec![]).unwrap();
    assert_eq!((data.shape, data.statistics.mean[0]), (PIXEL, 0.5));
    assert!(format!("{data:?}").starts_with("ImageData { train: 2, test: 1, shape:"));
    let message = ImageData::new(split(vec![0]), split(vec![]), vec![]).unwrap_err();
    assert!(message.to_string().contains("there are 1 to train and 0 to test on"));
}

#[test]
fn gray_among_color_is_shown_in_color_and_measured_so() {
    let data = open(Channels::Auto, &[&[51], &[255, 153, 51]], &[&[7]]).unwrap();
    assert_eq!(data.shape, ImageShape::square(3, 1));
    assert_eq!(data.statistics.mean, [0.6, 0.4, 0.2]);
    assert_eq!(data.train.get(0).unwrap().image.bytes().unwrap(), [51; 3]);
    assert_eq!(data.test.get(0).unwrap().image.bytes().unwrap(), [7; 3]);
    assert_eq!(data.options.channels, Channels::Exactly(3));
    assert!(data.notes[0].starts_with("1 of the 2 training images looked at are gray"));
    let same = open(Channels::Exactly(3), &[&[51], &[255, 153, 51]], &[&[7]]).unwrap();
    assert_eq!((same.statistics, same.notes), (data.statistics, data.notes));
}

#[test]
fn color_is_shown_in_gray_when_asked_for() {
    let data = open(Channels::Exactly(1), &[&[51], &[255, 0, 0]], &[&[0, 255, 0]]).unwrap();
    assert_eq!((data.shape, data.statistics.mean.len()), (PIXEL, 1));
    assert_eq!(data.train.get(1).unwrap().image.bytes().unwrap(), [76]);
    assert_eq!(data.test.get(0).unwrap().image.bytes().unwrap(), [150]);
}

#[test]
fn other_channels_must_agree_and_both_images_are_named() {
    let message = open(Channels::Auto, &[&[1, 2, 3, 4], &[1, 2]], &[&[1]]).unwrap_err();
    let expected = "sample 0: has 4 channels, but sample 1 has 2; only gray (1) and color (3)";
    assert!(message.to_string().starts_with(expected), "{message}");
    let message = open(Channels::Exactly(3), &[&[1, 2]], &[&[1]]).unwrap_err().to_string();
    assert!(message.starts_with("sample 0: has 2 channels, but 3 were asked for"), "{message}");
    let data = open(Channels::Auto, &[&[1, 2]], &[&[1]]).unwrap();
    let message = data.test.get(0).err().unwrap().to_string();
    let expected = "sample 0: has 1 channels, but the data set has 2 (as sample 0); convert or";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn the_identity_is_of_the_values_and_not_of_the_options() {
    let identity = |pixels: Vec<u8>, options: &DataOptions| {
        let splits = Splits::new(split(pixels), split(vec![9]), vec![]);
        splits.open(options, &mut |_| {}).unwrap().identity
    };
    let (plain, options) = (DataOptions::default(), DataOptions::default());
    let options = options.with_train_images(Some(1)).with_channels(Channels::Exactly(3));
    assert_eq!(identity(vec![1, 2], &plain), identity(vec![1, 2], &options));
    assert_ne!(identity(vec![1, 2], &plain), identity(vec![1, 3], &plain));
    assert_eq!(identity(vec![1, 2], &plain).len(), 32);
}

#[test]
fn known_statistics_are_not_measured_again() {
    let known = ChannelStatistics { mean: vec![0.1; 3], std: vec![0.2; 3] };
    let mut heard = 0;
    let splits = Splits::new(images(&[&[51], &[255, 153, 51]]), images(&[&[7]]), vec![]);
    let data =
        splits.open_measured(&DataOptions::default(), known.clone(), &mut |_| heard += 1).unwrap();
    assert_eq!((data.statistics, heard), (known, 0));
    assert_eq!(data.shape, ImageShape::square(3, 1));
    assert_eq!(data.train.get(0).unwrap().image.bytes().unwrap(), [51; 3]);
}

/// As many images of one pixel, of which the ones named cannot be read.
#[derive(Debug)]
struct Damaged(usize, Vec<usize>);

impl Dataset<Sample> for Damaged {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        if self.1.contains(&index) {
            return Err(DatasetError::new(Error::data(format!("{index}.png"), "is cut")));
        }
        let image = Image::new(PIXEL, vec![51 * index as u8]).unwrap();
        Ok(Sample { image, label: None })
    }

    fn len(&self) -> usize {
        self.0
    }
}

impl ImageDataset for Damaged {}

#[test]
fn images_that_cannot_be_read_are_an_error_or_are_left_out() {
    let open = |policy| {
        let splits =
            Splits::new(Arc::new(Damaged(5, vec![0, 3])), Arc::new(Damaged(2, vec![1])), vec![]);
        splits.open(&DataOptions::default().with_on_bad_image(policy), &mut |_| {})
    };
    assert_eq!(open(OnBadImage::Error).unwrap_err().to_string(), "0.png: is cut");
    let data = open(OnBadImage::Skip).unwrap();
    // Of 1, 2 and 4 fifths.
    assert_eq!(data.statistics.mean, [7.0 / 15.0]);
    assert!(data.notes[0].starts_with("2 of the 5 training images looked at cannot be read"));
    assert!(is_bad_image(&data.train.get(3).unwrap_err()));
    let mut heard = Vec::new();
    let faults = data.verify(&mut |progress| heard.push((progress.done, progress.total)));
    assert_eq!(faults, ["0.png: is cut", "3.png: is cut", "1.png: is cut"]);
    assert_eq!(heard.last(), Some(&(7, Some(7))));
}

#[test]
fn the_part_asked_for_is_all_that_is_looked_at() {
    let options = DataOptions::default().with_train_images(Some(2));
    let mut looked_at = 0;
    let data = Splits::new(split(vec![5; 40]), split(vec![9]), vec![])
        .open(&options, &mut |progress| looked_at = looked_at.max(progress.done))
        .unwrap();
    assert_eq!((data.train.len(), looked_at), (2, 2));
    assert_eq!(data.options.train_images, Some(2));
}

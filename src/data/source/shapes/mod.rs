//! `shapes`: a data set that needs no download, drawn when it is read.
//!
//! 32 × 32 RGB pictures of ten forms. Where the form lies, how large it is, how it is turned and
//! stretched, its colors and pattern, the ground, the strokes behind and before it, the light and
//! the noise are all drawn independently of the class: only the form tells the classes apart, so
//! raw pixels say little about them and a good encoder says much.

use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};

use crate::data::sample::{Image, ImageDataset, Sample};
use crate::data::{DataOptions, ImageData, LabelMap, Splits};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::rng::{Purpose, stream};

pub(super) mod canvas;
pub(super) mod form;
pub(super) mod paint;
pub(super) mod placed;
pub(super) mod scene;

use form::Form;
use scene::Picture;

/// One split of the procedural data set; equal keys give equal images, byte for byte.
///
/// The label of image `index` is `index % 10`, so every class is equally frequent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shapes {
    /// The seed; another seed gives another data set of the same kind.
    pub seed: u64,
    /// The number of images.
    pub len: usize,
    /// Splits share no image: 0 is for training, 1 for testing, any number is allowed.
    pub split: u64,
}

impl Shapes {
    /// Images in the training split of [`Shapes::open`].
    pub const TRAIN: usize = 10_000;
    /// Images in the test split of [`Shapes::open`].
    pub const TEST: usize = 2_000;
    /// The seed of [`Shapes::open`].
    pub const SEED: u64 = 0;
    /// The shape of every image.
    pub const SHAPE: ImageShape = ImageShape::square(3, canvas::SIDE);

    /// How many images the normalization statistics are computed from.
    const STATISTICS: usize = 1_000;

    /// The standard data set: [`Shapes::TRAIN`] and [`Shapes::TEST`] images of [`Shapes::SEED`].
    ///
    /// # Errors
    ///
    /// When the statistics cannot be computed, which does not happen.
    pub fn open() -> Result<ImageData> {
        Self::splits().open(&DataOptions::default(), &mut |_| {})
    }

    pub(crate) fn splits() -> Splits {
        let train = Self { seed: Self::SEED, len: Self::TRAIN, split: 0 };
        let test = Self { seed: Self::SEED, len: Self::TEST, split: 1 };
        let looked_at = Self::STATISTICS;
        let splits = Splits::new(Arc::new(train), Arc::new(test), Self::class_names());
        Splits { looked_at, ..splits }
    }

    fn picture(&self, index: usize) -> Picture {
        let mut rng = stream(self.seed, Purpose::Data, self.split, index as u64);
        Picture::paint(Form::ALL[index % Form::ALL.len()], &mut rng)
    }

    /// The forms' names, by label.
    pub fn class_names() -> Vec<String> {
        Form::ALL.iter().map(|form| form.name().to_owned()).collect()
    }
}

impl Dataset<Sample> for Shapes {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        assert!(index < self.len, "index {index} of {} images", self.len);
        let label = index % Form::ALL.len();
        let pixels = self.picture(index).pixels;
        let image = Image::new(Self::SHAPE, pixels).map_err(DatasetError::new)?;
        Ok(Sample { image, label: Some(label) })
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl ImageDataset for Shapes {
    fn label(&self, index: usize) -> Result<Option<usize>> {
        Ok(Some(index % Form::ALL.len()))
    }

    /// 0 for what is not the form, and for the form the number after its label.
    fn label_map(&self, index: usize) -> Result<Option<LabelMap>> {
        let class = (index % Form::ALL.len() + 1) as u8;
        let shows = self.picture(index).shows_form();
        let classes = shows.into_iter().map(|form| if form { class } else { 0 }).collect();
        LabelMap::new(Self::SHAPE.height, Self::SHAPE.width, classes).map(Some)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: Shapes = Shapes { seed: 5, len: 40, split: 0 };

    fn pixels(shapes: Shapes, index: usize) -> Vec<u8> {
        shapes.get(index).unwrap().image.bytes().unwrap().to_vec()
    }

    /// FNV-1a, to pin an image in one number.
    fn fingerprint(pixels: &[u8]) -> u64 {
        pixels.iter().fold(0xcbf2_9ce4_8422_2325, |hash, value| {
            (hash ^ u64::from(*value)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    #[test]
    fn an_image_is_the_same_bytes_everywhere_and_always() {
        let all: Vec<u8> = (0..40).flat_map(|index| pixels(SHAPES, index)).collect();
        assert_eq!(fingerprint(&all), 13_917_247_198_985_654_257);
    }

    #[test]
    fn an_image_depends_on_seed_split_and_index_but_not_on_the_length() {
        let image = pixels(SHAPES, 10);
        assert_eq!(image, pixels(Shapes { len: 11, ..SHAPES }, 10));
        assert_ne!(image, pixels(SHAPES, 20));
        assert_ne!(image, pixels(Shapes { seed: 6, ..SHAPES }, 10));
        assert_ne!(image, pixels(Shapes { split: 1, ..SHAPES }, 10));
    }

    #[test]
    fn classes_are_equally_frequent_and_named() {
        let mut counts = [0; 10];
        for index in 0..SHAPES.len() {
            counts[SHAPES.get(index).unwrap().label.unwrap()] += 1;
        }
        assert_eq!(counts, [4; 10]);
        let names = Shapes::class_names();
        assert_eq!((names[0].as_str(), names[9].as_str()), ("disc", "spiral"));
    }

    #[test]
    fn the_standard_data_set_knows_its_splits_and_statistics() {
        let data = Shapes::open().unwrap();
        assert_eq!((data.train.len(), data.test.len()), (10_000, 2_000));
        assert_eq!((data.shape, data.class_names.len()), (Shapes::SHAPE, 10));
        assert!(data.statistics.mean.iter().all(|mean| (0.4..0.6).contains(mean)));
        assert!(data.statistics.std.iter().all(|std| (0.15..0.35).contains(std)));
    }

    #[test]
    fn a_label_map_shows_the_form_alone_and_where_it_differs_from_the_ground() {
        let area = |index: usize| {
            let map = SHAPES.label_map(index).unwrap().unwrap();
            assert_eq!((map.height(), map.width()), (32, 32));
            let class = (index % 10 + 1) as u8;
            assert!(map.classes().iter().all(|&found| found == 0 || found == class));
            map.classes().iter().filter(|&&found| found == class).count()
        };
        // A form has a half-extent of 8.5 to 13 pixels: a disc covers π r² of the 1024, less what
        // lies outside of the picture or behind a stroke.
        let discs: Vec<usize> = (0..4).map(|i| area(i * 10)).collect();
        assert!(discs.iter().all(|area| (120..=560).contains(area)), "{discs:?}");
        assert!((0..SHAPES.len()).all(|index| (40..=700).contains(&area(index))));
        // The form is lighter or darker than the ground by 0.3 and more, but for pattern and light.
        let differ = |index: usize| {
            let (map, image) = (SHAPES.label_map(index).unwrap().unwrap(), pixels(SHAPES, index));
            let luma = |form: bool| {
                let inside = (0..1024).filter(|&i| (map.classes()[i] > 0) == form);
                let lumas: Vec<f32> = inside
                    .map(|i| {
                        let rgb = [image[i], image[i + 1024], image[i + 2048]].map(f32::from);
                        0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]
                    })
                    .collect();
                lumas.iter().sum::<f32>() / lumas.len() as f32
            };
            (luma(true) - luma(false)).abs()
        };
        let mean = (0..SHAPES.len()).map(differ).sum::<f32>() / SHAPES.len() as f32;
        assert!(mean > 45.0, "{mean}");
    }

    #[test]
    fn every_image_has_contrast() {
        for index in 0..SHAPES.len() {
            let image = pixels(SHAPES, index);
            let (darkest, lightest) = (image.iter().min().unwrap(), image.iter().max().unwrap());
            assert!(lightest - darkest > 60, "image {index} is flat");
        }
    }

    #[test]
    #[should_panic(expected = "index 40 of 40 images")]
    fn an_index_past_the_end_is_a_bug_of_the_caller() {
        let _ = SHAPES.get(40);
    }
}

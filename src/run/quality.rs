//! How good an encoder's features are, judged without labels.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;

use super::{Evaluation, Subject};
use crate::data::augment::Augmentation;
use crate::data::{ImageDataset, Loader, LoaderConfig, Subset};
use crate::encoder::Backbone;
use crate::error::Result;
use crate::eval::{Features, LabelledCollate, Lidar, Pooling, Score, rank_me};

/// The images that LiDAR sees in several views, and the views of each. Of random weights it is 5 %
/// lower than by 1000 images in 10 views, and another choice of images and views changes it by 2 %.
const SEEN: usize = 400;
const VIEWS: u64 = 5;

/// The same images in several views each, cropped and flipped as in MAE's pre-training.
#[derive(Debug)]
pub(super) struct Views(Vec<Loader<LabelledCollate>>);

impl Views {
    /// `count` views of `images`, which `collate` makes batches of.
    pub(super) fn new(
        images: &Arc<dyn ImageDataset>,
        collate: &LabelledCollate,
        count: u64,
        [batch_size, workers]: [usize; 2],
        device: &Device,
    ) -> Result<Self> {
        let collate = collate.clone().with_augmentation(Augmentation::mae())?;
        let view = |seed| {
            let config = LoaderConfig { batch_size, seed, workers, training: false };
            Loader::new(images.clone(), collate.clone(), config, device)
        };
        Ok(Self((0..count).map(view).collect::<Result<_>>()?))
    }

    /// Whether there are no views.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// LiDAR of an encoder's features of the views.
    pub(super) fn lidar<B: Backbone>(&self, encoder: &B, pooling: Pooling) -> Result<f64> {
        let features = |view| Features::extract(encoder, view, pooling);
        let views: Vec<_> = self.0.iter().map(features).collect::<Result<_>>()?;
        Lidar::default().of(&views)
    }
}

impl<B: Backbone + Clone> Evaluation<'_, B> {
    /// RankMe of the test images' features of every seed, and LiDAR of up to 400 test images in 5
    /// views each.
    ///
    /// # Errors
    ///
    /// As [`Evaluation::splits`] and [`Lidar::of`]; when `subject` is no encoder.
    pub fn quality(&self, subject: Subject, test: &[Features]) -> Result<Vec<Score>> {
        let started = Instant::now();
        let ranks: Vec<f64> = test.iter().map(rank_me).collect();
        let rank_me = self.label_free("RankMe", String::from("pooled features"), subject, ranks);
        let rank_me = Score { seconds: started.elapsed().as_secs_f64(), ..rank_me };

        let started = Instant::now();
        let images = Subset::balanced(self.data.test.clone(), SEEN, 0)?;
        let count = images.places().len();
        let images: Arc<dyn ImageDataset> = Arc::new(images);
        let sizes = [self.batch_size, self.workers];
        let views = Views::new(&images, &self.collate()?, VIEWS, sizes, &self.device)?;
        let mut values: Vec<f64> = Vec::new();
        for seed in self.all_seeds() {
            self.interrupt.check()?;
            // The encoder that was given is the same for all seeds.
            let value = match values.first() {
                Some(&value) if subject == Subject::Given => value,
                _ => views.lidar(&self.backbone(subject, seed)?, self.pooling)?,
            };
            values.push(value);
        }
        let setting = format!("{VIEWS} views of {count} images");
        let lidar = self.label_free("LiDAR", setting, subject, values);
        let lidar = Score { test_images: count, seconds: started.elapsed().as_secs_f64(), ..lidar };
        Ok(vec![rank_me, lidar])
    }

    fn label_free(
        &self,
        measure: &str,
        setting: String,
        subject: Subject,
        values: Vec<f64>,
    ) -> Score {
        let score = self.score("quality", setting, subject, Vec::new(), 0, Instant::now());
        Score { measure: measure.into(), values, ..score }
    }
}

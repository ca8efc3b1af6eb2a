//! k-NN, RankMe and LiDAR of the encoder while it is pre-trained.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::quality::Views;
use crate::data::{ImageDataset, Loader, LoaderConfig, Subset};
use crate::encoder::Backbone;
use crate::error::{Error, Result};
use crate::eval::{Features, Knn, LabelledCollate, Pooling, TestResult, rank_me};
use crate::grid::ImageShape;
use crate::method::Run;

/// The largest number of labelled images that vote, and that are classified.
const SAMPLES: [usize; 2] = [5000, 1000];

/// Labelled images that LiDAR sees in several views, and the views of each.
const SEEN: usize = 200;
const VIEWS: u64 = 10;

/// Measures the accuracy of 20 nearest neighbors, and without labels RankMe and LiDAR, on a part of
/// the data every few epochs.
#[derive(Debug)]
pub(super) struct OnlineProbe {
    every: usize,
    train: Loader<LabelledCollate>,
    test: Loader<LabelledCollate>,
    views: Views,
}

impl OnlineProbe {
    /// A probe of an encoder that reads images of `shape`, as often as `run` asks for.
    pub(super) fn new(run: &Run, shape: ImageShape) -> Result<Self> {
        let Run { data, device, batch_size, workers, .. } = run;
        if data.class_names.is_empty() {
            return Err(Error::config("an online probe needs labels, and the images have none"));
        }
        let collate = LabelledCollate::new(shape, &data.statistics, data.class_names.len())?;
        let (batch_size, workers) = (*batch_size, *workers);
        let config = LoaderConfig { batch_size, seed: 0, workers, training: false };
        let part = |images: &Arc<dyn ImageDataset>, count| -> Result<Arc<dyn ImageDataset>> {
            let labelled = Subset::labelled(images.clone())?;
            Ok(Arc::new(Subset::balanced(Arc::new(labelled), count, 0)?))
        };
        let loader = |images: &Arc<dyn ImageDataset>, count| {
            Loader::new(part(images, count)?, collate.clone(), config, device)
        };
        let test = loader(&data.test, SAMPLES[1]).map_err(|_| {
            Error::config("an online probe needs labels, and no image of the test split has one")
        })?;
        let train = loader(&data.train, SAMPLES[0])?;
        let seen = part(&data.test, SEEN)?;
        let views = if seen.len() > 1 { VIEWS } else { 0 };
        let views = Views::new(&seen, &collate, views, [batch_size, workers], device)?;
        Ok(Self { every: run.probe, train, test, views })
    }

    /// `knn_top1`, in percent, `rank_me` and `lidar` (of two images or more), if `epoch`, counted
    /// from 1, is one of those that are probed.
    pub(super) fn measure<B: Backbone>(
        &self,
        encoder: &B,
        epoch: usize,
    ) -> Result<BTreeMap<String, f64>> {
        if !epoch.is_multiple_of(self.every) {
            return Ok(BTreeMap::new());
        }
        let features = |batches: &Loader<_>| Features::extract(encoder, batches, Pooling::Mean);
        let (train, test) = (features(&self.train)?, features(&self.test)?);
        let knn = Knn { neighbors: vec![20], ..Knn::default() };
        let scores = knn.scores(&train, &test)?.remove(0);
        let top1 = TestResult::new(scores, &test.labels).top1;
        let mut metrics = vec![("knn_top1", top1), ("rank_me", rank_me(&test))];
        if !self.views.is_empty() {
            metrics.push(("lidar", self.views.lidar(encoder, Pooling::Mean)?));
        }
        let metrics = metrics.into_iter().filter(|(_, value)| value.is_finite());
        Ok(metrics.map(|(name, value)| (name.to_string(), value)).collect())
    }
}

//! A method, whichever it is.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Device;
use burn_mim::data::augment::Augmentation;
use burn_mim::data::source::MemoryDataset;
use burn_mim::data::{ChannelStatistics, Loader, LoaderConfig};
use burn_mim::method::{DataFacts, Method};
use burn_mim::nn::InitialWeights;
use burn_mim::run::RunConfig;
use burn_mim::{PretextTask, Result};
use serde_json::Value;

/// A method, whichever it is.
pub(crate) trait AnyMethod: Debug {
    fn name(&self) -> &'static str;

    /// The numbers as files have them.
    fn json(&self) -> Value;

    /// The same method with the numbers of `json`.
    ///
    /// # Errors
    ///
    /// When they are not of the method.
    fn with(&self, json: Value) -> serde_json::Result<Box<dyn AnyMethod>>;

    /// Reads a run's whole configuration, and says what a fault of it is.
    fn read_run(&self, json: Value) -> serde_json::Result<()>;

    fn validate(&self) -> Result<()>;

    /// The loss of a batch of noise.
    ///
    /// # Panics
    ///
    /// When a part does, as `init` does with what `validate` says.
    fn loss(&self) -> f32;
}

impl<M: Method> AnyMethod for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn json(&self) -> Value {
        serde_json::to_value(self).unwrap()
    }

    fn with(&self, json: Value) -> serde_json::Result<Box<dyn AnyMethod>> {
        Ok(Box::new(serde_json::from_value::<M>(json)?))
    }

    fn read_run(&self, json: Value) -> serde_json::Result<()> {
        serde_json::from_value::<RunConfig<M>>(json).map(|_| ())
    }

    fn validate(&self) -> Result<()> {
        Method::validate(self)
    }

    fn loss(&self) -> f32 {
        let device = Device::flex();
        // What is not valid may have any number of channels.
        let channels = self.image().channels.min(64);
        let facts = DataFacts::new(ChannelStatistics {
            mean: vec![0.5; channels],
            std: vec![0.25; channels],
        });
        let task = self.init(&facts, &mut InitialWeights::new(1, &device));
        let task = task.unwrap_or_else(|error| panic!("{error}"));
        let image = self.image();
        let pixels = (0..2 * image.values()).map(|at| (at * 37 % 251) as u8).collect();
        let images = Arc::new(MemoryDataset::new(image, pixels, None).unwrap());
        let collate = self.collate(&facts, Augmentation::none());
        let collate = collate.unwrap_or_else(|error| panic!("{error}"));
        let config = LoaderConfig { batch_size: 2, seed: 1, workers: 0, training: false };
        let loader = Loader::new(images, collate, config, &device).unwrap();
        let batch = loader.epoch(0, 0).next().unwrap();
        task.loss(batch.unwrap_or_else(|error| panic!("{error}"))).loss.into_scalar()
    }
}

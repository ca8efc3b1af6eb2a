//! What a run needs of the first data2vec.

use super::{Data2VecV1, Data2VecV1Config, presets};
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, VitBody};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Method, Preset};
use crate::nn::InitialWeights;
use crate::train::Recipe;

impl Method for Data2VecV1Config {
    const NAME: &'static str = "data2vec_v1";
    const TITLE: &'static str = "data2vec";
    type Task = Data2VecV1;
    type Collate = MimCollate;
    type Encoder = VitBody;

    fn presets() -> Vec<Preset<Self>> {
        presets::all()
    }

    fn image(&self) -> ImageShape {
        self.encoder.image
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn recipe(&self) -> Recipe {
        presets::recipe()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::beit()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        MimCollate::new(self.encoder.image, &data.statistics, augmentation, self.mask()?)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<Data2VecV1> {
        Ok(self.init(weights))
    }

    /// The teacher of a run that begins with given weights begins with them too.
    fn begin(&self, task: Data2VecV1) -> Data2VecV1 {
        let target = task.target.beginning_at(&task.encoder);
        Data2VecV1 { target, ..task }
    }

    fn stacks(&self) -> Vec<Stack> {
        vec![self.encoder.stack(self.encoder.grid().cells())]
    }

    fn encoder(task: &Data2VecV1) -> &VitBody {
        &task.encoder.body
    }
}

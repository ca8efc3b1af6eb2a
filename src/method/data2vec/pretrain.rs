//! What a run needs of data2vec.

use super::{Data2Vec, Data2VecConfig, presets};
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, VitBody};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Method, Preset, hidden_cells};
use crate::nn::InitialWeights;
use crate::train::Recipe;

impl Method for Data2VecConfig {
    const NAME: &'static str = "data2vec";
    const TITLE: &'static str = "data2vec 2.0";
    type Task = Data2Vec;
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
        Recipe::data2vec()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::mae()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        let collate =
            MimCollate::new(self.encoder.image, &data.statistics, augmentation, self.mask()?)?;
        collate.with_masks(self.masks)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<Data2Vec> {
        Ok(self.init(weights))
    }

    /// The teacher of a run that begins with given weights begins with them too.
    fn begin(&self, task: Data2Vec) -> Data2Vec {
        task.with_teacher_of_now()
    }

    /// The student's for each mask. A convolution of the decoder keeps half of what a block without
    /// MLP does.
    fn stacks(&self) -> Vec<Stack> {
        let vit = &self.encoder;
        let cells = vit.grid().cells();
        let hidden = hidden_cells(cells, self.mask());
        let student = vit.stack(cells - hidden);
        let decoder = Stack {
            tokens: cells,
            width: self.decoder.width / 2,
            mlp_width: 0,
            blocks: self.decoder.depth,
        };
        let of_masks = |stack: Stack| Stack { tokens: stack.tokens * self.masks, ..stack };
        vec![of_masks(student), of_masks(decoder)]
    }

    fn encoder(task: &Data2Vec) -> &VitBody {
        &task.encoder.body
    }
}

//! What a run needs of iBOT.

use super::{IBot, IBotConfig, presets};
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, Vit, VitBody};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Method, Preset, hidden_cells};
use crate::nn::{InitialWeights, trainable};
use crate::train::Recipe;

impl Method for IBotConfig {
    const NAME: &'static str = "ibot";
    const TITLE: &'static str = "iBOT";
    type Task = IBot;
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
        Augmentation::ibot()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        let (image, mask) = (self.encoder.image, self.mask()?);
        let collate = MimCollate::new(image, &data.statistics, augmentation, mask)?;
        Ok(collate.with_other_views())
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<IBot> {
        Ok(self.init(weights))
    }

    /// Given weights are those of the teacher, as which the student begins.
    fn begin(&self, task: IBot) -> IBot {
        let device = task.student.body.patch_embed.weight.val().device();
        let body = trainable(task.kept(), &device);
        IBot { student: Vit { body, ..task.student }, ..task }
    }

    /// The student's for each view, and its head, whose outputs and their logarithms are kept for each
    /// class token and hidden cell.
    fn stacks(&self) -> Vec<Stack> {
        let vit = self.encoder.stack(self.encoder.grid().cells());
        let hidden = hidden_cells(self.encoder.grid().cells(), self.mask());
        let kept = 6 * self.head_hidden + 3 * self.outputs;
        let head = Stack { tokens: hidden + 2, width: 0, mlp_width: kept, blocks: 0 };
        vec![Stack { tokens: 2 * vit.tokens, ..vit }, head]
    }

    fn encoder(task: &IBot) -> &VitBody {
        &task.encoder
    }

    fn kept(task: &IBot) -> VitBody {
        task.kept()
    }
}

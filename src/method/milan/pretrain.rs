//! What a run needs of MILAN.

use super::{Milan, MilanCollate, MilanConfig, presets};
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, VitBody};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::method::{DataFacts, Fitted, Method, Preset, Run, hidden_cells};
use crate::nn::InitialWeights;
use crate::train::Recipe;

impl Method for MilanConfig {
    const NAME: &'static str = "milan";
    const TITLE: &'static str = "MILAN";
    const PATHS: &'static [&'static str] = &["/teacher/folder"];
    type Task = Milan;
    type Collate = MilanCollate;
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
        Augmentation::mae()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MilanCollate> {
        let image = self.encoder.image;
        let collate = self.teacher.collate(image, self.mask()?, augmentation, data)?;
        let cells = if self.semantic { self.encoder.grid().cells() } else { 0 };
        Ok(MilanCollate::new(collate, cells))
    }

    fn init(&self, data: &DataFacts, weights: &mut InitialWeights) -> Result<Milan> {
        Ok(self.init(&data.statistics, weights))
    }

    /// The model with the teacher in its folder, or with one that is trained first.
    fn fit(&self, task: Milan, run: &Run) -> Result<Fitted<Milan>> {
        let Fitted { task: target, resumed } = self.teacher.fitted_target(self.features, run)?;
        Ok(Fitted { task: Milan { target, ..task }, resumed })
    }

    /// In the decoder a block computes the hidden cells alone.
    fn stacks(&self) -> Vec<Stack> {
        let cells = self.encoder.grid().cells();
        let hidden = hidden_cells(cells, self.mask());
        let decoder = Stack {
            tokens: hidden,
            width: self.decoder.width,
            mlp_width: self.decoder.transformer(&self.encoder).mlp_width,
            blocks: self.decoder.depth,
        };
        vec![self.encoder.stack(cells - hidden), decoder]
    }

    fn encoder(task: &Milan) -> &VitBody {
        &task.encoder.body
    }
}

//! What a run needs of MAE.

use super::{MaeConfig, MaeTarget, MaeTask, presets};
use crate::batch::MimBatch;
use crate::data::MimCollate;
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, VitBody, VitConfig};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::DecoderAttention;
use crate::method::{DataFacts, Inpainting, Method, Preset, hidden_cells, picture_title};
use crate::nn::InitialWeights;
use crate::task::Mim;
use crate::train::Recipe;
use crate::viz::{Picture, depiction_sheet, reconstruction_sheet};

impl Method for MaeConfig {
    const NAME: &'static str = "mae";
    const TITLE: &'static str = "MAE";
    type Task = MaeTask;
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
        Recipe::mae()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::mae()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<MimCollate> {
        let collate =
            MimCollate::new(self.encoder.image, &data.statistics, augmentation, self.mask()?)?;
        let collate = collate.with_asked(self.asked)?;
        Ok(match self.contrast {
            Some(_) => collate.with_second_views(),
            None => collate,
        })
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<MaeTask> {
        Ok(self.init_task(weights))
    }

    fn stacks(&self) -> Vec<Stack> {
        let vit = &self.encoder;
        let cells = vit.grid().cells();
        let hidden = hidden_cells(cells, self.mask());
        let decoder = &self.decoder;
        let decoded = match decoder.attention {
            DecoderAttention::Cross => self.asked.count(cells, hidden),
            _ => cells,
        };
        let sizes = VitConfig { width: decoder.width, depth: decoder.depth, ..vit.clone() };
        let mut stacks =
            vec![vit.stack(cells - hidden), sizes.with_mlp_ratio(decoder.mlp_ratio).stack(decoded)];
        stacks.extend(vit.stem_stack());
        stacks
    }

    fn encoder(task: &MaeTask) -> &VitBody {
        &task.encoder.body
    }

    fn picture(
        &self,
        task: &MaeTask,
        batch: MimBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        let title = picture_title::<Self>();
        // A picture shows the prediction of all that is hidden.
        let batch = MimBatch { mask: batch.mask.asking_hidden(), ..batch };
        if let MaeTarget::Hog(target) = &task.target {
            let MaeTask { encoder, head, .. } = task.clone();
            let task = Mim { encoder, head, target: target.clone() };
            return depiction_sheet(&title, &task, &batch, &data.statistics)?.render().map(Some);
        }
        reconstruction_sheet(&title, &task.autoencoder(), &batch, &data.statistics)?
            .render()
            .map(Some)
    }

    fn inpainting(&self, task: MaeTask) -> Result<Option<Inpainting>> {
        let predicts_pixels = !matches!(task.target, MaeTarget::Hog(_));
        let units = self.mask()?.grid();
        Ok(predicts_pixels.then(|| Inpainting::new(units, task.autoencoder())))
    }
}

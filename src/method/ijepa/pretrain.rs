//! What a run needs of I-JEPA.

use super::{IJepa, IJepaBatch, IJepaCollate, IJepaConfig, ijepa_sheet, presets};
use crate::data::augment::Augmentation;
use crate::encoder::{Stack, VisibleVit, VitBody, VitConfig};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::DecoderConfig;
use crate::method::{DataFacts, Method, Preset, picture_title};
use crate::nn::{InitialWeights, trainable};
use crate::train::Recipe;
use crate::viz::Picture;

impl Method for IJepaConfig {
    const NAME: &'static str = "ijepa";
    const TITLE: &'static str = "I-JEPA";
    const PICTURE: &'static str = "blocks.png";
    type Task = IJepa;
    type Collate = IJepaCollate;
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
        Recipe::ijepa()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::ijepa()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<IJepaCollate> {
        IJepaCollate::new(self.encoder.image, &data.statistics, augmentation, self.mask()?)
    }

    fn init(&self, _data: &DataFacts, weights: &mut InitialWeights) -> Result<IJepa> {
        Ok(self.init(weights))
    }

    /// Given weights are those of the target encoder, as which the context encoder begins.
    fn begin(&self, task: IJepa) -> IJepa {
        let device = task.context_encoder.body.patch_embed.weight.val().device();
        let body = trainable(task.kept(), &device);
        IJepa { context_encoder: VisibleVit { body }, ..task }
    }

    fn stacks(&self) -> Vec<Stack> {
        // A context is rarely more than half of the image.
        let vit = &self.encoder;
        let (context, targets) = (vit.grid().cells() / 2, self.mask.targets);
        let block = (vit.grid().cells() as f64 * self.mask.target_scale[1]) as usize;
        let DecoderConfig { width, depth, mlp_ratio, .. } = self.predictor;
        let sizes = VitConfig { width, depth, ..vit.clone() }.with_mlp_ratio(mlp_ratio);
        vec![vit.stack(context), sizes.stack((context + block) * targets)]
    }

    fn encoder(task: &IJepa) -> &VitBody {
        &task.encoder
    }

    fn kept(task: &IJepa) -> VitBody {
        task.kept()
    }

    fn picture(
        &self,
        task: &IJepa,
        batch: IJepaBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        ijepa_sheet(&picture_title::<Self>(), task, &batch, &data.statistics)?.render().map(Some)
    }
}

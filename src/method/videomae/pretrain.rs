//! What a run needs of VideoMAE.

use super::{ClipCollate, VideoMae, VideoMaeConfig, clip_strips, presets};
use crate::batch::{ClipBatch, MimBatch};
use crate::data::augment::Augmentation;
use crate::encoder::{ClipVit, Stack};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::image::{ChannelStatistics, normalize, stack_frames, unstack_frames};
use crate::method::{DataFacts, Inpainting, Method, Preset, Run, hidden_cells, picture_title};
use crate::nn::InitialWeights;
use crate::train::Recipe;
use crate::viz::Picture;

impl Method for VideoMaeConfig {
    const NAME: &'static str = "videomae";
    const TITLE: &'static str = "VideoMAE";
    type Task = VideoMae;
    type Collate = ClipCollate;
    type Encoder = ClipVit;

    fn presets() -> Vec<Preset<Self>> {
        presets::all()
    }

    fn image(&self) -> ImageShape {
        self.encoder.image()
    }

    fn validate(&self) -> Result<()> {
        self.validate()
    }

    fn recipe(&self) -> Recipe {
        presets::recipe()
    }

    fn augmentation(&self) -> Augmentation {
        Augmentation::videomae()
    }

    fn collate(&self, data: &DataFacts, augmentation: Augmentation) -> Result<ClipCollate> {
        ClipCollate::new(self, &data.statistics, augmentation)
    }

    /// The target is in the units of the data, whatever it is normalized by.
    fn init(&self, data: &DataFacts, weights: &mut InitialWeights) -> Result<VideoMae> {
        Ok(self.clone().with_statistics(Some(data.statistics.clone())).init(weights))
    }

    fn stacks(&self) -> Vec<Stack> {
        let (encoder, decoder) = (&self.encoder, &self.decoder);
        let cells = encoder.grid().cells();
        let visible = cells - hidden_cells(cells, self.mask());
        let decoded = decoder.transformer(encoder).mlp_width;
        let mut stacks = vec![
            Stack {
                tokens: visible,
                width: encoder.width,
                mlp_width: encoder.mlp_width(),
                blocks: encoder.depth,
            },
            Stack {
                tokens: cells,
                width: decoder.width,
                mlp_width: decoded,
                blocks: decoder.depth,
            },
        ];
        stacks.extend(encoder.stem_stack());
        stacks
    }

    fn encoder(task: &VideoMae) -> &ClipVit {
        &task.encoder
    }

    fn picture(
        &self,
        task: &VideoMae,
        batch: ClipBatch,
        data: &DataFacts,
    ) -> Result<Option<Picture>> {
        clip_strips(&picture_title::<Self>(), task, &batch, &data.statistics)?.sheet().map(Some)
    }

    /// Fills clips whose frames lie one below the other.
    fn inpainting(&self, task: VideoMae) -> Result<Option<Inpainting>> {
        let (units, frames) = (self.mask()?.grid(), self.encoder.clip.frames);
        let predict = move |batch: &MimBatch| {
            let clips = unstack_frames(batch.images.clone(), frames);
            let pixels = task.reconstruct(&ClipBatch::new(clips, batch.mask.clone()));
            let pixels = stack_frames(pixels);
            match &task.target.statistics {
                Some(ChannelStatistics { mean, std }) => normalize(pixels, mean, std),
                None => pixels,
            }
        };
        Ok(Some(Inpainting { units, predict: Box::new(predict) }))
    }

    /// The picture, moving: `reconstruction.gif`.
    fn finish(&self, task: &VideoMae, run: &Run) -> Result<()> {
        let data = DataFacts::new(run.data.statistics.clone());
        let batch = run.validation_batch(self.collate(&data, Augmentation::none())?)?;
        let strips = clip_strips(&picture_title::<Self>(), task, &batch, &data.statistics)?;
        strips.animation()?.save(run.out.join("reconstruction.gif"))
    }
}

//! Image GPT (Chen et al. 2020, "Generative Pretraining from Pixels", ICML).

#[cfg(feature = "run")]
mod collate;
#[cfg(feature = "run")]
mod picture;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
mod sampling;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{FloatDType, Int, Tensor};

#[cfg(feature = "run")]
pub use collate::ImageGptCollate;
#[cfg(feature = "run")]
pub use picture::completion_sheet;
pub use sampling::Sampling;

use std::sync::Arc;

use crate::config::config;
use crate::encoder::{GptConfig, PixelGpt};
use crate::error::Result;
use crate::grid::{Grid, ImageShape};
use crate::image::grid_of;
use crate::kernel;
use crate::mask::{Mask, MaskConfig, MaskStrategy};
use crate::nn::{Init, InitialWeights, cast_parameters, per_token};
use crate::target::{entropy, shares};
use crate::task::{Measured, PretextTask, TaskOutput};

config! {
    /// The parts of an [`ImageGpt`], with the paper's defaults.
    ///
    /// A causal encoder has the autoregressive objective, one that is not the BERT objective.
    #[derive(Debug, PartialEq)]
    pub struct ImageGptConfig {
        /// The transformer.
        pub encoder: GptConfig,
        /// What the BERT objective hides. Default: 15 % of the pixels, at random (§2.1)
        pub mask: MaskConfig = MaskConfig::Simmim { unit: 1, ratio: 0.15 },
    }
}

impl ImageGptConfig {
    /// iGPT-S.
    pub fn small() -> Self {
        Self::new(GptConfig::small())
    }

    /// iGPT-M.
    pub fn medium() -> Self {
        Self::new(GptConfig::medium())
    }

    /// iGPT-L.
    pub fn large() -> Self {
        Self::new(GptConfig::large())
    }

    /// A model for images of a dozen pixels that a laptop's processor trains in minutes: 64 × 4,
    /// and 64 colors where images are gray.
    pub fn small_images(image: ImageShape) -> Self {
        let encoder = GptConfig::new(image, 64, 4, 4);
        let colors = if image.channels == 1 { 64 } else { encoder.colors };
        Self::new(encoder.with_colors(colors))
    }

    /// The same model with the BERT objective.
    pub fn bert(mut self) -> Self {
        self.encoder.causal = false;
        self
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.mask().map(|_| ())
    }

    /// What draws the masks of the BERT objective; `None` for the autoregressive one.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Option<Arc<dyn MaskStrategy>>> {
        (!self.encoder.causal).then(|| self.mask.build(self.encoder.image, 1)).transpose()
    }

    /// The model with fresh weights, on the colors of `palette`.
    ///
    /// # Shapes
    ///
    /// - palette: `[colors, channels]`, in the units of the images
    ///
    /// # Panics
    ///
    /// With the message of [`ImageGptConfig::validate`] when that fails, and when the palette is not
    /// of the transformer's colors and channels.
    pub fn init(&self, palette: Option<Tensor<2>>, weights: &mut InitialWeights) -> ImageGpt {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let GptConfig { width, colors, .. } = self.encoder;
        let encoder = PixelGpt::new(self.encoder.init(weights), palette);
        let head = weights.linear_without_bias(width, colors, Init::Normal { std: 0.02 });
        ImageGpt { encoder, head }
    }
}

/// A batch of [`ImageGpt`].
#[derive(Debug, Clone)]
pub struct ImageGptBatch {
    /// `[batch, channels, height, width]`, in the units of the palette.
    pub images: Tensor<4>,
    /// The pixels that the BERT objective hides; `None` for the autoregressive one.
    pub mask: Option<Mask>,
}

/// A transformer that predicts an image's colors: each from those before it in the raster, or a
/// few from all others.
#[derive(Module, Debug)]
pub struct ImageGpt {
    /// What is kept after pre-training.
    pub encoder: PixelGpt,
    /// Features → one logit for each color.
    pub head: Linear,
}

impl ImageGpt {
    /// The logits after each of a sequence's first ids, as published models define them: where a
    /// token sees those before it alone, they predict the id that comes next.
    ///
    /// # Shapes
    ///
    /// - ids: `[batch, tokens]`, each up to `colors`, which starts a sequence
    /// - output: `[batch, tokens, colors]`
    pub fn logits(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        per_token(&self.head, self.encoder.gpt.forward(ids))
    }

    /// The logits for the asked ones among the `ids` of all pixels of `grid`, and these ids.
    ///
    /// # Panics
    ///
    /// When there are masks and the transformer is causal, or neither.
    fn predict(
        &self,
        ids: Tensor<2, Int>,
        grid: Grid,
        mask: Option<Mask>,
    ) -> (Tensor<3>, Tensor<2, Int>) {
        let gpt = &self.encoder.gpt;
        assert!(
            gpt.config().causal == mask.is_none(),
            "the BERT objective needs masks and a transformer that is not causal, the \
             autoregressive one neither"
        );
        let Some(mask) = mask else {
            return (self.logits(self.encoder.inputs(ids.clone())), ids);
        };
        let mask = mask.at(grid);
        // Positions are added after, so the model knows where something is hidden (§2.2).
        let visible = mask.visible.select(gpt.embed(ids.clone()));
        let nothing = Tensor::zeros([1, gpt.config().width], (&visible.device(), visible.dtype()));
        let tokens = mask.visible.fill(visible, nothing) + gpt.positions.cells(grid).unsqueeze();
        let features = mask.asked.select(gpt.transform(tokens, gpt.config().depth));
        (per_token(&self.head, features), mask.asked.select_ids(ids))
    }

    /// The entropy in nats of the colors' frequencies among all pixels of a batch, whose `ids`
    /// these are: the shortest code, on average, of a pixel that knows nothing of the others.
    fn color_entropy(&self, ids: Tensor<2, Int>) -> Tensor<1> {
        entropy(shares(ids, self.encoder.gpt.config().colors))
    }
}

impl PretextTask for ImageGpt {
    type Batch = ImageGptBatch;
    type Observed = ();

    fn loss(&self, batch: ImageGptBatch) -> TaskOutput {
        let grid = grid_of(&batch.images, 1);
        let (logits, asked) = self.predict(self.encoder.ids(batch.images), grid, batch.mask);
        judge(logits, asked).into()
    }

    /// Pixels become ids in their own type; the transformer computes in `dtype`.
    fn loss_in(&self, batch: ImageGptBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let (grid, whole) = (grid_of(&batch.images, 1), batch.images.dtype());
        let ids = self.encoder.ids(batch.images);
        let (logits, asked) = cast_parameters(self, dtype).predict(ids, grid, batch.mask);
        Ok(judge(logits.cast(whole), asked).into())
    }

    fn measure(&self, batch: ImageGptBatch) -> Measured {
        let grid = grid_of(&batch.images, 1);
        let ids = self.encoder.ids(batch.images);
        let (logits, asked) = self.predict(ids.clone(), grid, batch.mask);
        let loss = judge(logits, asked);
        let bits = |nats: Tensor<1>| nats.without_autodiff() / std::f64::consts::LN_2;
        let entropy = ("color_entropy_bits", bits(self.color_entropy(ids)));
        Measured::new(loss.clone(), [("bits_per_pixel", bits(loss)), entropy])
    }

    /// The entropy of the colors' own frequencies in the batch.
    fn trivial_loss(&self, batch: &ImageGptBatch) -> Option<Tensor<1>> {
        Some(self.color_entropy(self.encoder.ids(batch.images.clone())))
    }
}

/// How unlikely `logits` make the `ids` that are asked for.
fn judge(logits: Tensor<3>, ids: Tensor<2, Int>) -> Tensor<1> {
    kernel::cross_entropy(logits.flatten(0, 1), ids.flatten(0, 1)).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::UnitMask;
    use crate::test_device;
    use burn::tensor::{TensorData, s};

    const IMAGE: ImageShape = ImageShape::new(1, 3, 4);

    fn config() -> ImageGptConfig {
        ImageGptConfig::new(GptConfig::new(IMAGE, 8, 2, 2).with_colors(4))
    }

    fn model(config: &ImageGptConfig) -> ImageGpt {
        let palette = Tensor::from_floats([[0.0], [1.0], [2.0], [3.0]], &test_device());
        config.init(Some(palette), &mut InitialWeights::new(0, &test_device()))
    }

    fn images(values: [f32; 12]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, 3, 4]), &test_device())
    }

    const SOME: [f32; 12] = [0., 1., 3., 3., 2., 0., 1., 1., 1., 2., 2., 0.];

    #[test]
    fn the_autoregressive_loss_is_that_of_each_next_color() {
        let model = model(&config());
        let sequence = [4i64, 0, 1, 3, 3, 2, 0, 1, 1, 1, 2, 2];
        let logits =
            model.logits(Tensor::<1, Int>::from_ints(sequence, &test_device()).unsqueeze());
        let logits: Vec<f32> = logits.into_data().try_to_vec().unwrap();
        let mut expected = 0.0;
        for (logits, color) in logits.chunks(4).zip(SOME) {
            let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
            expected -= (logits[color as usize].exp() / total).ln() / 12.0;
        }
        let output = model.measure(ImageGptBatch { images: images(SOME), mask: None });
        assert!((output.loss.into_scalar::<f32>() - expected).abs() < 1e-5);
        let (name, bits) = output.metrics[0].clone();
        assert_eq!(name, "bits_per_pixel");
        assert!((bits.into_scalar::<f32>() - expected / 2f32.ln()).abs() < 1e-5);
    }

    #[test]
    fn the_bert_objective_asks_for_hidden_colors_alone_and_does_not_see_them() {
        let model = model(&config().bert());
        let grid = Grid::new(3, 4);
        let mask = UnitMask::from_indices(grid, [2, 7]).unwrap();
        let mask = || Some(Mask::new([mask.clone()], &test_device()).unwrap());
        let predict = |values| model.predict(model.encoder.ids(images(values)), grid, mask());
        let (logits, ids) = predict(SOME);
        assert_eq!(ids.into_data().try_into_vec_as::<i64>().unwrap(), [3, 1]);
        let mut others = SOME;
        (others[2], others[7]) = (0.0, 2.0);
        predict(others).0.into_data().assert_eq(&logits.clone().into_data(), true);
        assert_ne!(
            logits.clone().slice(s![.., 0..1, ..]).into_data(),
            logits.slice(s![.., 1..2, ..]).into_data(),
            "hidden pixels differ by their positions"
        );
    }

    #[test]
    fn the_trivial_loss_is_the_entropy_of_the_colors_and_reported_in_bits() {
        // Shares 1/4, 1/3, 1/4 and 1/6.
        let batch = ImageGptBatch { images: images(SOME), mask: None };
        let entropy = model(&config()).trivial_loss(&batch).unwrap().into_scalar::<f32>();
        let expected: f32 = [0.25f32, 1.0 / 3.0, 0.25, 1.0 / 6.0].iter().map(|p| -p * p.ln()).sum();
        assert!((entropy - expected).abs() < 1e-6);
        let (name, bits) = model(&config()).measure(batch).metrics[1].clone();
        assert_eq!(name, "color_entropy_bits");
        assert!((bits.into_scalar::<f32>() - expected / 2f32.ln()).abs() < 1e-5);
    }

    #[test]
    fn every_broken_rule_is_named_with_its_values() {
        let broken = |config: ImageGptConfig| config.validate().unwrap_err().to_string();
        let message = broken(config().bert().with_mask(MaskConfig::Simmim { unit: 1, ratio: 1.0 }));
        assert!(message.contains("(everything hidden), got 1"), "{message}");
        config().with_mask(MaskConfig::Simmim { unit: 1, ratio: 1.0 }).validate().unwrap();
    }

    #[test]
    #[should_panic(expected = "the BERT objective needs masks")]
    fn a_batch_of_the_other_objective_panics() {
        model(&config().bert()).loss(ImageGptBatch { images: images(SOME), mask: None });
    }

    #[test]
    fn gray_images_have_64_colors_and_others_those_of_the_paper() {
        let colors =
            |channels| ImageGptConfig::small_images(ImageShape::square(channels, 8)).encoder.colors;
        assert_eq!((colors(1), colors(3)), (64, 512));
    }
}

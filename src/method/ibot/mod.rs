//! Image BERT pre-training with an online tokenizer (iBOT, Zhou et al. 2022, arXiv 2111.07832).

#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
mod task;
#[cfg(all(test, feature = "run"))]
mod tests;

use std::sync::Arc;

use burn::module::Param;
use burn::tensor::Tensor;
pub use task::{IBot, OutputMeans};

use crate::config::config;
use crate::encoder::{VitConfig, VitInit};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::limits;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::{DinoHead, InitialWeights, Momentum, Positions, teacher_of};

config! {
    /// The parts of an [`IBot`], with the numbers of the official code (bytedance/ibot,
    /// `main_ibot.py`) and of its published models.
    #[derive(Debug, PartialEq)]
    pub struct IBotConfig {
        /// The encoder, with a class token.
        pub encoder: VitConfig,
        /// What is hidden of one view. Default: blocks of at least 16 cells, 30 % of the patches
        pub mask: MaskConfig = MaskConfig::blocks(0.3, 16),
        /// How far the hidden share of a batch may be from the mask's ratio, which is in the middle.
        /// Default: 0.2
        pub mask_spread: f64 = 0.2,
        /// Features between the head's layers. Default: 2048
        pub head_hidden: usize = 2048,
        /// Features that the head's outputs are made from. Default: 256
        pub bottleneck: usize = 256,
        /// Outputs of the head, of which student and teacher choose. Default: 8192
        pub outputs: usize = 8192,
        /// Whether the lengths of the last layer's vectors are trained (officially
        /// `norm_last_layer = false`), or are 1. Default: no
        pub lengths: bool = false,
        /// What the student's outputs are divided by. Default: 0.1
        pub student_temperature: f64 = 0.1,
        /// What the teacher's are divided by, at the start and after the warm-up. Default: 0.04 and
        /// 0.07
        pub teacher_temperature: [f64; 2] = [0.04, 0.07],
        /// The share of the run in which the teacher's temperature grows, in (0, 1]. Default: 0.0375,
        /// 30 of 800 epochs
        pub temperature_warmup: f64 = 0.0375,
        /// The share of the centers that a step keeps. Default: 0.9
        pub center_momentum: f64 = 0.9,
        /// The weight of the loss of class tokens, λ₁. Default: 1
        pub class_loss: f64 = 1.0,
        /// The weight of the loss of hidden patches, λ₂. Default: 1
        pub patch_loss: f64 = 1.0,
        /// The share of the teacher that a step keeps. Default: from 0.996 to 1
        pub momentum: Momentum = Momentum::new(0.996, 1.0),
    }
}

impl IBotConfig {
    /// An encoder of the published sizes and start, of a run whose temperature grows for 30 of `epochs`.
    fn of_vit(encoder: VitConfig, epochs: f64) -> Self {
        let encoder = encoder.with_positions(Positions::Learned).with_init(VitInit::Normal);
        Self::new(encoder.with_drop_path(0.1)).with_temperature_warmup(30.0 / epochs)
    }

    /// ViT-S/16, whose last layer has lengths of its own (README of the official code).
    pub fn small_patch16() -> Self {
        Self::of_vit(VitConfig::small_patch16(), 800.0).with_lengths(true)
    }

    /// ViT-B/16.
    pub fn base_patch16() -> Self {
        Self::of_vit(VitConfig::base_patch16(), 400.0)
    }

    /// ViT-L/16.
    pub fn large_patch16() -> Self {
        Self::of_vit(VitConfig::large_patch16(), 250.0)
    }

    /// An encoder of four blocks for images of a few dozen pixels, with a small head and a teacher that moves as
    /// fast as a run of minutes needs.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(VitConfig::new(image, 4, 128, 4, 4))
            .with_mask(MaskConfig::blocks(0.3, 4))
            .with_head_hidden(256)
            .with_bottleneck(64)
            .with_outputs(1024)
            .with_temperature_warmup(0.3)
            .with_momentum(Momentum::new(0.99, 1.0))
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.encoder.check_without_stem("iBOT")?;
        ensure!(self.encoder.class_token, "iBOT needs an encoder with a class token");
        self.mask()?;
        self.check_head()?;
        let Self { teacher_temperature: [first, last], temperature_warmup: warmup, .. } = *self;
        for (name, temperature) in [
            ("student_temperature", self.student_temperature),
            ("teacher_temperature", first),
            ("teacher_temperature", last),
        ] {
            ensure!(
                temperature > 0.0 && temperature <= 100.0,
                "{name} must be in (0, 100], got {temperature:?}"
            );
        }
        ensure!(
            warmup > 0.0 && warmup <= 1.0,
            "temperature_warmup must be in (0, 1], got {warmup:?}"
        );
        for (name, weight) in [("class_loss", self.class_loss), ("patch_loss", self.patch_loss)] {
            ensure!(
                weight.is_finite() && weight >= 0.0,
                "{name} must be a finite weight of at least 0, got {weight:?}"
            );
        }
        let center = self.center_momentum;
        ensure!((0.0..=1.0).contains(&center), "center_momentum must be in [0, 1], got {center:?}");
        self.momentum.validate()
    }

    fn check_head(&self) -> Result<()> {
        for (name, count, limit) in [
            ("head_hidden", self.head_hidden, limits::MLP_WIDTH),
            ("bottleneck", self.bottleneck, limits::WIDTH),
            ("outputs", self.outputs, limits::VOCABULARY),
        ] {
            limits::counts(name, count, limit)?;
        }
        let widths = self.head_widths();
        let layers = widths.windows(2).map(limits::product).fold(0, usize::saturating_add);
        limits::parameters(layers.saturating_add(self.bottleneck.saturating_mul(self.outputs)))
    }

    /// Features before, between and after the layers of the head.
    fn head_widths(&self) -> [usize; 4] {
        [self.encoder.width, self.head_hidden, self.head_hidden, self.bottleneck]
    }

    /// The teacher's temperature at `progress` of the run.
    fn temperature_at(&self, progress: f64) -> f64 {
        let [start, end] = self.teacher_temperature;
        Momentum { start, end, ramp: self.temperature_warmup }.at(progress)
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build_spread`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build_spread(self.mask_spread, self.encoder.image, self.encoder.patch)
    }

    /// The task with fresh weights; its teacher starts as the student does.
    ///
    /// # Panics
    ///
    /// With the message of [`IBotConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> IBot {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let student = self.encoder.init(weights);
        let head = DinoHead::new(&self.head_widths(), self.outputs, self.lengths, weights);
        let device = weights.device();
        let center =
            || Param::from_tensor(Tensor::zeros([1, self.outputs], device)).set_require_grad(false);
        let temperature = Tensor::full([1], self.temperature_at(0.0), device);
        IBot {
            encoder: teacher_of(&student.body),
            teacher_head: teacher_of(&head),
            class_center: center(),
            patch_center: center(),
            temperature: Param::from_tensor(temperature).set_require_grad(false),
            student,
            head,
            config: self.clone(),
        }
    }
}

//! Image restoration (Chen et al. 2020, "Pre-Trained Image Processing Transformer", arXiv
//! 2012.00364).

#[cfg(feature = "run")]
mod collate;
mod contrast;
#[cfg(feature = "run")]
pub mod corrupt;
mod corruption;
#[cfg(feature = "run")]
mod denoise;
mod network;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
#[cfg(feature = "run")]
mod report;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{FloatDType, Tensor};

#[cfg(feature = "run")]
pub use collate::RestorationCollate;
pub use corruption::CorruptionConfig;
#[cfg(feature = "run")]
pub use denoise::denoise;
pub use network::{ConvPair, RestorationEncoder, RestorationEncoderConfig, RestorationHead};
#[cfg(feature = "run")]
pub use report::{Quality, Restored};

use crate::batch::RestorationBatch;
use crate::config::config;
use crate::encoder::VitConfig;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::image::{PatchLayout, SSIM_WINDOW, denormalize, psnr, ssim, unpatchify};
use crate::nn::{Init, InitialWeights, cast_parameters, per_token};
use crate::task::{Measured, PretextTask, TaskOutput};

config! {
    /// The parts of a [`Restoration`].
    #[derive(Debug, PartialEq)]
    pub struct RestorationConfig {
        /// Images and sizes of the transformer; its patches are cut from feature maps.
        pub encoder: VitConfig,
        /// Feature maps between heads, transformer and tails. Default: 64, the official code's
        pub features: usize = 64,
        /// The corruptions. Default: the paper's six
        pub corruptions: Vec<CorruptionConfig> = CorruptionConfig::paper(),
        /// The weight of the contrastive loss. Default: 0.1 (§3.2, §4)
        pub contrast: f64 = 0.1,
    }
}

impl RestorationConfig {
    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: patch
    /// 4, transformer 128 × 4, 16 feature maps, no contrastive loss.
    pub fn small_images(image: ImageShape) -> Self {
        let encoder = VitConfig::new(image, 4, 128, 4, 4).with_class_token(false);
        Self::new(encoder).with_features(16).with_contrast(0.0)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.network().validate()?;
        self.corruptions.iter().try_for_each(CorruptionConfig::validate)?;
        ensure!(
            self.contrast >= 0.0 && (self.contrast as f32).is_finite(),
            "the weight of the contrastive loss must be finite and not negative, got {:?}",
            self.contrast
        );
        let ImageShape { height, width, .. } = self.encoder.image;
        ensure!(
            height.min(width) >= SSIM_WINDOW,
            "restored images are measured in windows of {SSIM_WINDOW}×{SSIM_WINDOW} pixels, and \
             are {height}×{width}"
        );
        Ok(())
    }

    /// The encoder's sizes.
    pub fn network(&self) -> RestorationEncoderConfig {
        let (transformer, features) = (self.encoder.clone(), self.features);
        RestorationEncoderConfig { transformer, features, corruptions: self.corruptions.len() }
    }

    /// The model with fresh weights; `mean` and `std` are the statistics its images are normalized
    /// with.
    ///
    /// # Panics
    ///
    /// With the message of [`RestorationConfig::validate`] when that fails.
    pub fn init(&self, mean: &[f32], std: &[f32], weights: &mut InitialWeights) -> Restoration {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let Self { encoder, features, corruptions, contrast } = self;
        let patch = features * encoder.patch * encoder.patch;
        let count = corruptions.len();
        Restoration {
            encoder: self.network().init(weights),
            unembed: weights.linear(encoder.width, patch, Init::XavierUniform),
            tails: (0..count)
                .map(|_| ConvPair::new([*features, encoder.image.channels], weights))
                .collect(),
            patch: encoder.patch,
            contrast: *contrast,
            mean: mean.to_vec(),
            std: std.to_vec(),
        }
    }
}

/// Restores images, given the number of their corruption.
#[derive(Module, Debug)]
pub struct Restoration {
    /// The encoder, which is kept after pre-training.
    pub encoder: RestorationEncoder,
    /// A token → its patch of feature maps.
    pub unembed: Linear,
    /// For each corruption, feature maps → what is added to the image.
    pub tails: Vec<ConvPair>,
    patch: usize,
    contrast: f64,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Restoration {
    /// The restored images, normalized as `images` are.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`, with corruption number `corruption`
    /// - output: the same
    ///
    /// # Panics
    ///
    /// When there is no such corruption, or the images do not divide into patches.
    pub fn restore(&self, images: Tensor<4>, corruption: usize) -> Tensor<4> {
        images.clone() + self.change_and_encode(images, corruption).0
    }

    /// What is added to the images, and the encoder's tokens.
    fn change_and_encode(&self, images: Tensor<4>, corruption: usize) -> (Tensor<4>, Tensor<3>) {
        let (maps, tokens) = self.encoder.encode_corrupted(images, corruption);
        let patches = per_token(&self.unembed, tokens.tokens.clone());
        let layout = PatchLayout::ChannelsFirst;
        let maps = maps + unpatchify(patches, tokens.grid, self.patch, layout);
        (self.tails[corruption].forward(maps), tokens.tokens)
    }

    /// Normalized images with values from 0 to 1.
    pub fn displayed(&self, images: Tensor<4>) -> Tensor<4> {
        denormalize(images, &self.mean, &self.std).clamp(0.0, 1.0)
    }

    /// The quality of images: the means of [`psnr`] and [`ssim`].
    pub fn quality(&self, images: Tensor<4>, clean: Tensor<4>) -> [Tensor<1>; 2] {
        let (images, clean) = (self.displayed(images.detach()), self.displayed(clean));
        [psnr(images.clone(), clean.clone()).mean(), ssim(images, clean).mean()]
    }
}

impl PretextTask for Restoration {
    type Batch = RestorationBatch;
    type Observed = ();

    fn loss(&self, batch: RestorationBatch) -> TaskOutput {
        let (change, tokens) = self.change_and_encode(batch.corrupted.clone(), batch.corruption);
        self.judge(batch.corrupted + change, tokens, batch.clean).into()
    }

    /// What is added to the images is computed in `dtype`; the images themselves are not rounded.
    fn loss_in(&self, batch: RestorationBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let whole = batch.clean.dtype();
        let network = cast_parameters(self, dtype);
        let images = batch.corrupted.clone().cast(dtype);
        let (change, tokens) = network.change_and_encode(images, batch.corruption);
        let restored = batch.corrupted + change.cast(whole);
        Ok(self.judge(restored, tokens.cast(whole), batch.clean).into())
    }

    fn measure(&self, batch: RestorationBatch) -> Measured {
        let RestorationBatch { corrupted, clean, corruption } = batch;
        let (change, tokens) = self.change_and_encode(corrupted.clone(), corruption);
        let restored = corrupted.clone() + change;
        let [psnr, ssim] = self.quality(restored.clone(), clean.clone());
        let [psnr_corrupted, ssim_corrupted] = self.quality(corrupted, clean.clone());
        let metrics = [
            ("psnr", psnr),
            ("ssim", ssim),
            ("psnr_corrupted", psnr_corrupted),
            ("ssim_corrupted", ssim_corrupted),
        ];
        Measured::new(self.judge(restored, tokens, clean), metrics)
    }

    /// The loss of leaving images as they are.
    fn trivial_loss(&self, batch: &RestorationBatch) -> Option<Tensor<1>> {
        let RestorationBatch { corrupted, clean, .. } = batch;
        let alike = contrast::indifferent(clean.dims()[0]);
        Some((corrupted.clone() - clean.clone()).abs().mean() + self.contrast * alike)
    }
}

impl Restoration {
    fn judge(&self, restored: Tensor<4>, tokens: Tensor<3>, clean: Tensor<4>) -> Tensor<1> {
        let error = (restored - clean).abs().mean();
        match self.contrast {
            0.0 => error,
            weight => error + contrast::contrast(tokens) * weight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Backbone;
    use crate::test_device;

    fn config() -> RestorationConfig {
        let encoder = VitConfig::new(ImageShape::new(2, 12, 16), 4, 8, 1, 2);
        RestorationConfig::new(encoder).with_features(4)
    }

    fn task() -> Restoration {
        config().init(&[0.5; 2], &[0.25; 2], &mut InitialWeights::new(0, &test_device()))
    }

    #[test]
    fn a_fresh_model_leaves_images_as_they_are() {
        let images =
            Tensor::random([2, 2, 12, 16], burn::tensor::Distribution::Default, &test_device());
        let restored = task().restore(images.clone(), 5);
        restored.into_data().assert_eq(&images.into_data(), true);
    }

    #[test]
    fn the_encoder_represents_images_of_other_sizes() {
        let tokens = task().encoder.represent(Tensor::ones([1, 2, 8, 20], &test_device()));
        assert_eq!(tokens.tokens.dims(), [1, 10, 8]);
        assert_eq!(task().encoder.layer_of("body.transformer.blocks.0.norm1.gamma"), 1);
        assert_eq!(task().encoder.layer_of("heads.3.embed.weight"), 0);
    }

    #[test]
    fn broken_parts_are_named() {
        let message = |config: RestorationConfig| config.validate().unwrap_err().to_string();
        assert!(message(config().with_corruptions(vec![])).contains("needs a corruption"));
        assert!(message(config().with_contrast(f64::NAN)).contains("got NaN"));
        let none = vec![CorruptionConfig::Downsample { factor: 1 }];
        assert!(message(config().with_corruptions(none)).contains("downsample-1"));
    }

    fn images(value: f64) -> Tensor<4> {
        Tensor::full([4, 2, 12, 16], value, &test_device())
    }

    #[test]
    fn a_fresh_model_has_the_loss_and_the_quality_of_the_corrupted_images() {
        let batch =
            || RestorationBatch { corrupted: images(0.5), clean: images(0.2), corruption: 1 };
        let task = |contrast| {
            let config = config().with_contrast(contrast);
            config.init(&[0.5; 2], &[0.25; 2], &mut InitialWeights::new(0, &test_device()))
        };
        let output = task(0.0).measure(batch());
        assert!((output.loss.into_scalar::<f32>() - 0.3).abs() < 1e-6);
        let metrics: Vec<f32> =
            output.metrics.into_iter().map(|(_, metric)| metric.into_scalar()).collect();
        // Shown, 0.625 and 0.55: SSIM of two constants, and 20 log₁₀ of the distance.
        let ssim = (2.0 * 0.625 * 0.55 + 1e-4) / (0.625f32.powi(2) + 0.55f32.powi(2) + 1e-4);
        let psnr = -20.0 * 0.075f32.log10();
        for (metric, expected) in metrics.iter().zip([psnr, ssim, psnr, ssim]) {
            assert!((metric - expected).abs() < 1e-3, "{metrics:?} {psnr} {ssim}");
        }
        let trivial: f32 = task(0.0).trivial_loss(&batch()).unwrap().into_scalar();
        assert!((trivial - 0.3).abs() < 1e-6, "{trivial}");
        // Of four images each is compared with three others.
        let trivial: f32 = task(0.5).trivial_loss(&batch()).unwrap().into_scalar();
        assert!((trivial - (0.3 + 0.5 * 3f32.ln())).abs() < 1e-5, "{trivial}");
    }

    struct Fill;

    impl burn::module::ModuleMapper for Fill {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            param.map(|values| values.full_like(0.01))
        }
    }

    #[test]
    fn what_is_judged_is_what_is_restored_and_the_transformer_adds_to_the_maps() {
        let mut task = task();
        task.contrast = 0.0;
        task.tails = task.tails.map(&mut Fill);
        let restored = task.restore(images(0.5), 1);
        let expected: f32 = (restored.clone() - images(0.2)).abs().mean().into_scalar();
        let batch = RestorationBatch { corrupted: images(0.5), clean: images(0.2), corruption: 1 };
        assert!((task.loss(batch).loss.into_scalar::<f32>() - expected).abs() < 1e-6);
        // All weights behind the transformer's patches are above 0: more there is more in the image.
        task.unembed = task.unembed.map(&mut Fill);
        let less = task.restore(images(0.5), 1);
        task.unembed.bias = task.unembed.bias.map(|bias| bias.map(|bias| bias + 1.0));
        let more = task.restore(images(0.5), 1);
        assert!((more - less).min().into_scalar::<f32>() > 0.0);
    }
}

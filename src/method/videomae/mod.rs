//! Masked autoencoders of video (Tong et al. 2022, arXiv 2203.12602).

#[cfg(feature = "run")]
mod collate;
mod copying;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
#[cfg(feature = "run")]
mod strips;
mod task;

use std::sync::Arc;

#[cfg(feature = "run")]
pub use collate::ClipCollate;
#[cfg(feature = "run")]
pub use strips::{ClipStrips, clip_strips};
pub use task::{ClipMotion, VideoMae};

use crate::config::config;
use crate::encoder::ClipVitConfig;
use crate::error::Result;
use crate::grid::ClipShape;
use crate::head::ClipDecoderConfig;
use crate::image::ChannelStatistics;
use crate::mask::{ClipMaskConfig, MaskStrategy};
use crate::nn::InitialWeights;
use crate::target::{ClipMotionConfig, ClipPixelTarget};

config! {
    /// The parts of a [`VideoMae`], with the paper's defaults.
    #[derive(Debug, PartialEq)]
    pub struct VideoMaeConfig {
        /// The encoder.
        pub encoder: ClipVitConfig,
        /// The decoder. Default: 384 features, 4 blocks, 6 heads, the paper's for ViT-B
        pub decoder: ClipDecoderConfig = ClipDecoderConfig::new(),
        /// What is hidden. Default: tubes, 0.9 of each step (§3.3)
        pub mask: ClipMaskConfig = ClipMaskConfig::Tube { ratio: 0.9 },
        /// Whether the pixels of each channel of each tubelet are normalized. Default: true (§3.3)
        pub normalized: bool = true,
        /// What the clips are normalized by; the target is what they were before. Default:
        /// ImageNet's where there are three channels, as in the official code; else nothing
        pub statistics: Option<ChannelStatistics> = None,
        /// What features of the visible tubelets tell of motion, beside the pixels of hidden ones that a
        /// decoder predicts, if anything.
        /// Default: none
        pub motion: Option<ClipMotionConfig> = None,
    }
}

/// The mean and deviation of ImageNet's images, by which published models read clips.
fn imagenet() -> ChannelStatistics {
    ChannelStatistics { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
}

impl VideoMaeConfig {
    /// ViT-S/16 with a decoder of half its width: 192 features, 4 blocks, 3 heads (official code).
    pub fn small_patch16() -> Self {
        let decoder = ClipDecoderConfig::new().with_width(192).with_heads(3);
        Self::new(ClipVitConfig::small_patch16()).with_decoder(decoder)
    }

    /// ViT-B/16 with the paper's decoder.
    pub fn base_patch16() -> Self {
        Self::new(ClipVitConfig::base_patch16())
    }

    /// ViT-L/16 with a decoder of half its width: 512 features, 8 heads; 12 blocks, as its published
    /// recipe sets.
    pub fn large_patch16() -> Self {
        let decoder = ClipDecoderConfig::new().with_width(512).with_heads(8).with_depth(12);
        Self::new(ClipVitConfig::large_patch16()).with_decoder(decoder)
    }

    /// A model for clips of a few dozen pixels whose features tell how something moves after minutes on a
    /// laptop's processor (docs/methods.md): an encoder of convolutions and one block, a decoder of 64 × 1,
    /// tubes of a quarter hidden, and the motion of visible tubelets beside the pixels of hidden ones, which
    /// are not normalized, since a small tubelet of a plain ground is noise once it is.
    pub fn small_clips(clip: ClipShape) -> Self {
        let decoder = ClipDecoderConfig::new().with_width(64).with_depth(1).with_heads(2);
        Self::new(ClipVitConfig::small_clips(clip))
            .with_decoder(decoder)
            .with_mask(ClipMaskConfig::Tube { ratio: 0.25 })
            .with_normalized(false)
            .with_motion(Some(ClipMotionConfig::new().with_weight(0.3)))
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.decoder.validate(&self.encoder)?;
        self.target().validate()?;
        if let Some(motion) = &self.motion {
            motion.validate(self.encoder.tubelet)?;
        }
        self.mask().map(|_| ())
    }

    /// What draws the masks, on the flat grid of the encoder.
    ///
    /// # Errors
    ///
    /// As [`ClipMaskConfig::build`], and when the tubelets do not tile the clip.
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        let ClipVitConfig { clip, tubelet, patch, .. } = self.encoder;
        self.mask.build(clip.grid(tubelet, patch)?)
    }

    /// What the clips are normalized by, as far as it is known.
    pub fn statistics(&self) -> Option<ChannelStatistics> {
        let usual = (self.encoder.clip.image.channels == 3).then(imagenet);
        self.statistics.clone().or(usual)
    }

    fn target(&self) -> ClipPixelTarget {
        let ClipVitConfig { clip, tubelet, patch, .. } = self.encoder;
        ClipPixelTarget {
            channels: clip.image.channels,
            tubelet,
            patch,
            normalized: self.normalized,
            statistics: self.statistics(),
        }
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`VideoMaeConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> VideoMae {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let target = self.target();
        VideoMae {
            encoder: self.encoder.init(weights),
            head: self.decoder.init(&self.encoder, target.width(), weights),
            target,
            motion: ClipMotion::new(self, weights),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::ClipBatch;
    use crate::grid::ImageShape;
    use crate::mask::Mask;
    use crate::rng::{Purpose, stream};
    use crate::task::PretextTask;
    use crate::test_device;
    use burn::optim::{AdamWConfig, GradientsParams};
    use burn::tensor::{FloatDType, Tensor, TensorData};

    /// Four tubelets of 4 × 4 pixels at each of two steps.
    fn config() -> VideoMaeConfig {
        let encoder = ClipVitConfig::new(clip(), 2, 4, 24, 2, 2);
        let decoder = ClipDecoderConfig::new().with_width(16).with_depth(1).with_heads(2);
        VideoMaeConfig::new(encoder)
            .with_decoder(decoder)
            .with_mask(ClipMaskConfig::Tube { ratio: 0.5 })
    }

    fn clip() -> ClipShape {
        ClipShape::new(ImageShape::square(1, 8), 4)
    }

    /// Gradients of brightness that move to the right, each with a phase of its own.
    fn batch(config: &VideoMaeConfig) -> ClipBatch {
        let value = |at: usize| {
            let (clip, frame, row, col) = (at / 256, at / 64 % 4, at / 8 % 8, at % 8);
            ((clip * 5 + frame + 2 * row + col) as f32 * 0.6).sin()
        };
        let values: Vec<f32> = (0..8 * 256).map(value).collect();
        let clips = Tensor::from_data(TensorData::new(values, [8, 1, 4, 8, 8]), &test_device());
        let mask = config.mask().unwrap();
        let masks = (0..8).map(|at| mask.sample(&mut stream(0, Purpose::Mask, 0, at)));
        ClipBatch::new(clips, Mask::new(masks.collect::<Vec<_>>(), &test_device()).unwrap())
    }

    #[test]
    fn presets_are_valid_and_hide_what_the_official_code_hides() {
        for config in [
            VideoMaeConfig::small_patch16(),
            VideoMaeConfig::base_patch16(),
            VideoMaeConfig::large_patch16(),
        ] {
            config.validate().unwrap();
            assert_eq!(config.mask().unwrap().hidden(), 1408);
            assert_eq!(config.target().width(), 1536);
            assert_eq!(config.decoder.width * 2, config.encoder.width);
        }
        VideoMaeConfig::small_clips(ClipShape::new(ImageShape::new(3, 24, 32), 8))
            .validate()
            .unwrap();
    }

    #[test]
    fn a_few_steps_beat_the_trivial_prediction() {
        let config = config();
        let mut weights = InitialWeights::new(0, &test_device().autodiff());
        let mut model = config.init(&mut weights);
        let batch = batch(&config);
        let trivial = model.trivial_loss(&batch).unwrap().into_scalar::<f32>();
        let mut optimizer = AdamWConfig::new().init();
        for _ in 0..60 {
            let gradients = model.loss(batch.clone()).loss.backward();
            let gradients = GradientsParams::from_grads(gradients, &model);
            model = optimizer.step(3e-3, model, gradients);
        }
        let loss = model.loss(batch).loss.into_scalar::<f32>();
        assert!(loss < 0.5 * trivial, "{loss} of {trivial}");
    }

    #[test]
    fn motion_of_visible_tubelets_is_predicted_beside_the_pixels_of_hidden_ones() {
        let config = config().with_motion(Some(ClipMotionConfig::new().with_weight(0.5)));
        let mut model = config.init(&mut InitialWeights::new(0, &test_device().autodiff()));
        let batch = batch(&config);
        assert_eq!(model.predict(&batch).dims(), [8, 4, 32]);
        let motion = |model: &VideoMae| {
            let measured = model.measure(batch.clone());
            let [copying, pixels, motion] = ["copying", "pixels", "motion"].map(|name| {
                let found = measured.metrics.iter().find(|(metric, _)| *metric == name);
                found.unwrap().1.clone().into_scalar::<f32>()
            });
            let loss = measured.loss.into_scalar::<f32>();
            assert!(copying > 0.0 && (loss - pixels - 0.5 * motion).abs() < 1e-5);
            motion
        };
        let first = motion(&model);
        let mut optimizer = AdamWConfig::new().init();
        for _ in 0..60 {
            let gradients = model.loss(batch.clone()).loss.backward();
            let gradients = GradientsParams::from_grads(gradients, &model);
            model = optimizer.step(3e-3, model, gradients);
        }
        let last = motion(&model);
        assert!(last < 0.5 * first, "{last} of {first}");
        let trivial = model.trivial_loss(&batch).unwrap().into_scalar::<f32>();
        assert!(trivial.is_finite() && trivial > 0.0);
    }

    #[test]
    fn half_precision_of_the_same_type_is_the_same_and_layers_are_counted() {
        let (config, mut weights) = (config(), InitialWeights::new(0, &test_device()));
        let model = config.init(&mut weights);
        let whole = model.loss(batch(&config)).loss.into_data();
        let cast = model.loss_in(batch(&config), FloatDType::F32).unwrap().loss.into_data();
        assert_eq!(cast, whole);
        assert_eq!(model.layers_above("encoder.patch_embed.weight"), 3);
        assert_eq!(model.layers_above("encoder.transformer.blocks.1.norm1.gamma"), 1);
        assert_eq!(model.layers_above("head.embed.weight"), 0);
    }

    #[test]
    fn predictions_are_put_where_they_belong() {
        let (config, mut weights) = (config(), InitialWeights::new(0, &test_device()));
        let (model, batch) = (config.init(&mut weights), batch(&config));
        let shown = model.reconstruct(&batch);
        assert_eq!(shown.dims(), [8, 1, 4, 8, 8]);
        let share = shown.not_equal_elem(0.0).float().mean().into_scalar::<f32>();
        assert!((share - 0.5).abs() < 1e-6, "{share}");
    }

    #[test]
    fn every_broken_part_is_named() {
        let broken = |config: VideoMaeConfig| config.validate().unwrap_err().to_string();
        let mask = ClipMaskConfig::Tube { ratio: 0.1 };
        assert!(broken(config().with_mask(mask)).contains("got 0 hidden of the 4 cells"));
        let decoder = ClipDecoderConfig::new().with_heads(5);
        assert!(broken(config().with_decoder(decoder)).contains("5 heads"));
        let statistics = Some(ChannelStatistics::none(2));
        assert!(broken(config().with_statistics(statistics)).contains("statistics of 2"));
        let motion = Some(ClipMotionConfig::new().with_bins(0));
        assert!(broken(config().with_motion(motion)).contains("motion.bins"));
        let single = ClipVitConfig::new(clip(), 1, 1, 8, 1, 2);
        assert!(broken(VideoMaeConfig::new(single)).contains("a tubelet of 1 value"));
    }
}

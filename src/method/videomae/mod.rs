//! Masked autoencoders of video (Tong et al. 2022, arXiv 2203.12602).

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{FloatDType, Tensor};

use crate::batch::ClipBatch;
use crate::config::config;
use crate::encoder::{ClipVit, ClipVitConfig, Encoder, layers_above};
use crate::error::Result;
use crate::grid::ClipShape;
use crate::head::{ClipDecoderConfig, Decoder, PredictionHead};
use crate::image::ChannelStatistics;
use crate::mask::{ClipMaskConfig, MaskStrategy};
use crate::nn::{InitialWeights, cast_parameters};
use crate::target::ClipPixelTarget;
use crate::task::{PretextTask, TaskOutput};

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

    /// A model for clips of a few dozen pixels that a laptop's processor trains in minutes: encoder 128
    /// × 6, decoder 64 × 2.
    pub fn small_clips(clip: ClipShape) -> Self {
        let decoder = ClipDecoderConfig::new().with_width(64).with_depth(2).with_heads(2);
        Self::new(ClipVitConfig::small_clips(clip)).with_decoder(decoder)
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
        }
    }
}

/// VideoMAE: encode a tenth of the tubelets of a clip, decode all of them, compare the hidden pixels.
#[derive(Module, Debug)]
pub struct VideoMae {
    /// What is kept after pre-training.
    pub encoder: ClipVit,
    /// Predicts the hidden tubelets.
    pub head: Decoder,
    /// What they should have been.
    pub target: ClipPixelTarget,
}

impl VideoMae {
    /// The predictions of the hidden tubelets, `[batch, hidden, channels · tubelet · patch²]`.
    ///
    /// # Panics
    ///
    /// When the clips are of another shape than the encoder's, or the mask does not fit them.
    pub fn predict(&self, batch: &ClipBatch) -> Tensor<3> {
        let features = self.encoder.encode(batch.clips.clone(), &batch.mask);
        self.head.predict(features, &batch.mask)
    }

    /// The predicted pixels of the hidden tubelets, zero elsewhere, as clips: see
    /// [`ClipPixelTarget::reconstruct`].
    pub fn reconstruct(&self, batch: &ClipBatch) -> Tensor<5> {
        self.target.reconstruct(self.predict(batch), batch)
    }
}

impl PretextTask for VideoMae {
    type Batch = ClipBatch;
    type Observed = ();

    fn loss(&self, batch: ClipBatch) -> TaskOutput {
        let value = self.target.of(&batch);
        self.target.loss(self.predict(&batch), value).into()
    }

    /// The encoder and the decoder compute in `dtype`, the target in its own type.
    fn loss_in(&self, batch: ClipBatch, dtype: FloatDType) -> Result<TaskOutput> {
        let value = self.target.of(&batch);
        let whole: FloatDType = batch.clips.dtype().into();
        let encoder = cast_parameters(&self.encoder, dtype);
        let features = encoder.encode(batch.clips.cast(dtype), &batch.mask);
        let prediction = cast_parameters(&self.head, dtype).predict(features, &batch.mask);
        Ok(self.target.loss(prediction.cast(whole), value).into())
    }

    fn trivial_loss(&self, batch: &ClipBatch) -> Option<Tensor<1>> {
        let value = self.target.of(batch);
        Some(self.target.loss(self.target.trivial_prediction(&value), value))
    }

    fn layers_above(&self, parameter: &str) -> usize {
        layers_above(&self.encoder, "encoder", parameter)
    }
}

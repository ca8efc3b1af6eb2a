//! Image-based joint-embedding predictive architecture (I-JEPA, Assran et al. 2023, arXiv 2301.08243).

#[cfg(feature = "run")]
mod collate;
#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod picture;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
mod task;
#[cfg(all(test, feature = "run"))]
mod tests;

#[cfg(feature = "run")]
pub use collate::IJepaCollate;
#[cfg(feature = "run")]
pub use picture::ijepa_sheet;
pub use task::{IJepa, IJepaBatch};

use crate::config::config;
use crate::encoder::{VitConfig, VitInit};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::DecoderConfig;
use crate::mask::{MultiBlock, MultiBlockConfig};
use crate::nn::{InitialWeights, Momentum, teacher_of};

config! {
    /// The parts of an [`IJepa`], with the numbers of the official configurations
    /// (facebookresearch/ijepa, `configs/`).
    #[derive(Debug, PartialEq)]
    pub struct IJepaConfig {
        /// The encoder, in the official code without class token.
        pub encoder: VitConfig,
        /// The predictor, whose `attention` is not looked at. Default: 384 features, 12 blocks, 16
        /// heads, those of ViT-H
        pub predictor: DecoderConfig = DecoderConfig::new().with_width(384).with_depth(12),
        /// The context and the target blocks. Default: four targets of 0.15 to 0.2 of the image
        pub mask: MultiBlockConfig = MultiBlockConfig::new(),
        /// The share of the target encoder that a step keeps. Default: from 0.996 to 1
        pub momentum: Momentum = Momentum::new(0.996, 1.0),
    }
}

impl IJepaConfig {
    /// An encoder of the published sizes and start, without class token, whose predictor has as many
    /// heads as it has and `depth` blocks.
    fn of_vit(encoder: VitConfig, depth: usize) -> Self {
        let predictor = DecoderConfig::new().with_width(384).with_depth(depth);
        let predictor = predictor.with_heads(encoder.heads);
        Self::new(encoder.with_class_token(false).with_init(VitInit::Normal))
            .with_predictor(predictor)
    }

    /// ViT-B/16 with a predictor of 6 blocks (appendix A.1).
    pub fn base_patch16() -> Self {
        Self::of_vit(VitConfig::base_patch16(), 6)
    }

    /// ViT-L/16 with a predictor of 12 blocks (appendix A.1).
    pub fn large_patch16() -> Self {
        Self::of_vit(VitConfig::large_patch16(), 12)
    }

    /// ViT-H/14 with a predictor of 12 blocks (`in1k_vith14_ep300.yaml`).
    pub fn huge_patch14() -> Self {
        Self::of_vit(VitConfig::huge_patch14(), 12)
    }

    /// ViT-G/16, 1408 features and 40 blocks, with a predictor of 16 blocks (`in22k_vitg16_ep44.yaml`).
    pub fn giant_patch16() -> Self {
        let encoder = VitConfig::new(ImageShape::square(3, 224), 16, 1408, 40, 16);
        Self::of_vit(encoder.with_mlp_ratio(48.0 / 11.0), 16)
    }

    /// MAE's encoder for images of a few dozen pixels, with a small predictor and a teacher that
    /// moves as fast as a run of minutes needs.
    pub fn small_images(image: ImageShape) -> Self {
        let encoder = VitConfig::new(image, 4, 128, 6, 4).with_class_token(false);
        // What cannot be cut into patches is refused by `validate`.
        let mask = image.grid(4).map_or(MultiBlockConfig::new(), MultiBlockConfig::small_images);
        Self::new(encoder)
            .with_predictor(DecoderConfig::new().with_width(64).with_depth(3).with_heads(2))
            .with_mask(mask)
            .with_momentum(Momentum::new(0.99, 1.0))
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.encoder.check_absolute()?;
        self.encoder.check_without_stem("I-JEPA")?;
        self.predictor.validate(&self.encoder)?;
        self.momentum.validate()?;
        self.mask().map(drop)
    }

    /// What draws the contexts and the target blocks.
    ///
    /// # Errors
    ///
    /// As [`MultiBlockConfig::build`], and when the patch does not divide the image.
    pub fn mask(&self) -> Result<MultiBlock> {
        self.mask.build(self.encoder.image.grid(self.encoder.patch)?)
    }

    /// The task with fresh weights; its target encoder starts as the context encoder does.
    ///
    /// # Panics
    ///
    /// With the message of [`IJepaConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> IJepa {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let context_encoder = self.encoder.init_visible(weights);
        let predictor = self.predictor.init_predictor(&self.encoder, self.encoder.width, weights);
        let encoder = teacher_of(&context_encoder.body);
        IJepa { context_encoder, predictor, encoder, momentum: self.momentum }
    }
}

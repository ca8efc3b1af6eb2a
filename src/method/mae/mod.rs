//! Masked autoencoders (He et al. 2021, arXiv 2111.06377).

#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
mod target;
mod task;
#[cfg(all(test, feature = "run"))]
mod task_tests;
#[cfg(feature = "run")]
mod teacher;

pub use target::{MaeTarget, MaeTargetConfig};
pub use task::{MaeTask, ViewContrast, ViewContrastConfig};
#[cfg(feature = "run")]
pub(super) use teacher::small_teacher;

use std::sync::Arc;

use crate::config::config;
use crate::encoder::{ConvStemConfig, VisibleVit, VitConfig};
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::head::{AnyDecoder, DecoderAttention, DecoderConfig};
use crate::mask::{AskedConfig, MaskConfig, MaskStrategy};
use crate::nn::InitialWeights;
use crate::target::{Normalization, Target};
use crate::task::Mim;

/// MAE: encode a quarter of the patches, decode all of them, compare the hidden pixels.
pub type Mae = Mim<VisibleVit, AnyDecoder, MaeTarget>;

config! {
    /// The parts of an [`Mae`], with the paper's defaults.
    #[derive(Debug, PartialEq)]
    pub struct MaeConfig {
        /// The encoder.
        pub encoder: VitConfig,
        /// The decoder. Default: 512 features, 8 blocks, 16 heads (§4.1, Table 1)
        pub decoder: DecoderConfig = DecoderConfig::new(),
        /// What is hidden. Default: three quarters of the patches, at random (§4.1, Figure 5)
        pub mask: MaskConfig = MaskConfig::Mae { ratio: 0.75 },
        /// Whether each patch's pixels are normalized. Default: true, the better of the two (Table
        /// 1d)
        pub normalized: bool = true,
        /// What is predicted of a patch. Default: its pixels
        pub target: MaeTargetConfig = MaeTargetConfig::Pixels {},
        /// Which cells are predicted. Default: the hidden ones (§3)
        pub asked: AskedConfig = AskedConfig::Hidden {},
        /// How the images of a batch are told apart by two views of each, if they are. Default: none
        pub contrast: Option<ViewContrastConfig> = None,
    }
}

impl MaeConfig {
    /// ViT-B/16 with the paper's decoder.
    pub fn base_patch16() -> Self {
        Self::new(VitConfig::base_patch16())
    }

    /// ViT-L/16 with the paper's decoder.
    pub fn large_patch16() -> Self {
        Self::new(VitConfig::large_patch16())
    }

    /// ViT-H/14 with the paper's decoder.
    pub fn huge_patch14() -> Self {
        Self::new(VitConfig::huge_patch14())
    }

    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: patch
    /// 4, encoder 128 × 6, decoder 64 × 2.
    pub fn small_images(image: ImageShape) -> Self {
        let decoder = DecoderConfig::new().with_width(64).with_depth(2).with_heads(2);
        Self::new(VitConfig::new(image, 4, 128, 6, 4)).with_decoder(decoder)
    }

    /// A model for images of a few dozen pixels whose features are worth more than the pixels after
    /// minutes on a laptop's processor (docs/recipes.md): convolutions with batch norms before patches of 8
    /// pixels, or of 4 or 7 where 8 do not divide the image; encoder 192 × 1, decoder 64 × 1; an eighth of
    /// the patches hidden; histograms of gradients beside the pixels; and a contrast of two views of each
    /// image that counts ten times as much.
    pub fn two_views_small_images(image: ImageShape) -> Self {
        let contrast = ViewContrastConfig::new().with_weight(10.0);
        let decoder = DecoderConfig::new().with_width(64).with_depth(1).with_heads(2);
        let divides =
            |side: &usize| image.height.is_multiple_of(*side) && image.width.is_multiple_of(*side);
        let patch = [8, 4, 7].into_iter().find(divides).unwrap_or(8);
        let stem = ConvStemConfig::new(vec![48, 96, 192]);
        Self::new(VitConfig::new(image, patch, 192, 1, 6).with_stem(Some(stem)))
            .with_decoder(decoder)
            .with_mask(MaskConfig::Mae { ratio: 0.125 })
            .with_target(MaeTargetConfig::pixels_and_hog())
            .with_contrast(Some(contrast))
    }

    /// CrossMAE on ViT-S/16 (arXiv 2401.14391, official code): 12 blocks of cross-attention, 256
    /// features and 8 heads, which decode a third of the hidden patches.
    pub fn cross_small_patch16() -> Self {
        let decoder = DecoderConfig::new().with_width(256).with_heads(8);
        Self::new(VitConfig::small_patch16()).with_decoder(decoder).decoding_a_third()
    }

    /// CrossMAE on ViT-B/16 (arXiv 2401.14391, official code): 12 blocks of cross-attention, 512
    /// features and 16 heads, which decode a third of the hidden patches.
    pub fn cross_base_patch16() -> Self {
        Self::base_patch16().decoding_a_third()
    }

    /// As the papers' CrossMAE: 12 blocks of cross-attention, a quarter of all patches decoded.
    fn decoding_a_third(self) -> Self {
        let decoder = self.decoder.clone().with_depth(12).with_attention(DecoderAttention::Cross);
        self.with_decoder(decoder).with_asked(AskedConfig::Part { share: 0.25 })
    }

    /// [`small_images`](Self::small_images) with CrossMAE's decoder on a quarter of all patches.
    pub fn cross_small_images(image: ImageShape) -> Self {
        let small = Self::small_images(image);
        let decoder = small.decoder.clone().with_attention(DecoderAttention::Cross);
        small.with_decoder(decoder).with_asked(AskedConfig::Part { share: 0.25 })
    }

    /// Checks that this is the paper's own model, which published files and other libraries' classes
    /// hold: pixels, predicted with full attention.
    ///
    /// # Errors
    ///
    /// Names the part that those have not.
    pub(crate) fn check_published(&self) -> Result<()> {
        let instead = "export its encoder, or a bare file of safetensors";
        ensure!(
            self.target.is_pixels(),
            "published masked autoencoders predict the pixels of patches, and this model predicts {}: \
             {instead}",
            self.target
        );
        ensure!(
            self.decoder.attention == DecoderAttention::Full,
            "published masked autoencoders decode with full attention, and this model with \
             cross-attention: {instead}"
        );
        Ok(())
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.encoder.check_absolute()?;
        self.decoder.validate(&self.encoder)?;
        if self.normalized {
            Normalization::Cell.validate_for(self.encoder.patch_values())?;
        }
        self.target.validate(self.encoder.image, self.encoder.patch)?;
        if let Some(contrast) = &self.contrast {
            contrast.validate(self.encoder.width)?;
        }
        self.asked.validate(&*self.mask()?)
    }

    /// What draws the masks.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.encoder.image, self.encoder.patch)
    }

    /// The model with fresh weights, and what tells its images apart.
    ///
    /// # Panics
    ///
    /// With the message of [`MaeConfig::validate`] when that fails.
    pub fn init_task(&self, weights: &mut InitialWeights) -> MaeTask {
        let mae = self.init(weights);
        let contrast = self.contrast.as_ref();
        let contrast = contrast.map(|contrast| contrast.init(self.encoder.width, weights));
        MaeTask { contrast, ..mae.into() }
    }

    /// The model with fresh weights.
    ///
    /// # Panics
    ///
    /// With the message of [`MaeConfig::validate`] when that fails.
    pub fn init(&self, weights: &mut InitialWeights) -> Mae {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let VitConfig { image, patch, .. } = self.encoder;
        let target = self.target.init(image.channels, patch, self.normalized);
        Mim {
            encoder: self.encoder.init_visible(weights),
            head: self.decoder.init_any(&self.encoder, target.width(), weights),
            target,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> MaeConfig {
        MaeConfig::small_images(ImageShape::square(3, 32))
    }

    #[test]
    fn numbers_without_a_target_or_a_kind_of_decoder_are_the_papers() {
        let mut json = serde_json::to_value(small()).unwrap();
        let fields = json.as_object_mut().unwrap();
        assert!(fields.remove("target").is_some() && fields.remove("asked").is_some());
        assert!(fields["decoder"].as_object_mut().unwrap().remove("attention").is_some());
        let old: MaeConfig = serde_json::from_value(json).unwrap();
        assert_eq!(old, small());
        assert!(old.check_published().is_ok());
    }

    #[test]
    fn parameters_have_the_paths_of_the_decoder_whatever_is_predicted() {
        let weights = &mut InitialWeights::new(0, &crate::test_device());
        for config in [small(), small().with_target(MaeTargetConfig::pixels_and_hog())] {
            let names = crate::nn::named_parameters(&config.init(weights));
            let names: Vec<_> = names.into_iter().map(|parameter| parameter.path).collect();
            assert!(names.iter().any(|name| name == "head.transformer.blocks.0.mlp.fc1.weight"));
            assert!(!names.iter().any(|name| name.contains("Full")), "{names:?}");
        }
    }

    #[test]
    fn what_published_models_have_not_is_named() {
        let hog = small().with_target(MaeTargetConfig::hog()).check_published().unwrap_err();
        assert!(hog.to_string().contains("this model predicts histograms of gradients"), "{hog}");
        let cross = MaeConfig::cross_base_patch16().check_published().unwrap_err();
        assert!(cross.to_string().contains("this model with cross-attention"), "{cross}");
    }

    #[test]
    fn patches_of_two_views_divide_images_of_usual_sides() {
        let patch = |height, width| {
            let config = MaeConfig::two_views_small_images(ImageShape::new(1, height, width));
            config.validate().map(|()| config.encoder.patch)
        };
        assert_eq!(patch(32, 48).unwrap(), 8);
        assert_eq!(patch(28, 28).unwrap(), 4);
        assert_eq!(patch(21, 28).unwrap(), 7);
        assert_eq!(patch(20, 32).unwrap(), 4);
        assert!(patch(31, 31).is_err());
    }

    #[test]
    fn cross_decodes_a_third_of_the_hidden_patches() {
        for config in [MaeConfig::cross_base_patch16(), MaeConfig::cross_small_patch16()] {
            config.validate().unwrap();
            assert_eq!(config.asked.count(196, config.mask().unwrap().hidden()), 49);
        }
        let most = small().with_asked(AskedConfig::Part { share: 0.8 }).validate().unwrap_err();
        assert!(most.to_string().contains("hides 48 of the 64 cells"), "{most}");
    }
}

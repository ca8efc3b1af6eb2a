//! MILAN: masked image pre-training on language-assisted representations (Hou et al. 2022, arXiv
//! 2208.06049).

#[cfg(feature = "run")]
mod collate;
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

#[cfg(feature = "run")]
pub use collate::MilanCollate;
pub use task::{Milan, MilanBatch};

use super::TeacherConfig;
use crate::config::config;
use crate::encoder::VitConfig;
use crate::error::{Result, ensure};
use crate::grid::ImageShape;
use crate::head::DecoderConfig;
use crate::image::ChannelStatistics;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::InitialWeights;
use crate::target::{FeatureConfig, FeatureLayers, Target};

config! {
    /// The parts of a [`Milan`], with the paper's numbers.
    #[derive(Debug, PartialEq)]
    pub struct MilanConfig {
        /// The encoder, which sees the visible patches alone.
        pub encoder: VitConfig,
        /// The teacher, whose features are predicted. Its grid must be the encoder's; everything else
        /// may differ.
        pub teacher: TeacherConfig,
        /// The prompting decoder, whose `attention` is not looked at. Default: 512 features, 8 blocks,
        /// 16 heads (official code)
        pub decoder: DecoderConfig = DecoderConfig::new(),
        /// How many patches are hidden, and which where `semantic` is false. Default: 75 % (§4.1)
        pub mask: MaskConfig = MaskConfig::Mae { ratio: 0.75 },
        /// Whether a patch stays visible the more probably, the more of its attention the teacher's
        /// class token pays to it (§3.3). Default: yes
        pub semantic: bool = true,
        /// What is predicted of all patches. Default: what the teacher leaves after its final norm, by
        /// the cosine of the angle (§3.1)
        pub features: FeatureConfig = FeatureConfig::output_by_angle(),
    }
}

impl MilanConfig {
    /// ViT-B/16 with the features of CLIP's ViT-B/16 (§4.1).
    pub fn base_patch16() -> Self {
        Self::of_vit(VitConfig::base_patch16())
    }

    /// ViT-L/16 with the features of CLIP's ViT-B/16 (§4.1).
    pub fn large_patch16() -> Self {
        Self::of_vit(VitConfig::large_patch16())
    }

    fn of_vit(encoder: VitConfig) -> Self {
        Self::new(encoder, TeacherConfig::clip(VitConfig::base_patch16()))
    }

    /// MAE's model for images of a few dozen pixels, which a laptop's processor trains in minutes, and
    /// the same trained on pixels as the teacher.
    pub fn small_images(image: ImageShape) -> Self {
        let decoder = DecoderConfig::new().with_width(64).with_depth(2).with_heads(2);
        let teacher = TeacherConfig::small_images(image);
        Self::new(VitConfig::new(image, 4, 128, 6, 4), teacher).with_decoder(decoder)
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.encoder.check_absolute()?;
        self.encoder.check_without_stem("MILAN")?;
        self.decoder.validate(&self.encoder)?;
        self.teacher.validate(&self.encoder, self.features)?;
        ensure!(
            !self.semantic || self.features.layers == (FeatureLayers::Output {}),
            "semantic masks are drawn from the pass that reads the teacher's output: features.layers \
             must be {{\"of\": \"output\"}}, or semantic false"
        );
        let mask = self.mask()?;
        ensure!(
            !self.semantic || mask.grid() == self.encoder.grid(),
            "semantic masks hide single patches of {}, and the mask has units of {}",
            self.encoder.grid(),
            mask.grid()
        );
        Ok(())
    }

    /// What draws the masks, or says how many patches semantic ones hide.
    ///
    /// # Errors
    ///
    /// As [`MaskConfig::build`].
    pub fn mask(&self) -> Result<Arc<dyn MaskStrategy>> {
        self.mask.build(self.encoder.image, self.encoder.patch)
    }

    /// The task with fresh weights, of images that are normalized by `statistics`, whose teacher's
    /// weights are still to come.
    ///
    /// # Panics
    ///
    /// With the message of [`MilanConfig::validate`] when that fails.
    pub fn init(&self, statistics: &ChannelStatistics, weights: &mut InitialWeights) -> Milan {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let target = self.teacher.blank_target(self.features, statistics, weights);
        Milan {
            encoder: self.encoder.init_visible(weights),
            decoder: self.decoder.init_prompt(&self.encoder, target.width(), weights),
            target,
        }
    }
}

//! EVA (Fang et al. 2022, arXiv 2211.07636): features of a frozen teacher are predicted at hidden
//! patches.

#[cfg(all(test, feature = "run"))]
mod parity_tests;
#[cfg(feature = "run")]
mod presets;
#[cfg(feature = "run")]
mod pretrain;
#[cfg(all(test, feature = "run"))]
mod tests;

use std::sync::Arc;

use super::{FrozenTeacher, TeacherConfig};
use crate::config::config;
use crate::encoder::{Vit, VitConfig, VitInit};
use crate::error::Result;
use crate::grid::ImageShape;
use crate::head::LinearHead;
use crate::image::ChannelStatistics;
use crate::mask::{MaskConfig, MaskStrategy};
use crate::nn::{InitialWeights, Positions, QkvBias};
use crate::target::{FeatureConfig, FeatureTarget, Target};
use crate::task::Mim;

/// EVA: encode all patches, the hidden ones as a mask token, and predict by one linear layer the
/// features that a frozen teacher has of the hidden ones.
pub type Eva = Mim<Vit, LinearHead, FeatureTarget<FrozenTeacher>>;

config! {
    /// The parts of an [`Eva`], with the paper's numbers.
    #[derive(Debug, PartialEq)]
    pub struct EvaConfig {
        /// The encoder.
        pub encoder: VitConfig,
        /// The teacher, whose features are predicted. Its grid must be the encoder's; everything else
        /// may differ.
        pub teacher: TeacherConfig,
        /// What is hidden. Default: 40 % of the patches, in blocks of at least 16 (§2.2)
        pub mask: MaskConfig = MaskConfig::blocks(0.4, 16),
        /// What is predicted. Default: what the teacher leaves after its final norm, by the cosine of
        /// the angle (§2.2)
        pub features: FeatureConfig = FeatureConfig::output_by_angle(),
    }
}

impl EvaConfig {
    /// ViT-g/14 of 1408 features and 40 blocks, with the features of CLIP's ViT-L/14 (Table 1,
    /// official `eva_g_patch14_224`).
    pub fn giant_patch14() -> Self {
        let encoder = VitConfig::new(ImageShape::square(3, 224), 14, 1408, 40, 16)
            .with_mlp_ratio(48.0 / 11.0)
            .with_positions(Positions::Learned)
            .with_qkv_bias(QkvBias::QueryValue)
            .with_drop_path(0.1)
            .with_init(VitInit::Beit);
        let clip = VitConfig { patch: 14, ..VitConfig::large_patch16() };
        Self::new(encoder, TeacherConfig::clip(clip))
    }

    /// A model for images of a few dozen pixels that a laptop's processor trains in minutes: patch 4,
    /// encoder 128 × 4, blocks of at least 4 patches, and MAE's small model as the teacher.
    pub fn small_images(image: ImageShape) -> Self {
        Self::new(VitConfig::new(image, 4, 128, 4, 4), TeacherConfig::small_images(image))
            .with_mask(MaskConfig::blocks(0.4, 4))
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        self.encoder.validate()?;
        self.teacher.validate(&self.encoder, self.features)?;
        self.mask().map(drop)
    }

    /// What draws the masks.
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
    /// With the message of [`EvaConfig::validate`] when that fails.
    pub fn init(&self, statistics: &ChannelStatistics, weights: &mut InitialWeights) -> Eva {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let target = self.teacher.blank_target(self.features, statistics, weights);
        let head = [self.encoder.width, target.width()];
        Mim {
            encoder: self.encoder.init(weights),
            head: LinearHead::with_init(head[0], head[1], self.encoder.token_init(), weights),
            target,
        }
    }
}

//! Which method a run trains, as data.

use serde::{Deserialize, Serialize};

use super::{
    BeitConfig, BeitV2Config, ContextConfig, ImageGptConfig, MaeConfig, MaskFeatConfig,
    RestorationConfig, SelfieConfig, SimMimConfig,
};
use crate::encoder::{EncoderConfig, EncoderSizes};
use crate::error::{Error, Result};
use crate::grid::ImageShape;
use crate::mask::MaskStrategy;

/// A method and its parts, as a run's `config.json` keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskConfig {
    /// Masked autoencoder.
    Mae(MaeConfig),
    /// SimMIM on any of its encoders.
    SimMim(SimMimConfig<EncoderConfig>),
    /// BEiT.
    Beit(BeitConfig),
    /// BEiT v2.
    #[serde(rename = "beit_v2", alias = "beitv2")]
    BeitV2(BeitV2Config),
    /// MaskFeat: gradients of the hidden patches.
    MaskFeat(MaskFeatConfig),
    /// Context prediction on a residual network.
    Context(ContextConfig),
    /// Selfie on a residual network.
    Selfie(SelfieConfig),
    /// Image GPT.
    #[serde(rename = "image_gpt", alias = "imagegpt")]
    ImageGpt(ImageGptConfig),
    /// Image restoration.
    Restoration(RestorationConfig),
}

impl TaskConfig {
    /// The method's name, as in configurations, names of files, command lines and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mae(_) => "mae",
            Self::SimMim(_) => "simmim",
            Self::Beit(_) => "beit",
            Self::BeitV2(_) => "beit_v2",
            Self::MaskFeat(_) => "maskfeat",
            Self::Context(_) => "context",
            Self::Selfie(_) => "selfie",
            Self::ImageGpt(_) => "image_gpt",
            Self::Restoration(_) => "restoration",
        }
    }

    /// The method's name, as in titles and prose.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Mae(_) => "MAE",
            Self::SimMim(_) => "SimMIM",
            Self::Beit(_) => "BEiT",
            Self::BeitV2(_) => "BEiT v2",
            Self::MaskFeat(_) => "MaskFeat",
            Self::Context(_) => "Context prediction",
            Self::Selfie(_) => "Selfie",
            Self::ImageGpt(_) => "Image GPT",
            Self::Restoration(_) => "Restoration",
        }
    }

    /// The encoder's sizes, where it reads images with patches hidden.
    pub fn encoder(&self) -> Option<EncoderConfig> {
        match self {
            Self::Mae(config) => Some(config.encoder.clone().into()),
            Self::SimMim(config) => Some(config.encoder.clone()),
            Self::Beit(config) => Some(config.encoder.clone().into()),
            Self::BeitV2(config) => Some(config.beit.encoder.clone().into()),
            Self::MaskFeat(config) => Some(config.encoder.clone().into()),
            Self::Context(_) | Self::Selfie(_) | Self::ImageGpt(_) | Self::Restoration(_) => None,
        }
    }

    /// The images the method reads.
    pub fn image(&self) -> ImageShape {
        match self {
            Self::Mae(config) => config.encoder.image,
            Self::SimMim(config) => config.encoder.image(),
            Self::Beit(config) => config.encoder.image,
            Self::BeitV2(config) => config.beit.encoder.image,
            Self::MaskFeat(config) => config.encoder.image,
            Self::Context(config) => config.pairs.image,
            Self::Selfie(config) => config.image,
            Self::ImageGpt(config) => config.encoder.image,
            Self::Restoration(config) => config.encoder.image,
        }
    }

    /// The method's masks.
    ///
    /// # Errors
    ///
    /// When they do not fit the encoder's images, or the method hides nothing.
    pub fn mask(&self) -> Result<Box<dyn MaskStrategy>> {
        Ok(match self {
            Self::Mae(config) => Box::new(config.mask()?),
            Self::SimMim(config) => Box::new(config.mask()?),
            Self::Beit(config) => Box::new(config.mask()?),
            Self::BeitV2(config) => Box::new(config.beit.mask()?),
            Self::MaskFeat(config) => Box::new(config.mask()?),
            Self::Selfie(config) => Box::new(config.mask()?),
            Self::Context(_) | Self::ImageGpt(_) | Self::Restoration(_) => {
                let message = format!("{} has a loader of its own and no masks", self.title());
                return Err(Error::config(message));
            }
        })
    }

    /// Checks every rule the parts must keep.
    ///
    /// # Errors
    ///
    /// Names the first rule that is broken and the values.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Mae(config) => config.validate(),
            Self::SimMim(config) => config.validate(),
            Self::Beit(config) => config.validate(),
            Self::BeitV2(config) => config.validate(),
            Self::MaskFeat(config) => config.validate(),
            Self::Context(config) => config.validate(),
            Self::Selfie(config) => config.validate(),
            Self::ImageGpt(config) => config.validate(),
            Self::Restoration(config) => config.validate(),
        }
    }

    /// The images a tokenizer reads, as the second view of a batch; `None` for methods whose target
    /// is in the images themselves.
    pub fn target_view(&self) -> Option<ImageShape> {
        match self {
            Self::Beit(config) => Some(config.view()),
            Self::BeitV2(config) => Some(config.beit.view()),
            _ => None,
        }
    }
}

impl From<MaeConfig> for TaskConfig {
    fn from(config: MaeConfig) -> Self {
        Self::Mae(config)
    }
}

impl<C: EncoderSizes + Into<EncoderConfig>> From<SimMimConfig<C>> for TaskConfig {
    fn from(config: SimMimConfig<C>) -> Self {
        Self::SimMim(config.map_encoder(Into::into))
    }
}

impl From<BeitConfig> for TaskConfig {
    fn from(config: BeitConfig) -> Self {
        Self::Beit(config)
    }
}

impl From<BeitV2Config> for TaskConfig {
    fn from(config: BeitV2Config) -> Self {
        Self::BeitV2(config)
    }
}

impl From<ContextConfig> for TaskConfig {
    fn from(config: ContextConfig) -> Self {
        Self::Context(config)
    }
}

impl From<SelfieConfig> for TaskConfig {
    fn from(config: SelfieConfig) -> Self {
        Self::Selfie(config)
    }
}

impl From<ImageGptConfig> for TaskConfig {
    fn from(config: ImageGptConfig) -> Self {
        Self::ImageGpt(config)
    }
}

impl From<MaskFeatConfig> for TaskConfig {
    fn from(config: MaskFeatConfig) -> Self {
        Self::MaskFeat(config)
    }
}

impl From<RestorationConfig> for TaskConfig {
    fn from(config: RestorationConfig) -> Self {
        Self::Restoration(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{SwinConfig, SwinV2Config};
    use crate::grid::ImageShape;
    use crate::target::tokenizer::{PaletteConfig, TokenizerConfig};

    #[test]
    fn a_file_tells_all_nine_methods_and_their_encoders_apart() {
        let image = ImageShape::square(3, 32);
        let swin = SimMimConfig::new(SwinConfig::small_images(image)).with_mask_unit(8);
        let swin_v2 = SimMimConfig::new(SwinV2Config::small_images(image)).with_mask_unit(8);
        let palette = TokenizerConfig::Palette(PaletteConfig::new(image).with_cell(4));
        let tasks = [
            MaeConfig::small_images(image).into(),
            SimMimConfig::small_images(image).into(),
            TaskConfig::from(swin),
            swin_v2.into(),
            MaskFeatConfig::small_images(image).into(),
            RestorationConfig::small_images(image).into(),
            ContextConfig::small_images(image).into(),
            SelfieConfig::small_images(image).into(),
            ImageGptConfig::small_images(image).into(),
            BeitConfig::small_images(palette.clone()).into(),
            BeitV2Config::small_images(palette).into(),
        ];
        let names: std::collections::BTreeSet<_> = tasks.iter().map(TaskConfig::name).collect();
        assert_eq!(names.len(), 9, "{names:?}");
        for task in &tasks {
            task.validate().unwrap();
            let json = serde_json::to_string(task).unwrap();
            assert_eq!(&serde_json::from_str::<TaskConfig>(&json).unwrap(), task, "{json}");
        }
        assert!(matches!(tasks[3].encoder(), Some(EncoderConfig::SwinV2(_))));
    }
}

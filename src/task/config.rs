//! Which method a run trains, as data.

use serde::{Deserialize, Serialize};

use super::{BeitConfig, MaeConfig, SimMimConfig};
use crate::encoder::{EncoderConfig, EncoderSizes};
use crate::error::Result;
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
}

impl TaskConfig {
    /// The method's name, as in file names and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mae(_) => "mae",
            Self::SimMim(_) => "simmim",
            Self::Beit(_) => "beit",
        }
    }

    /// The method's name, as in titles and prose.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Mae(_) => "MAE",
            Self::SimMim(_) => "SimMIM",
            Self::Beit(_) => "BEiT",
        }
    }

    /// The encoder's sizes.
    pub fn encoder(&self) -> EncoderConfig {
        match self {
            Self::Mae(config) => config.encoder.clone().into(),
            Self::SimMim(config) => config.encoder.clone(),
            Self::Beit(config) => config.encoder.clone().into(),
        }
    }

    /// The method's masks.
    ///
    /// # Errors
    ///
    /// When they do not fit the encoder's images.
    pub fn mask(&self) -> Result<Box<dyn MaskStrategy>> {
        Ok(match self {
            Self::Mae(config) => Box::new(config.mask()?),
            Self::SimMim(config) => Box::new(config.mask()?),
            Self::Beit(config) => Box::new(config.mask()?),
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
        }
    }

    /// The images a tokenizer reads, as the second view of a batch; `None` for methods whose target
    /// is in the images themselves.
    pub fn target_view(&self) -> Option<ImageShape> {
        match self {
            Self::Beit(config) => Some(config.view()),
            Self::Mae(_) | Self::SimMim(_) => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{SwinConfig, SwinV2Config};
    use crate::grid::ImageShape;

    #[test]
    fn a_file_tells_all_methods_and_encoders_apart() {
        let image = ImageShape::square(3, 32);
        let swin = SimMimConfig::new(SwinConfig::small_images(image)).with_mask_unit(8);
        let swin_v2 = SimMimConfig::new(SwinV2Config::small_images(image)).with_mask_unit(8);
        let tasks = [
            MaeConfig::small_images(image).into(),
            SimMimConfig::small_images(image).into(),
            TaskConfig::from(swin),
            swin_v2.into(),
        ];
        for task in &tasks {
            task.validate().unwrap();
            let json = serde_json::to_string(task).unwrap();
            assert_eq!(&serde_json::from_str::<TaskConfig>(&json).unwrap(), task, "{json}");
        }
        assert!(matches!(tasks[3].encoder(), EncoderConfig::SwinV2(_)));
    }
}

//! Which method a run trains, as data.

use serde::{Deserialize, Serialize};

use super::{MaeConfig, SimMimConfig};
use crate::encoder::VitConfig;
use crate::error::Result;
use crate::mask::MaskStrategy;

/// A method and its parts, as a run's `config.json` keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskConfig {
    /// Masked autoencoder.
    Mae(MaeConfig),
    /// SimMIM on a vision transformer.
    SimMim(SimMimConfig),
}

impl TaskConfig {
    /// The method's name, as in file names and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mae(_) => "mae",
            Self::SimMim(_) => "simmim",
        }
    }

    /// The method's name, as in titles and prose.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Mae(_) => "MAE",
            Self::SimMim(_) => "SimMIM",
        }
    }

    /// The encoder's sizes.
    pub fn encoder(&self) -> &VitConfig {
        match self {
            Self::Mae(config) => &config.encoder,
            Self::SimMim(config) => &config.encoder,
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
        }
    }
}

impl From<MaeConfig> for TaskConfig {
    fn from(config: MaeConfig) -> Self {
        Self::Mae(config)
    }
}

impl From<SimMimConfig> for TaskConfig {
    fn from(config: SimMimConfig) -> Self {
        Self::SimMim(config)
    }
}

//! The configuration of a corruption.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A kind of corruption, by the name a file or a command line gives it: `noise-30`,
/// `downsample-2`, `rain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum CorruptionConfig {
    /// Gaussian noise.
    Noise {
        /// Standard deviation, of 255 levels.
        sigma: u8,
    },
    /// Made smaller and large again, both bicubically.
    Downsample {
        /// How many times smaller.
        factor: usize,
    },
    /// Streaks of rain.
    Rain,
}

impl CorruptionConfig {
    /// The tasks of the paper (arXiv 2012.00364 §4): noise of 30 and 50, ×2, ×3, ×4, rain.
    pub fn paper() -> Vec<Self> {
        let noise = [30, 50].map(|sigma| Self::Noise { sigma });
        let downsample = [2, 3, 4].map(|factor| Self::Downsample { factor });
        noise.into_iter().chain(downsample).chain([Self::Rain]).collect()
    }

    /// Checks that it spoils an image.
    ///
    /// # Errors
    ///
    /// When there is no noise, or the smaller image is not smaller.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Noise { sigma: 0 } | Self::Downsample { factor: 0 | 1 } => {
                Err(Error::config(format!("{self} changes nothing")))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for CorruptionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noise { sigma } => write!(f, "noise-{sigma}"),
            Self::Downsample { factor } => write!(f, "downsample-{factor}"),
            Self::Rain => f.write_str("rain"),
        }
    }
}

impl std::str::FromStr for CorruptionConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::config(format!(
                "unknown corruption {text:?}, expected noise-SIGMA, downsample-FACTOR or rain"
            ))
        };
        let corruption = match text.split_once('-') {
            None if text == "rain" => Self::Rain,
            Some(("noise", sigma)) => Self::Noise { sigma: sigma.parse().map_err(|_| unknown())? },
            Some(("downsample", factor)) => {
                Self::Downsample { factor: factor.parse().map_err(|_| unknown())? }
            }
            _ => return Err(unknown()),
        };
        corruption.validate()?;
        Ok(corruption)
    }
}

impl TryFrom<String> for CorruptionConfig {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<CorruptionConfig> for String {
    fn from(corruption: CorruptionConfig) -> Self {
        corruption.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_corruption_reads_back_as_it_is_written() {
        let written: Vec<_> = CorruptionConfig::paper().iter().map(ToString::to_string).collect();
        let names =
            ["noise-30", "noise-50", "downsample-2", "downsample-3", "downsample-4", "rain"];
        assert_eq!(written, names);
        let json = serde_json::to_string(&CorruptionConfig::paper()).unwrap();
        let read: Vec<CorruptionConfig> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, CorruptionConfig::paper());
    }

    #[test]
    fn a_corruption_that_is_none_is_refused() {
        let message = |text: &str| text.parse::<CorruptionConfig>().unwrap_err().to_string();
        assert!(message("noise-0").ends_with("noise-0 changes nothing"));
        assert!(message("downsample-1").ends_with("downsample-1 changes nothing"));
        for text in ["fog", "noise", "noise-x", "rain-3"] {
            assert!(message(text).contains("expected noise-SIGMA"), "{text}");
        }
    }
}

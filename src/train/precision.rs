//! The floating-point type a training step computes in.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, FloatDType};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The floating-point type that a training step computes in. In every precision the weights, the
/// gradients between steps, the optimizer's moments and the loss are f32, and so is validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Precision {
    /// Single precision throughout.
    #[default]
    F32,
    /// bfloat16: the range of f32 with 8 bits of mantissa.
    Bf16,
    /// Half precision: 11 bits of mantissa, but nothing below 6e-8 or above 65504. The loss is
    /// scaled by 1024 on its way back, so that small gradients survive; should large ones not, the
    /// run stops at a loss that is not finite.
    F16,
}

impl Precision {
    const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// The type that the network is cast to; `None` if it stays as it is.
    pub(super) fn dtype(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }

    /// The factor of the loss before the backward pass.
    pub(super) fn loss_scale(self) -> f64 {
        match self {
            Self::F32 | Self::Bf16 => 1.0,
            Self::F16 => 1024.0,
        }
    }

    /// Refuses a type that `device` cannot compute in.
    pub(super) fn check(self, device: &Device) -> Result<()> {
        if self.dtype().is_none_or(|dtype| device.supports_dtype(dtype)) {
            return Ok(());
        }
        let device = device.clone().without_autodiff();
        let fault = format!("{device:?} does not compute in {self}: train in another precision");
        Err(Error::config(fault))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|precision| precision.to_string() == name);
        known.ok_or_else(|| {
            Error::config(format!("there is no precision {name:?}: choose one of f32, bf16, f16"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse::<Precision>().unwrap(), precision);
            let json = serde_json::to_string(&precision).unwrap();
            assert_eq!(json, format!("\"{precision}\""));
        }
        let message = "fp8".parse::<Precision>().unwrap_err().to_string();
        assert!(message.ends_with("choose one of f32, bf16, f16"), "{message}");
    }
}

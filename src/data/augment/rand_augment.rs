//! RandAugment: a few operations of one set, at one strength (Cubuk et al. 2020, arXiv 1909.13719),
//! as timm has it.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::operation::{Geometry, Operation};
use super::resample::Interpolation;
use crate::error::{Error, Result};

/// How strong the operations are: timm's `rand-m9-mstd0.5-inc1` is [`RandAugment::papers`].
///
/// Twice, one of 15 operations is drawn, and done with a probability at a noisy magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandAugment {
    /// Strength of the operations, 0 to 10.
    pub magnitude: f64,
    /// Standard deviation of the strength; what falls outside 0 to 10 is clamped.
    pub noise: f64,
    /// With which probability a drawn operation is done.
    pub probability: f64,
}

/// The operations drawn for one image, in their order.
pub type Operations = [Option<Operation>; 2];

impl RandAugment {
    /// MAE's, SimMIM's and BEiT's fine-tuning: magnitude 9, noise 0.5, probability 0.5.
    pub const fn papers() -> Self {
        Self { magnitude: 9.0, noise: 0.5, probability: 0.5 }
    }

    /// Checks the three numbers.
    ///
    /// # Errors
    ///
    /// When one is outside its range; names it.
    pub fn validate(&self) -> Result<()> {
        let fault = |name: &str, rule: &str, value: f64| {
            Err(Error::config(format!("rand_augment.{name} must be {rule}, got {value}")))
        };
        if !(0.0..=10.0).contains(&self.magnitude) {
            return fault("magnitude", "in [0, 10]", self.magnitude);
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            return fault("noise", "finite and at least 0", self.noise);
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return fault("probability", "in [0, 1]", self.probability);
        }
        Ok(())
    }

    /// Draws the operations of one image.
    pub fn sample(&self, rng: &mut dyn Rng) -> Operations {
        [(); 2].map(|()| self.layer(rng))
    }

    fn layer(&self, rng: &mut dyn Rng) -> Option<Operation> {
        let index = rng.random_range(0..15);
        if !rng.random_bool(self.probability) {
            return None;
        }
        let noise: f64 = StandardNormal.sample(rng);
        let magnitude = self.magnitude + self.noise * noise;
        Some(operation(index, magnitude.clamp(0.0, 10.0) / 10.0, rng))
    }
}

/// timm's increasing set, at `level` of 0 to 1.
fn operation(index: usize, level: f64, rng: &mut dyn Rng) -> Operation {
    let sign = if rng.random() { 1.0 } else { -1.0 };
    let factor = (1.0 + sign * level * 0.9).max(0.1) as f32;
    let geometry = match index {
        0 => return Operation::AutoContrast,
        1 => return Operation::Equalize,
        2 => return Operation::Invert,
        3 => Geometry::Rotate(sign * level * 30.0),
        4 => return Operation::Posterize(4 - (level * 4.0) as u32),
        5 => return Operation::Solarize(256 - (level * 256.0) as u16),
        6 => return Operation::SolarizeAdd((level * 110.0) as u8),
        7 => return Operation::Color(factor),
        8 => return Operation::Contrast(factor),
        9 => return Operation::Brightness(factor),
        10 => return Operation::Sharpness(factor),
        11 => Geometry::ShearX(sign * level * 0.3),
        12 => Geometry::ShearY(sign * level * 0.3),
        13 => Geometry::TranslateX(sign * level * 0.45),
        _ => Geometry::TranslateY(sign * level * 0.45),
    };
    // timm draws between two filters only where a recipe names none; the three papers' codes name this.
    Operation::Move(geometry, Interpolation::Bicubic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn half_of_the_operations_are_done_and_all_of_them_occur() {
        let mut rng = stream(3, Purpose::Augmentation, 0, 0);
        let drawn: Vec<Operation> =
            (0..1000).flat_map(|_| RandAugment::papers().sample(&mut rng)).flatten().collect();
        assert!((920..1080).contains(&drawn.len()), "{}", drawn.len());
        let name = |o: &Operation| match o {
            Operation::Move(geometry, _) => format!("{geometry:?}"),
            other => format!("{other:?}"),
        };
        let kinds: std::collections::BTreeSet<String> =
            drawn.iter().map(|o| name(o).split('(').next().unwrap().to_owned()).collect();
        assert_eq!(kinds.len(), 15, "{kinds:?}");
    }

    #[test]
    fn magnitude_nine_is_timms_strengths() {
        let mut rng = stream(3, Purpose::Augmentation, 0, 0);
        assert_eq!(operation(4, 0.9, &mut rng), Operation::Posterize(1));
        assert_eq!(operation(5, 0.9, &mut rng), Operation::Solarize(26));
        assert_eq!(operation(6, 0.9, &mut rng), Operation::SolarizeAdd(99));
    }

    #[test]
    fn a_broken_number_is_named() {
        let broken = RandAugment { magnitude: 11.0, ..RandAugment::papers() };
        assert!(broken.validate().unwrap_err().to_string().contains("rand_augment.magnitude"));
    }
}

//! Streaks of rain.

use rand::{Rng, RngExt};

use super::Corruption;
use crate::data::Image;
use crate::error::Result;
use crate::grid::ImageShape;

/// Draws bright streaks, all of one direction near the vertical, and adds them to the image.
///
/// The paper's set renders rain with a graphics program; these are lines whose number, length,
/// direction and brightness are drawn for each image.
#[derive(Debug, Clone, Copy)]
pub struct Rain {
    /// What the lengths of all streaks come to, as a share of the image's pixels.
    pub density: f64,
    /// Largest angle from the vertical, in radians.
    pub slant: f64,
    /// Shortest and longest streak, as shares of the height.
    pub length: [f64; 2],
    /// Faintest and brightest streak, of 255 levels.
    pub brightness: [f32; 2],
}

impl Default for Rain {
    /// An eighth of the pixels, within 30° of the vertical, an eighth to a half of the height long,
    /// of 60 to 160 levels.
    fn default() -> Self {
        Self {
            density: 0.125,
            slant: std::f64::consts::FRAC_PI_6,
            length: [0.125, 0.5],
            brightness: [60.0, 160.0],
        }
    }
}

impl Rain {
    /// The light of all streaks on every pixel.
    fn light(&self, shape: ImageShape, rng: &mut dyn Rng) -> Vec<f32> {
        let ImageShape { height, width, .. } = shape;
        let mut light = vec![0.0f32; height * width];
        let (right, down) = libm::sincos(rng.random_range(-self.slant..=self.slant));
        let mean_length = (self.length[0] + self.length[1]) / 2.0 * height as f64;
        let streaks = (self.density * (height * width) as f64 / mean_length).ceil() as usize;
        for _ in 0..streaks {
            let top = rng.random_range(-0.25..1.0) * height as f64;
            let left = rng.random_range(0.0..1.0) * width as f64;
            let [shortest, longest] = self.length;
            let length = rng.random_range(shortest..=longest) * height as f64;
            let [faintest, brightest] = self.brightness;
            let brightness = rng.random_range(faintest..=brightest);
            for step in 0..=length as usize {
                let (y, x) = (top + step as f64 * down, left + step as f64 * right);
                splat(&mut light, shape, y, x, brightness);
            }
        }
        light
    }
}

/// Spreads a point of light over the two pixels beside it in its row; where streaks cross, the
/// brightest counts.
fn splat(light: &mut [f32], shape: ImageShape, y: f64, x: f64, brightness: f32) {
    let (row, left) = (y.round(), x.floor());
    if row < 0.0 || row >= shape.height as f64 {
        return;
    }
    let share = (x - left) as f32;
    for (col, share) in [(left, 1.0 - share), (left + 1.0, share)] {
        if (0.0..shape.width as f64).contains(&col) {
            let at = row as usize * shape.width + col as usize;
            light[at] = light[at].max(brightness * share);
        }
    }
}

impl Corruption for Rain {
    fn corrupt(&self, image: &Image, rng: &mut dyn Rng) -> Result<Image> {
        let light = self.light(image.shape(), rng);
        let lit = image.bytes()?.iter().zip(light.iter().cycle());
        let pixels = lit.map(|(&value, light)| (f32::from(value) + light).round() as u8);
        Image::new(image.shape(), pixels.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn rain_only_brightens_and_all_channels_alike() {
        let shape = ImageShape::new(3, 40, 50);
        let image = Image::new(shape, vec![50_u8; shape.values()]).unwrap();
        let spoilt = Rain::default().corrupt(&image, &mut stream(1, Purpose::Augmentation, 0, 0));
        let spoilt = spoilt.unwrap();
        assert!(spoilt.bytes().unwrap().iter().all(|&value| (50..=210).contains(&value)));
        assert_eq!(spoilt.plane(0).unwrap(), spoilt.plane(2).unwrap());
        let wet = spoilt.plane(0).unwrap().iter().filter(|&&value| value > 60).count();
        assert!((200..1200).contains(&wet), "{wet} of 2000 pixels");
    }

    #[test]
    fn a_large_image_is_as_wet_as_a_small_one() {
        let wet = |side: usize| {
            let shape = ImageShape::square(1, side);
            let light = Rain::default().light(shape, &mut stream(1, Purpose::Augmentation, 0, 0));
            light.iter().filter(|&&value| value > 0.0).count() as f64 / shape.values() as f64
        };
        let (small, large) = (wet(32), wet(320));
        assert!((0.1..0.3).contains(&small) && (0.1..0.3).contains(&large), "{small}, {large}");
    }

    #[test]
    fn streaks_are_as_long_as_they_are_drawn() {
        let rain = Rain { density: 1e-9, slant: 0.0, length: [0.25, 0.25], brightness: [99.0; 2] };
        let shape = ImageShape::new(1, 40, 1000);
        let streak = (0..50).map(|index| {
            let light = rain.light(shape, &mut stream(1, Purpose::Augmentation, 0, index));
            light.chunks(1000).filter(|row| row.iter().any(|&value| value > 0.0)).count()
        });
        // A quarter of 40 rows and the first; fewer where it begins above the image.
        assert_eq!(streak.max(), Some(11));
    }
}

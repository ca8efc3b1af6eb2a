//! A share of hidden cells that differs from batch to batch.

use std::sync::Arc;

use rand::{Rng, RngExt};

use super::{MaskConfig, MaskStrategy, UnitMask};
use crate::error::{Error, Result, ensure};
use crate::grid::{Grid, ImageShape};

/// Hides another share of every batch.
#[derive(Debug)]
struct Spread {
    config: MaskConfig,
    /// The smallest and the largest share.
    ratios: [f64; 2],
    image: ImageShape,
    patch: usize,
    /// What hides the share in the middle.
    middle: Arc<dyn MaskStrategy>,
}

impl MaskConfig {
    /// As [`build`](Self::build), but the hidden share is drawn for every batch, uniformly between the
    /// ratio less `spread` and the ratio plus `spread`; with a spread of 0 it is the ratio.
    ///
    /// # Errors
    ///
    /// When `spread` is below 0 or not finite, when there is no ratio to spread, and as `build` with the
    /// smallest and the largest share.
    pub fn build_spread(
        &self,
        spread: f64,
        image: ImageShape,
        patch: usize,
    ) -> Result<Arc<dyn MaskStrategy>> {
        ensure!(
            spread.is_finite() && spread >= 0.0,
            "the spread of a mask ratio must be a finite number of at least 0, got {spread:?}"
        );
        let middle = self.build(image, patch)?;
        if spread == 0.0 {
            return Ok(middle);
        }
        let ratio = self.ratio().ok_or_else(|| {
            Error::config(format!("a mask without a ratio has no spread of {spread:?}: {self:?}"))
        })?;
        let ratios = [ratio - spread, ratio + spread];
        for ratio in ratios {
            self.clone().with_ratio(ratio)?.build(image, patch)?;
        }
        Ok(Arc::new(Spread { config: self.clone(), ratios, image, patch, middle }))
    }
}

impl MaskStrategy for Spread {
    fn grid(&self) -> Grid {
        self.middle.grid()
    }

    fn hidden(&self) -> usize {
        self.middle.hidden()
    }

    fn sample(&self, rng: &mut dyn Rng) -> UnitMask {
        self.middle.sample(rng)
    }

    fn for_batch(&self, rng: &mut dyn Rng) -> Option<Arc<dyn MaskStrategy>> {
        let [least, most] = self.ratios;
        let config = self.config.clone().with_ratio(least + (most - least) * rng.random::<f64>());
        let of_batch = config.and_then(|config| config.build(self.image, self.patch));
        Some(of_batch.expect("a share between two that can be hidden"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    const IMAGE: ImageShape = ImageShape::square(3, 224);

    #[test]
    fn batches_hide_all_counts_of_the_range_and_samples_of_a_batch_the_same() {
        let spread = MaskConfig::blocks(0.3, 16).build_spread(0.2, IMAGE, 16).unwrap();
        assert_eq!((spread.grid(), spread.hidden()), (Grid::square(14), 59));
        let counts: Vec<_> = (0..400)
            .map(|batch| {
                let rng = || stream(3, Purpose::BatchMask, 0, batch);
                let of_batch = spread.for_batch(&mut rng()).unwrap();
                let again = spread.for_batch(&mut rng()).unwrap();
                assert_eq!(again.hidden(), of_batch.hidden());
                assert_eq!(of_batch.sample(&mut rng()).hidden(), of_batch.hidden());
                of_batch.hidden()
            })
            .collect();
        // 0.1 and 0.5 of 196 cells.
        assert!(counts.iter().all(|count| (20..=98).contains(count)), "{counts:?}");
        assert!(counts.iter().any(|&count| count < 25) && counts.iter().any(|&count| count > 93));
        let mean = counts.iter().sum::<usize>() as f64 / 400.0;
        assert!((mean - 58.8).abs() < 4.0, "{mean}");
    }

    #[test]
    fn without_a_spread_every_batch_hides_the_ratio() {
        let plain = MaskConfig::blocks(0.3, 16).build_spread(0.0, IMAGE, 16).unwrap();
        assert!(plain.for_batch(&mut stream(3, Purpose::BatchMask, 0, 0)).is_none());
        assert_eq!(plain.hidden(), 59);
    }

    #[test]
    fn spreads_that_cannot_be_are_refused_with_their_values() {
        let refused = |config: MaskConfig, spread| {
            config.build_spread(spread, IMAGE, 16).unwrap_err().to_string()
        };
        let blocks = || MaskConfig::blocks(0.3, 16);
        assert!(refused(blocks(), f64::NAN).contains("at least 0, got NaN"));
        assert!(refused(blocks(), -0.1).contains("at least 0, got -0.1"));
        assert!(refused(blocks(), 0.4).contains("ratio"));
        let none = refused(MaskConfig::Beit {}, 0.1);
        assert!(none.contains("a mask without a ratio has no spread of 0.1: Beit"), "{none}");
    }
}

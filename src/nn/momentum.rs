//! How much of itself a moving average keeps, in the course of a run.

use crate::config::config;
use crate::error::{Result, ensure};

config! {
    /// The share of itself that a teacher keeps at a step of its student: it goes linearly from
    /// `start` to `end`, and stays there.
    #[derive(Debug, Copy, PartialEq)]
    pub struct Momentum {
        /// The share at the first step, in [0, 1].
        pub start: f64,
        /// The share at the end, in [0, 1].
        pub end: f64,
        /// The part of the run until `end` is reached, in (0, 1]. Default: all of it
        pub ramp: f64 = 1.0,
    }
}

impl Momentum {
    /// The same share at every step.
    pub fn constant(share: f64) -> Self {
        Self::new(share, share)
    }

    /// Checks the ranges of the numbers.
    ///
    /// # Errors
    ///
    /// Names the first number outside its range.
    pub fn validate(&self) -> Result<()> {
        for (name, share) in [("start", self.start), ("end", self.end)] {
            ensure!(
                (0.0..=1.0).contains(&share),
                "momentum.{name} must be in [0, 1], got {share:?}"
            );
        }
        let ramp = self.ramp;
        ensure!(ramp > 0.0 && ramp <= 1.0, "momentum.ramp must be in (0, 1], got {ramp:?}");
        Ok(())
    }

    /// The share at `progress` of the run, in (0, 1].
    pub fn at(&self, progress: f64) -> f64 {
        let rest = 1.0 - (progress / self.ramp).min(1.0);
        self.end - (self.end - self.start) * rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_linearly_until_the_ramp_ends() {
        let momentum = Momentum::new(0.5, 0.9).with_ramp(0.25);
        let close = |progress, share: f64| assert!((momentum.at(progress) - share).abs() < 1e-12);
        close(0.0, 0.5);
        close(0.125, 0.7);
        close(0.25, 0.9);
        close(1.0, 0.9);
        assert_eq!(Momentum::constant(0.99).at(0.3), 0.99);
    }

    #[test]
    fn numbers_outside_their_range_are_refused_by_name() {
        let refused = |momentum: Momentum| momentum.validate().unwrap_err().to_string();
        assert!(refused(Momentum::new(-0.1, 1.0)).contains("momentum.start must be in [0, 1]"));
        assert!(refused(Momentum::new(0.9, f64::NAN)).contains("momentum.end must be in [0, 1]"));
        let ramp = refused(Momentum::new(0.9, 1.0).with_ramp(0.0));
        assert!(ramp.contains("momentum.ramp must be in (0, 1], got 0.0"), "{ramp}");
        Momentum::new(0.0, 1.0).validate().unwrap();
    }
}

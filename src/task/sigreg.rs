//! Whether embeddings are normally distributed, as a loss.

use burn::tensor::{Tensor, TensorData, assert_shape};

use crate::config::config;
use crate::error::{Result, ensure};
use crate::limits;
use crate::nn::unit;

/// At this place the weight exp(−t² / 2) is 0 in double precision.
const FARTHEST: f64 = 40.0;

config! {
    /// Sketched isotropic Gaussian regularization (SIGReg, Balestriero & LeCun 2025, arXiv 2511.08544 §4):
    /// how far a batch of embeddings is from a sample of the standard normal distribution.
    ///
    /// Embeddings are projected on random directions. Along each, the statistic of Epps and Pulley
    /// compares characteristic functions: the number of embeddings times the integral over t of
    /// |mean of exp(i t x) − exp(−t² / 2)|², weighted by exp(−t² / 2), by the trapezoidal rule. The
    /// integrand is symmetric, so that half of the axis is enough. The numbers are those of the official
    /// code (rbalestr-lab/lejepa, `epps_pulley.py` and its ablations of ViT-L).
    #[derive(Debug, Copy, PartialEq)]
    pub struct SigReg {
        /// Random directions of a batch. Default: 1024
        pub slices: usize = 1024,
        /// Places from 0 to `t_max`, both included, at which the integrand is known. Default: 17
        pub knots: usize = 17,
        /// The largest t. Default: 3
        pub t_max: f64 = 3.0,
    }
}

/// A place of the integral's rule.
struct Knot {
    t: f64,
    /// The characteristic function of the standard normal distribution.
    normal: f64,
    weight: f64,
}

impl SigReg {
    /// Checks the ranges of the numbers, for embeddings of `width` features.
    ///
    /// # Errors
    ///
    /// Names the first number outside its range.
    pub fn validate(&self, width: usize) -> Result<()> {
        let Self { slices, knots, t_max } = *self;
        limits::counts("sigreg.slices", slices, limits::MLP_WIDTH)?;
        let numbers = slices.saturating_mul(width);
        limits::at_most("the numbers of all directions", numbers, limits::IMAGE_VALUES)?;
        ensure!(knots >= 2, "sigreg.knots must be at least 2, got {knots}");
        limits::at_most("sigreg.knots", knots, limits::DEPTH)?;
        ensure!(
            t_max > 0.0 && t_max <= FARTHEST,
            "sigreg.t_max must be above 0 and at most {FARTHEST}, got {t_max:?}"
        );
        Ok(())
    }

    /// The places after 0, where both characteristic functions are 1 whatever the embeddings are.
    fn knots(&self) -> impl Iterator<Item = Knot> {
        let last = self.knots - 1;
        let step = self.t_max / last as f64;
        (1..=last).map(move |knot| {
            let t = knot as f64 * step;
            let normal = (-t * t / 2.0).exp();
            // Half of the axis counts twice, and its end half of that.
            let share = if knot == last { step } else { 2.0 * step };
            Knot { t, normal, weight: share * normal }
        })
    }

    /// The mean statistic of the views, over these and over all directions; each view is a sample of as
    /// many embeddings as there are images. Directions may have any length.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[images, views, features]`
    /// - directions: `[features, slices]`
    /// - output: `[1]`
    ///
    /// # Panics
    ///
    /// When the directions are of other features.
    pub fn of(&self, embeddings: Tensor<3>, directions: Tensor<2>) -> Tensor<1> {
        let [images, views, features] = embeddings.dims();
        let [_, slices] = directions.dims();
        assert_shape!(directions, [features, _]);
        let (device, dtype) = (embeddings.device(), embeddings.dtype());
        let directions = unit(directions.cast(dtype), 0);
        let projected = embeddings.reshape([images * views, features]).matmul(directions);
        let at = |value: fn(&Knot) -> f64| {
            let values: Vec<f64> = self.knots().map(|knot| value(&knot)).collect();
            let shape = [values.len(), 1, 1];
            Tensor::<3>::from_data(TensorData::new(values, shape), (&device, dtype))
        };
        // Of every place, the embeddings' characteristic function in each view and direction.
        let angles = projected.reshape([1, images, views * slices]) * at(|knot| knot.t);
        let real = angles.clone().cos().mean_dim(1) - at(|knot| knot.normal);
        let imaginary = angles.sin().mean_dim(1);
        let distance = (real.square() + imaginary.square()) * at(|knot| knot.weight);
        distance.sum_dim(0).mean() * images as f64
    }

    /// The statistic that is expected of `images` independent normal numbers of mean 0 and this
    /// variance.
    pub(crate) fn expected(&self, images: usize, variance: f64) -> f64 {
        let at = |Knot { t, normal, weight }| {
            let known = (-variance * t * t / 2.0).exp();
            weight * (images as f64 * (known - normal).powi(2) + 1.0 - known * known)
        };
        self.knots().map(at).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, InitialWeights};
    use crate::test_device;

    fn normal<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
        let init = Init::Normal { std: 1.0 };
        InitialWeights::new(seed, &test_device()).param(shape, init).val()
    }

    fn statistic(sigreg: &SigReg, embeddings: Tensor<3>) -> f64 {
        let [_, _, features] = embeddings.dims();
        sigreg.of(embeddings, normal(7, [features, sigreg.slices])).into_scalar::<f32>().into()
    }

    /// What the integral over the whole axis is of embeddings that are all 0.
    fn of_zeros(images: usize) -> f64 {
        let pi = std::f64::consts::PI;
        images as f64 * ((2.0 * pi).sqrt() - 2.0 * pi.sqrt() + (2.0 * pi / 3.0).sqrt())
    }

    #[test]
    fn embeddings_that_are_all_zero_have_the_integral_of_pencil_and_paper() {
        // (1 − exp(−t² / 2))² exp(−t² / 2) over the whole axis, of 10 embeddings.
        let fine = SigReg::new().with_slices(3).with_knots(65).with_t_max(8.0);
        let zeros = Tensor::zeros([10, 2, 4], &test_device());
        let ours = statistic(&fine, zeros.clone());
        assert!((ours / of_zeros(10) - 1.0).abs() < 1e-5, "{ours} and {}", of_zeros(10));
        // The defaults leave out what is beyond 3, the paper's numbers what is beyond 5.
        for (knots, t_max, off) in [(17, 3.0, 0.02), (9, 5.0, 1e-3)] {
            let coarse = SigReg::new().with_slices(3).with_knots(knots).with_t_max(t_max);
            let ours = statistic(&coarse, zeros.clone());
            assert!((ours / of_zeros(10) - 1.0).abs() < off, "{ours} and {}", of_zeros(10));
        }
    }

    #[test]
    fn one_number_has_the_statistic_of_numpy() {
        // numpy: t = linspace(-5, 5, 17), trapezoid(abs(exp(1j * t * 0.7) - w) ** 2 * w, t) with
        // w = exp(-t ** 2 / 2).
        let paper = SigReg::new().with_slices(5).with_knots(9).with_t_max(5.0);
        let ours = statistic(&paper, Tensor::from_floats([[[0.7]]], &test_device()));
        assert!((ours - 0.8176276).abs() < 1e-5, "{ours}");
    }

    #[test]
    fn a_normal_sample_has_the_expected_statistic_and_any_other_more() {
        // The mean of 64 samples: that of one is far from certain.
        let (sigreg, shape) = (SigReg::new().with_slices(32), [200, 64, 8]);
        let sample = normal(1, shape);
        let ours = statistic(&sigreg, sample.clone());
        let expected = sigreg.expected(200, 1.0);
        assert!((ours / expected - 1.0).abs() < 0.2, "{ours} and {expected}");
        let narrow = statistic(&sigreg, sample.clone() * 0.5);
        let expected = sigreg.expected(200, 0.25);
        assert!((narrow / expected - 1.0).abs() < 0.2, "{narrow} and {expected}");
        // Moved, and with all features the same, which no feature's own distribution shows.
        let same = sample.clone().slice_dim(2, 0..1).expand(shape);
        for other in [sample + 0.5, same] {
            let other = statistic(&sigreg, other);
            assert!(other > 5.0 * ours, "{other} and {ours}");
        }
    }

    #[test]
    fn a_views_statistic_does_not_depend_on_the_other_views_and_lengths_of_directions_do_not_count()
    {
        let sigreg = SigReg::new().with_slices(16);
        let (views, directions) = (normal(1, [12, 2, 4]), normal(7, [4, 16]));
        let of =
            |embeddings, directions| -> f32 { sigreg.of(embeddings, directions).into_scalar() };
        let both = of(views.clone(), directions.clone());
        let one = |view| of(views.clone().slice_dim(1, view..view + 1), directions.clone() * 3.0);
        assert!((both - (one(0) + one(1)) / 2.0).abs() < 1e-5);
    }

    #[test]
    fn numbers_that_nothing_can_be_done_with_are_refused_by_name() {
        let refused = |sigreg: SigReg| sigreg.validate(8).unwrap_err().to_string();
        assert!(refused(SigReg::new().with_slices(0)).contains("sigreg.slices must be at least 1"));
        assert!(refused(SigReg::new().with_slices(usize::MAX)).contains("sigreg.slices"));
        assert!(refused(SigReg::new().with_knots(1)).contains("sigreg.knots must be at least 2"));
        for t_max in [0.0, 41.0, f64::NAN] {
            assert!(refused(SigReg::new().with_t_max(t_max)).contains("sigreg.t_max must be"));
        }
        let wide = SigReg::new().validate(1 << 24).unwrap_err().to_string();
        assert!(wide.contains("the numbers of all directions"), "{wide}");
    }
}

//! What comes between two linear layers, on slices: the exact GELU, x · Φ(x), with Φ the normal
//! distribution function; the quick one, x · σ(1.702 x); and the hyperbolic tangent.

use super::simd::{MulAdd, exp, vectorized};

/// 1 / √2π.
const DENSITY_AT_ZERO: f32 = 0.398_942_3;

vectorized! {
    /// `output` = GELU(`x`).
    fn gelu<A>(output: &mut [f32], x: &[f32]) {
        for (output, &x) in output.iter_mut().zip(x) {
            *output = x * distribution::<A>(x, exp::<A>(-0.5 * x * x));
        }
    }

    /// `output` = GELU(`x`), and `slope` is multiplied by GELU′(x) = Φ(x) + x · φ(x).
    fn gelu_and_slope<A>(output: &mut [f32], slope: &mut [f32], x: &[f32]) {
        for ((output, slope), &x) in output.iter_mut().zip(slope).zip(x) {
            let bell = exp::<A>(-0.5 * x * x);
            let distribution = distribution::<A>(x, bell);
            *output = x * distribution;
            *slope *= A::mul_add(x * DENSITY_AT_ZERO, bell, distribution);
        }
    }

    /// `output` = x · σ(1.702 x).
    fn quick_gelu<A>(output: &mut [f32], x: &[f32]) {
        for (output, &x) in output.iter_mut().zip(x) {
            *output = x * logistic::<A>(QUICK * x);
        }
    }

    /// `output` = x · σ(1.702 x), and `slope` is multiplied by its derivative, σ + 1.702 x · σ · (1 − σ).
    fn quick_gelu_and_slope<A>(output: &mut [f32], slope: &mut [f32], x: &[f32]) {
        for ((output, slope), &x) in output.iter_mut().zip(slope).zip(x) {
            let sigma = logistic::<A>(QUICK * x);
            *output = x * sigma;
            *slope *= A::mul_add(QUICK * x * sigma, 1.0 - sigma, sigma);
        }
    }

    /// `output` = tanh x.
    fn tanh<A>(output: &mut [f32], x: &[f32]) {
        for (output, &x) in output.iter_mut().zip(x) {
            *output = tangent::<A>(x);
        }
    }

    /// `output` = tanh x, and `slope` is multiplied by its derivative, 1 − tanh² x.
    fn tanh_and_slope<A>(output: &mut [f32], slope: &mut [f32], x: &[f32]) {
        for ((output, slope), &x) in output.iter_mut().zip(slope).zip(x) {
            let tangent = tangent::<A>(x);
            *output = tangent;
            *slope *= (1.0 - tangent) * (1.0 + tangent);
        }
    }
}

/// tanh x: a series near 0, where the quotient of exponentials would lose digits.
#[inline(always)]
fn tangent<A: MulAdd>(x: f32) -> f32 {
    const SERIES: [f32; 5] = [62.0 / 2835.0, -17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0, 1.0];
    let square = x * x;
    let mut series = 0.0;
    for coefficient in SERIES {
        series = A::mul_add(series, square, coefficient);
    }
    let tail = exp::<A>(-2.0 * x.abs());
    let quotient = ((1.0 - tail) / (1.0 + tail)).copysign(x);
    if x.abs() < 0.25 { x * series } else { quotient }
}

/// The factor of the quick GELU.
const QUICK: f32 = 1.702;

/// σ(x) = 1 / (1 + e⁻ˣ).
#[inline(always)]
fn logistic<A: MulAdd>(x: f32) -> f32 {
    let tail = exp::<A>(-x.abs());
    let share = 1.0 / (1.0 + tail);
    if x < 0.0 { tail * share } else { share }
}

/// Φ(x), given `bell` = exp(−x² / 2), to within 3e-7.
///
/// erfc(z) = exp(−z²) · t · P(t) with t = 1 / (1 + 0.37 z), z ≥ 0: the form of Abramowitz and
/// Stegun 7.1.26. P was fitted to scipy's `erfcx` for the smallest relative error on 0 ≤ z ≤ 9.5,
/// which is 2e-8, so that the tail of Φ is as exact as its middle.
#[inline(always)]
fn distribution<A: MulAdd>(x: f32, bell: f32) -> f32 {
    const P: [f32; 9] = [
        0.208_813_76,
        0.207_429_63,
        0.206_255_42,
        0.106_514_99,
        0.310_814_32,
        -0.285_329_43,
        0.486_856_97,
        -0.303_280_23,
        0.061_924_554,
    ];
    let t = 1.0 / A::mul_add(0.37 * std::f32::consts::FRAC_1_SQRT_2, x.abs(), 1.0);
    let mut series = P[8];
    for coefficient in P.into_iter().rev().skip(1) {
        series = A::mul_add(series, t, coefficient);
    }
    let tail = 0.5 * bell * t * series;
    if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GELU and its slope in double precision.
    fn exact(x: f64) -> (f64, f64) {
        let distribution = 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
        let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        (x * distribution, distribution + x * density)
    }

    /// x, the value and the slope of each, of which both functions must give the same values.
    fn values_and_slopes(
        x: Vec<f32>,
        value: fn(&mut [f32], &[f32]),
        value_and_slope: fn(&mut [f32], &mut [f32], &[f32]),
    ) -> impl Iterator<Item = [f64; 3]> {
        let (mut output, mut again, mut slope) = (x.clone(), x.clone(), vec![1.0; x.len()]);
        value(&mut output, &x);
        value_and_slope(&mut again, &mut slope, &x);
        assert_eq!(output, again);
        let both = output.into_iter().zip(slope);
        x.into_iter().zip(both).map(|(x, (output, slope))| [x, output, slope].map(f64::from))
    }

    #[test]
    fn values_and_slopes_are_exact_to_single_precision() {
        let x: Vec<f32> = (-1200..=1200).map(|i| i as f32 / 100.0).collect();
        for [x, output, slope] in values_and_slopes(x, gelu, gelu_and_slope) {
            let (value, derivative) = exact(x);
            assert!((output - value).abs() <= 4e-7 * x.abs(), "{x} {output}");
            assert!((slope - derivative).abs() < 1e-6, "{x} {slope}");
        }
    }

    #[test]
    fn the_tail_keeps_its_relative_precision() {
        let mut output = [0.0];
        for x in [-5.0f32, -8.0, -11.0] {
            gelu(&mut output, &[x]);
            let (value, _) = exact(f64::from(x));
            assert!((f64::from(output[0]) / value - 1.0).abs() < 2e-5, "{x} {}", output[0]);
        }
    }

    #[test]
    fn the_quick_one_and_its_slope_are_exact_to_single_precision() {
        let x: Vec<f32> = (-1200..=1200).map(|i| i as f32 / 20.0).collect();
        for [x, output, slope] in values_and_slopes(x, quick_gelu, quick_gelu_and_slope) {
            let sigma = 1.0 / (1.0 + (-1.702 * x).exp());
            let derivative = sigma + 1.702 * x * sigma * (1.0 - sigma);
            assert!((output - x * sigma).abs() <= 1e-6 * x.abs(), "{x} {output}");
            assert!((slope - derivative).abs() < 1e-6, "{x} {slope}");
        }
    }

    #[test]
    fn the_hyperbolic_tangent_and_its_slope_are_exact_to_single_precision() {
        let x: Vec<f32> = (-1200..=1200).map(|i| i as f32 / 120.0).chain([1e-6, 100.0]).collect();
        for [x, output, slope] in values_and_slopes(x, tanh, tanh_and_slope) {
            assert!((output - x.tanh()).abs() <= 4e-7 * x.tanh().abs(), "{x} {output}");
            assert!((slope - x.cosh().powi(-2)).abs() < 1e-6, "{x} {slope}");
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        let mut output = [0.0];
        gelu(&mut output, &[f32::NAN]);
        assert!(output[0].is_nan());
        quick_gelu(&mut output, &[f32::NAN]);
        assert!(output[0].is_nan());
        tanh(&mut output, &[f32::NAN]);
        assert!(output[0].is_nan());
    }
}

//! Loops compiled for the widest vectors of the processor at hand, and the exponential they need.

/// Lanes that sums are kept in: two AVX registers, four of SSE or NEON.
const LANES: usize = 16;

/// How a · b + c is rounded. A loop is compiled once for each way.
pub(super) trait MulAdd {
    /// a · b + c.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// A single instruction that rounds once.
#[derive(Debug)]
pub(super) struct Fused;

impl MulAdd for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// Two instructions, for processors without the single one.
#[derive(Debug)]
pub(super) struct Separate;

impl MulAdd for Separate {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// The instructions that every processor of the architecture has.
#[cfg(target_arch = "aarch64")]
pub(super) type Baseline = Fused;
#[cfg(not(target_arch = "aarch64"))]
pub(super) type Baseline = Separate;

/// Defines functions that are compiled for several widths of vectors, and run in the widest that the
/// processor has.
///
/// Binaries are compiled for any processor of their architecture, which on x86-64 means vectors of
/// four floats and no fused multiplication and addition. The other copies have AVX2 and AVX-512, and
/// both have that; they round alike.
macro_rules! vectorized {
    ($($(#[$meta:meta])* fn $name:ident<$arithmetic:ident>($($arg:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        pub(super) fn $name($($arg: $type),*) {
            #[inline(always)]
            fn body<$arithmetic: $crate::kernel::flex::simd::MulAdd>($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
                fn widest($($arg: $type),*) {
                    body::<$crate::kernel::flex::simd::Fused>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn wide($($arg: $type),*) {
                    body::<$crate::kernel::flex::simd::Fused>($($arg),*)
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    let widest_is_there = is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vl");
                    // SAFETY: both functions need exactly the features that were detected on this
                    // processor.
                    #[allow(unsafe_code)]
                    return unsafe {
                        if widest_is_there { widest($($arg),*) } else { wide($($arg),*) }
                    };
                }
            }
            body::<$crate::kernel::flex::simd::Baseline>($($arg),*)
        }
    )*};
}
pub(super) use vectorized;

vectorized! {
    /// Adds every row of `rows` to `sum`.
    fn add_rows<_A>(sum: &mut [f32], rows: &[f32]) {
        for row in rows.chunks_exact(sum.len()) {
            add(sum, row);
        }
    }
}

/// The sum of rows of `width` values.
pub(super) fn sum_of_rows(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    add_rows(&mut sum, rows);
    sum
}

/// eˣ for x ≤ 88 to within two units in the last place; 0 for all below −87. Free of branches.
#[inline(always)]
pub(super) fn exp<A: MulAdd>(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to an integer, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first with zeros in its last bits, so that n · LN2_HIGH is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let vanishes = x < -87.0;
    let x = if vanishes { -87.0 } else { x };
    let rounded = A::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = A::mul_add(-n, LN2_LOW, A::mul_add(-n, LN2_HIGH, x));
    // |r| ≤ ln 2 / 2: the next term of the series is below 6e-9.
    let mut series = 1.0 / 5040.0;
    for factorial in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        series = A::mul_add(series, r, 1.0 / factorial);
    }
    let two_to_the_n = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if vanishes { 0.0 } else { series * two_to_the_n }
}

/// Folds two slices of the same length by `add`, from 0 on. The order depends on the length alone.
#[inline(always)]
pub(super) fn fold(a: &[f32], b: &[f32], add: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] = add(lanes[lane], a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(&a, &b)| add(0.0, a, b)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The sum of a · b over two slices of one length.
#[inline(always)]
pub(super) fn dot<A: MulAdd>(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, a, b| A::mul_add(a, b, sum))
}

/// The sum of f over a slice.
#[inline(always)]
pub(super) fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    fold(values, values, |sum, value, _| sum + f(value))
}

/// The largest value of a slice; −∞ if it is empty.
#[inline(always)]
pub(super) fn max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(chunk[lane], lanes[lane]);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| larger(b, a))
}

/// Adds `values` to `to`.
#[inline(always)]
pub(super) fn add(to: &mut [f32], values: &[f32]) {
    for (to, value) in to.iter_mut().zip(values) {
        *to += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponential<A: MulAdd>() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp::<A>(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "{x}: {error:e}");
        }
        assert_eq!(exp::<A>(0.0), 1.0);
        assert_eq!([exp::<A>(-87.5), exp::<A>(-1e30), exp::<A>(f32::NEG_INFINITY)], [0.0; 3]);
        assert!(exp::<A>(f32::NAN).is_nan());
    }

    #[test]
    fn the_exponential_is_that_of_the_library_to_two_units_in_the_last_place() {
        exponential::<Fused>();
        exponential::<Separate>();
    }

    #[test]
    fn sums_and_maxima_take_every_value() {
        let values: Vec<f32> = (0..37).map(|i| (i * 5 % 37) as f32).collect();
        assert_eq!(sum(&values, |v| v), 666.0);
        assert_eq!(dot::<Fused>(&values, &values), 16206.0);
        assert_eq!(dot::<Separate>(&values, &values), 16206.0);
        assert_eq!(max(&values), 36.0);
        assert_eq!(max(&[]), f32::NEG_INFINITY);
        let mut total = vec![1.0; 37];
        add_rows(&mut total, &values.repeat(3));
        assert!(total.iter().zip(&values).all(|(total, value)| *total == 1.0 + 3.0 * value));
    }
}

//! Elementary functions and reductions that the compiler turns into vector code.
//!
//! Everything is `#[inline(always)]`, so that it takes on the instruction set of the kernel it is used
//! in, and generic over `FMA` (see [`multiversion`](crate::simd::multiversion)). The polynomials were
//! fitted for this file by iteratively reweighted least squares on Chebyshev nodes.

/// Partial results that the reductions keep: one register of the widest instruction set.
const LANES: usize = 16;

/// `a * b + c`, in one rounding where that is one instruction.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `e^x` to 2 units in the last place; exactly zero below the smallest normal number.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const LOWEST: f32 = -87.336_54;
    // Adding this leaves the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with few enough bits that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(LOWEST, 88.37);
    let shifted = fma::<FMA>(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -LN2_HIGH, clamped);
    let r = fma::<FMA>(n, -LN2_LOW, r);
    let mut p = 0.001_381_314_5;
    p = fma::<FMA>(p, r, 0.008_369_419);
    p = fma::<FMA>(p, r, 0.041_668_456);
    p = fma::<FMA>(p, r, 0.166_665_15);
    p = fma::<FMA>(p, r, 0.499_999_94);
    let y = fma::<FMA>(p, r * r, r) + 1.0;
    let power = f32::from_bits(
        shifted
            .to_bits()
            .wrapping_shl(23)
            .wrapping_add(1f32.to_bits()),
    );
    if x < LOWEST { 0.0 } else { y * power }
}

/// For `z >= 0`: `erfc(z)` to a relative error of 2e-8 before rounding, and `e^(-z²)`.
#[inline(always)]
pub(crate) fn erfc<const FMA: bool>(z: f32) -> (f32, f32) {
    let gauss = exp::<FMA>(-z * z);
    let t = 1.0 / fma::<FMA>(z, 0.3, 1.0);
    let mut p = -0.129_434_06;
    p = fma::<FMA>(p, t, 0.485_096_37);
    p = fma::<FMA>(p, t, -0.511_226_3);
    p = fma::<FMA>(p, t, 0.546_394_9);
    p = fma::<FMA>(p, t, -0.093_631_12);
    p = fma::<FMA>(p, t, 0.214_436_23);
    p = fma::<FMA>(p, t, 0.148_482_44);
    p = fma::<FMA>(p, t, 0.170_691_94);
    p = fma::<FMA>(p, t, 0.169_189_62);
    (p * t * gauss, gauss)
}

/// The sum. A value's place in the order of additions depends on its index alone.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += x;
    }
    add_lanes(lanes)
}

/// The sum of `e^(x - shift)`, in the order of [`sum`].
#[inline(always)]
pub(crate) fn sum_exp<const FMA: bool>(x: &[f32], shift: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += exp::<FMA>(chunk[i] - shift);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += exp::<FMA>(*x - shift);
    }
    add_lanes(lanes)
}

/// The scalar product, in the order of [`sum`].
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(x: &[f32], y: &[f32]) -> f32 {
    let n = x.len();
    let y = &y[..n];
    let mut lanes = [0f32; LANES];
    let whole = n / LANES * LANES;
    for (x, y) in x[..whole]
        .chunks_exact(LANES)
        .zip(y[..whole].chunks_exact(LANES))
    {
        for i in 0..LANES {
            lanes[i] = fma::<FMA>(x[i], y[i], lanes[i]);
        }
    }
    for (lane, (x, y)) in lanes.iter_mut().zip(x[whole..].iter().zip(&y[whole..])) {
        *lane = fma::<FMA>(*x, *y, *lane);
    }
    add_lanes(lanes)
}

/// The largest value, or minus infinity of none.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] {
                chunk[i]
            } else {
                lanes[i]
            };
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = if x > *lane { x } else { *lane };
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

#[inline(always)]
fn add_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for i in -8700..8800 {
            let x = i as f32 * 0.01 + 0.003;
            let exact = f64::from(x).exp();
            for y in [exp::<true>(x), exp::<false>(x)] {
                let error = (f64::from(y) - exact).abs() / exact;
                assert!(error < 2.0e-7, "exp({x}) = {y}, relative error {error:e}");
            }
        }
        assert_eq!(exp::<true>(0.0), 1.0);
        assert_eq!(exp::<true>(-90.0), 0.0);
        assert_eq!(exp::<true>(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp::<true>(f32::MIN), 0.0);
        assert!(exp::<true>(f32::NAN).is_nan());
    }

    #[test]
    fn erfc_agrees_with_scipy() {
        // scipy.special.erfc, 1.17
        for (z, expected) in [
            (0.0, 1.0),
            (0.25, 0.723_673_609_831_763_1),
            (1.0, 0.157_299_207_050_285_13),
            (2.5, 4.069_520_174_449_588_6e-4),
            (4.0, 1.541_725_790_028_002e-8),
        ] {
            let error = (f64::from(erfc::<true>(z).0) - expected).abs() / expected;
            assert!(error < 1e-6, "erfc({z}): relative error {error:e}");
        }
    }

    #[test]
    fn reductions_do_not_see_trailing_zeros() {
        let x: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut padded = x.clone();
        padded.resize(64, 0.0);
        assert_eq!(sum(&x), sum(&padded));
        assert_eq!(dot::<true>(&x, &x), dot::<true>(&padded, &padded));
        let exact: f64 = x.iter().map(|&v| f64::from(v)).sum();
        assert!((f64::from(sum(&x)) - exact).abs() < 1e-6);
        assert_eq!(max(&[-3.0; 17]), -3.0);
    }
}

//! Dropout masks from keys, in 32-bit wrapping arithmetic.
//!
//! The mask of a unit is a function of (site key, example, token, unit) and of nothing else: padding,
//! unpadding, bucketing or stacking two views of a batch does not change it. 32-bit integers exist on
//! every device, so the same masks can be computed in place there.

/// Derives the state at one more coordinate. For a fixed state it is a bijection of the coordinate.
///
/// The finaliser is the two-round xor-shift multiply `lowbias32` with the constants of TheIronBorn
/// and Chris Wellons (hash-prospector).
#[inline(always)]
pub const fn mix(state: u32, coordinate: u32) -> u32 {
    let mut x = state ^ coordinate.wrapping_mul(0x9E37_79B9);
    x ^= x >> 16;
    x = x.wrapping_mul(0x21F0_AAAD);
    x ^= x >> 15;
    x = x.wrapping_mul(0xD35A_2D97);
    x ^ (x >> 15)
}

/// The bound below which a hash means "drop", for a drop probability `p` in `[0, 1)`.
#[inline]
pub fn threshold(p: f64) -> u32 {
    (p * 4_294_967_296.0) as u32
}

/// What a kept unit is multiplied by: `1 / (1 - p)`.
#[inline]
pub fn scale(p: f64) -> f32 {
    (1.0 / (1.0 - p)) as f32
}

/// Whether the unit at `coordinate` under `state` is kept.
#[inline(always)]
pub const fn keep(state: u32, coordinate: u32, threshold: u32) -> bool {
    mix(state, coordinate) >= threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_fixed_for_ever() {
        // The vector was computed by an independent implementation in Python.
        assert_eq!(
            [mix(0, 1), mix(1, 0), mix(0xDEAD_BEEF, 12345)],
            [3294826546, 114555507, 841676453]
        );
    }

    #[test]
    fn the_drop_rate_is_p_in_every_direction() {
        let t = threshold(0.1);
        for direction in 0..3 {
            let dropped = (0..100_000u32)
                .filter(|&i| {
                    let (row, token, unit) = match direction {
                        0 => (i, 3, 5),
                        1 => (7, i, 5),
                        _ => (7, 3, i),
                    };
                    !keep(mix(mix(0xABCD, row), token), unit, t)
                })
                .count();
            assert!(
                (dropped as f64 - 1e4).abs() < 400.0,
                "{direction}: {dropped}"
            );
        }
    }

    #[test]
    fn neighbouring_units_are_uncorrelated() {
        let t = threshold(0.5);
        let state = mix(1, 2);
        let both = (0..100_000u32)
            .filter(|&u| keep(state, u, t) && keep(state, u + 1, t))
            .count();
        assert!((both as f64 - 25_000.0).abs() < 700.0, "{both}");
    }
}

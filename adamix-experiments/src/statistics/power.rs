//! What a t-test can see.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::function::gamma::ln_gamma;

/// More seeds than this are called out of reach.
pub const MOST_SEEDS: usize = 10_000;

/// The probability that a two-sided t-test at level `alpha` with these degrees of freedom (at least 1) sees an effect
/// that shifts its statistic by `shift`: the statistic is (Z + shift) / (chi / sqrt(freedom)), and the probability is
/// integrated over chi.
pub fn power_of_t(shift: f64, freedom: f64, alpha: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom).expect("positive degrees of freedom");
    let critical = t.inverse_cdf(1.0 - alpha / 2.0);
    let shift = shift.abs();
    let normal = Normal::standard();
    // The density of s = chi / sqrt(freedom).
    let constant = (freedom / 2.0).ln() * (freedom / 2.0) - ln_gamma(freedom / 2.0) + 2f64.ln();
    let density = |s: f64| (constant + (freedom - 1.0) * s.ln() - freedom * s * s / 2.0).exp();
    let inner = |s: f64| {
        let beyond = normal.cdf(shift - critical * s) + normal.cdf(-critical * s - shift);
        density(s) * beyond
    };
    // Simpson's rule; outside the density is below 1e-16.
    let reach = 9.0 / freedom.sqrt();
    let (begin, end) = ((1.0 - reach).max(0.0), 1.0 + reach);
    let panels = 4000;
    let width = (end - begin) / f64::from(panels);
    let term = |i: i32| {
        let weight = if i == panels {
            1.0
        } else if i % 2 == 1 {
            4.0
        } else {
            2.0
        };
        weight * inner(begin + width * f64::from(i))
    };
    // At zero the density is zero but for one degree of freedom, where it is sqrt(2 / pi) and every statistic is beyond.
    let first = if freedom == 1.0 {
        (2.0 / std::f64::consts::PI).sqrt()
    } else {
        0.0
    };
    (first + (1..=panels).map(term).sum::<f64>()) * width / 3.0
}

/// The fewest seeds, from two, that are enough, where more are never worse; none up to `most`.
pub(super) fn fewest(most: usize, enough: impl Fn(usize) -> bool) -> Option<usize> {
    // Doubling, then bisection.
    let mut high = 2;
    let mut low = 1;
    while !enough(high) {
        if high >= most {
            return None;
        }
        low = high;
        high = (2 * high).min(most);
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_equals_statsmodels() {
        // statsmodels.stats.power.TTestPower().power(effect, n, 0.05)
        for (effect, seeds, expected) in [
            (0.5, 10, 0.293_175_606_514_076_7),
            (1.0, 5, 0.401_389_917_371_794_8),
            (2.0, 3, 0.470_749_431_278_434_6),
            (0.2, 50, 0.283_592_414_667_473_5),
            (3.0, 2, 0.260_770_714_229_109_26),
        ] {
            let seeds = f64::from(seeds);
            let found = power_of_t(effect * f64::sqrt(seeds), seeds - 1.0, 0.05);
            assert!(
                (found - expected).abs() < 1e-7,
                "{effect} {seeds}: {found} {expected}"
            );
        }
    }

    #[test]
    fn power_of_any_freedom_equals_scipy() {
        // scipy.stats.nct.sf(c, nu, 2.5) + nct.cdf(-c, nu, 2.5) with c = t.ppf(0.975, nu)
        for (freedom, expected) in [
            (1.4, 0.214_181_517_556_001_48),
            (7.3, 0.581_771_718_525_965_7),
            (5000.0, 0.705_252_407_727_161_4),
        ] {
            let found = power_of_t(2.5, freedom, 0.05);
            assert!((found - expected).abs() < 1e-4, "{freedom}: {found}");
        }
    }

    #[test]
    fn the_fewest_seeds_equal_statsmodels() {
        // solve_power(effect, alpha=0.05, power=0.8) gives 89.149, 33.367, 9.938 and 4.221.
        for (effect, seeds) in [(0.3, 90), (0.5, 34), (1.0, 10), (2.0, 5)] {
            let enough = |n: usize| {
                let n = n as f64;
                power_of_t(effect * n.sqrt(), n - 1.0, 0.05) >= 0.8
            };
            assert_eq!(fewest(MOST_SEEDS, enough), Some(seeds));
        }
        assert_eq!(fewest(100, |_| false), None);
        assert_eq!(fewest(100, |_| true), Some(2));
        for needed in [3, 64, 65, 70, 100] {
            assert_eq!(fewest(100, |n| n >= needed), Some(needed));
        }
        assert_eq!(fewest(100, |n| n >= 101), None);
    }
}

//! What a paired t-test over seeds can see.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

use super::summary::student;

/// More seeds than this are called out of reach.
pub const MOST_SEEDS: usize = 10_000;

/// The probability that a two-sided paired t-test at level `alpha` over `seeds` seeds sees a difference of `effect`
/// standard deviations (of the differences).
///
/// The test statistic is (Z + effect * sqrt(n)) / (chi / sqrt(n - 1)); the probability is integrated over chi.
pub fn power(effect: f64, seeds: usize, alpha: f64) -> f64 {
    if seeds < 2 {
        return 0.0;
    }
    let freedom = (seeds - 1) as f64;
    let critical = student(seeds - 1, 1.0 - alpha / 2.0);
    let shift = effect.abs() * (seeds as f64).sqrt();
    let normal = Normal::standard();
    // The density of s = chi / sqrt(freedom).
    let constant = (freedom / 2.0).ln() * (freedom / 2.0) - ln_gamma(freedom / 2.0) + 2f64.ln();
    let density = |s: f64| (constant + (freedom - 1.0) * s.ln() - freedom * s * s / 2.0).exp();
    let inner = |s: f64| {
        let beyond = normal.cdf(shift - critical * s) + normal.cdf(-critical * s - shift);
        density(s) * beyond
    };
    // Simpson's rule; beyond `end` the density is below 1e-16.
    let end = 1.0 + 9.0 / freedom.sqrt();
    let panels = 4000;
    let width = end / f64::from(panels);
    let term = |i: i32| {
        let weight = if i == panels {
            1.0
        } else if i % 2 == 1 {
            4.0
        } else {
            2.0
        };
        weight * inner(width * f64::from(i))
    };
    // At zero the density is zero but for one degree of freedom, where it is sqrt(2 / pi) and every statistic is beyond.
    let first = if seeds == 2 {
        (2.0 / std::f64::consts::PI).sqrt()
    } else {
        0.0
    };
    (first + (1..=panels).map(term).sum::<f64>()) * width / 3.0
}

/// The fewest seeds that see a difference with probability `wanted`; none within [`MOST_SEEDS`].
pub fn seeds_needed(difference: f64, sd: f64, alpha: f64, wanted: f64) -> Option<usize> {
    if difference == 0.0 || !difference.is_finite() || !sd.is_finite() {
        return None;
    }
    if sd == 0.0 {
        return Some(2);
    }
    let enough = |seeds: usize| power(difference / sd, seeds, alpha) >= wanted;
    // Doubling, then bisection: power rises with the seeds.
    let mut high = 2;
    while !enough(high) {
        high *= 2;
        if high > MOST_SEEDS {
            return None;
        }
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low.midpoint(high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high.max(2))
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
            let found = power(effect, seeds, 0.05);
            assert!(
                (found - expected).abs() < 1e-7,
                "{effect} {seeds}: {found} {expected}"
            );
        }
    }

    #[test]
    fn seeds_needed_equal_statsmodels() {
        // solve_power(effect, alpha=0.05, power=0.8) gives 89.149, 33.367, 9.938 and 4.221.
        for (effect, seeds) in [(0.3, 90), (0.5, 34), (1.0, 10), (2.0, 5)] {
            assert_eq!(seeds_needed(effect, 1.0, 0.05, 0.8), Some(seeds));
        }
        assert_eq!(seeds_needed(0.0, 1.0, 0.05, 0.8), None);
        assert_eq!(seeds_needed(1.0, 0.0, 0.05, 0.8), Some(2));
    }
}

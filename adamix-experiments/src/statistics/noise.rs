//! A mean difference over a few seeds, measured on rows that are a sample too.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::power::{MOST_SEEDS, fewest, power_of_t};

/// Degrees of freedom from which on Student's t is a normal distribution.
const NORMAL: f64 = 1e6;

/// The two noises of a mean difference: the variance of a mean over n seeds is `sd² / n + rows²`, where more seeds
/// make the first part smaller and leave the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// The standard deviation of the difference over seeds.
    pub sd: f64,
    /// The standard error that the choice of rows leaves in it, whatever the seeds; what rows do to single seeds is part
    /// of `sd`.
    pub rows: f64,
}

impl Noise {
    /// The standard error of a mean over seeds, and its degrees of freedom by Welch and Satterthwaite, the part of
    /// the rows being known without error.
    fn error(&self, seeds: usize) -> (f64, f64) {
        let seeds = seeds as f64;
        let (own, rows) = (self.sd.powi(2) / seeds, self.rows.powi(2));
        let freedom = (own + rows).powi(2) * (seeds - 1.0) / own.powi(2);
        let freedom = if freedom.is_finite() { freedom } else { NORMAL };
        ((own + rows).sqrt(), freedom.min(NORMAL))
    }

    /// The two-sided p of a mean difference over seeds; none of fewer than two.
    pub fn p(&self, difference: f64, seeds: usize) -> Option<f64> {
        (seeds > 1).then(|| 2.0 * self.tail(-difference.abs(), seeds))
    }

    /// The p of the difference being within `margin` of zero, by two one-sided tests; none of fewer than two seeds.
    pub fn p_within(&self, margin: f64, difference: f64, seeds: usize) -> Option<f64> {
        (seeds > 1).then(|| self.tail(difference.abs() - margin, seeds))
    }

    /// The probability that noise alone is below this.
    fn tail(&self, difference: f64, seeds: usize) -> f64 {
        let (error, freedom) = self.error(seeds);
        if error == 0.0 {
            return match difference.total_cmp(&0.0) {
                core::cmp::Ordering::Less => 0.0,
                core::cmp::Ordering::Equal => 0.5,
                core::cmp::Ordering::Greater => 1.0,
            };
        }
        let t = StudentsT::new(0.0, 1.0, freedom).expect("positive degrees of freedom");
        t.cdf(difference / error)
    }

    /// The probability that the two-sided test at level `alpha` over `seeds` seeds sees a difference.
    pub fn power(&self, difference: f64, seeds: usize, alpha: f64) -> f64 {
        if seeds < 2 || difference == 0.0 {
            return 0.0;
        }
        let (error, freedom) = self.error(seeds);
        if error == 0.0 {
            return 1.0;
        }
        let shift = difference.abs() / error;
        if freedom < NORMAL {
            return power_of_t(shift, freedom, alpha);
        }
        let normal = Normal::standard();
        let critical = normal.inverse_cdf(1.0 - alpha / 2.0);
        normal.cdf(shift - critical) + normal.cdf(-shift - critical)
    }

    /// The fewest seeds that see a difference with probability `wanted`; none within [`MOST_SEEDS`], where the rows'
    /// part alone is too large.
    pub fn seeds_needed(&self, difference: f64, alpha: f64, wanted: f64) -> Option<usize> {
        fewest(MOST_SEEDS, |seeds| {
            self.power(difference, seeds, alpha) >= wanted
        })
    }

    /// The smallest difference that a test at level `alpha` over `seeds` seeds sees with probability `wanted`; none of
    /// fewer than two seeds.
    pub fn smallest_seen(&self, seeds: usize, alpha: f64, wanted: f64) -> Option<f64> {
        if seeds < 2 {
            return None;
        }
        let (error, _) = self.error(seeds);
        let seen = |difference: f64| self.power(difference, seeds, alpha) >= wanted;
        let (mut below, mut above) = (0.0, error);
        while error > 0.0 && !seen(above) {
            (below, above) = (above, 2.0 * above);
        }
        for _ in 0..60 {
            let middle = f64::midpoint(below, above);
            *if seen(middle) { &mut above } else { &mut below } = middle;
        }
        Some(above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn without_a_noise_of_rows_it_is_the_paired_t_test() {
        // scipy.stats.ttest_rel as in paired.rs; statsmodels' TTestPower as in power.rs.
        let noise = Noise {
            sd: 0.725_947_656_515_261_4,
            rows: 0.0,
        };
        close(noise.p(0.88, 5).unwrap(), 0.053_505_134_608_578_7);
        let noise = Noise { sd: 1.0, rows: 0.0 };
        close(noise.power(0.5, 10, 0.05), 0.293_175_606_514_076_7);
        assert_eq!(noise.seeds_needed(-1.0, 0.05, 0.8), Some(10));
        close(
            noise.smallest_seen(10, 0.05, 0.8).unwrap(),
            0.996_001_371_455_443_8,
        );
        assert_eq!(noise.smallest_seen(1, 0.05, 0.8), None);
        assert_eq!(noise.p(1.0, 1), None);
    }

    #[test]
    fn without_a_noise_of_seeds_it_is_the_z_test() {
        // Two-sided normal probabilities of 1.96 and of a shift of 2: statsmodels' NormalIndPower has 0.516005.
        let noise = Noise { sd: 0.0, rows: 0.5 };
        close(noise.p(-0.979_981_992_270_027, 3).unwrap(), 0.05);
        close(noise.power(1.0, 3, 0.05), 0.516_005_273_976_174_8);
        assert_eq!(noise.seeds_needed(1.0, 0.05, 0.8), None);
        assert_eq!(noise.seeds_needed(2.0, 0.05, 0.8), Some(2));
    }

    #[test]
    fn both_noises_by_hand() {
        // v = 3²/9 + 1² = 2 and nu = 2² · 8 / 1² = 32: t = 2 / sqrt 2; 2 scipy.stats.t.sf(2 ** 0.5, 32).
        let noise = Noise { sd: 3.0, rows: 1.0 };
        assert_eq!(noise.error(9), (2f64.sqrt(), 32.0));
        close(noise.p(2.0, 9).unwrap(), 0.166_955_585_875_862_43);
        // No number of seeds helps where the rows' error is twice the effect.
        let few_rows = Noise { sd: 0.1, rows: 2.0 };
        assert!(few_rows.power(1.0, 10_000, 0.05) < 0.1);
        assert_eq!(few_rows.seeds_needed(1.0, 0.05, 0.8), None);
    }

    #[test]
    fn alike_is_shown_by_two_one_sided_tests() {
        // At the margin the one-sided p is a half; far inside it is small, outside large.
        let noise = Noise { sd: 0.2, rows: 0.0 };
        close(noise.p_within(1.0, -1.0, 5).unwrap(), 0.5);
        assert!(noise.p_within(1.0, 0.1, 5).unwrap() < 0.001);
        assert!(noise.p_within(1.0, 2.0, 5).unwrap() > 0.999);
    }
}

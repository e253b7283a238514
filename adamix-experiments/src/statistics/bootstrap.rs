//! The bootstrap over seeds and examples.
//!
//! All runs of a method are measured on the same examples, so the two factors are crossed: a replicate draws seeds with
//! replacement and, once for all of them, examples with replacement (Owen's pigeonhole bootstrap). Drawing examples
//! anew for each seed would average their noise away and make intervals too narrow.

use adamix_keys::{Key, Stream};
use rayon::prelude::*;

use super::{Interval, LEVEL};

/// Replicates of every interval in tables.
pub const REPLICATES: usize = 1000;

/// What the replicates say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// The percentile interval.
    pub interval: Interval,
    /// The standard deviation over replicates.
    pub error: f64,
}

/// Resamples `seeds` runs on `examples` rows. `score` gives a run's score on the rows drawn (indices, with repeats), or
/// none where it is undefined there, such as a correlation of a constant; such replicates are left out.
///
/// Replicates draw from children of `key`, so the result does not depend on threads. None if there is nothing to
/// resample, or fewer than half of the replicates have a score.
pub fn bootstrap(
    seeds: usize,
    examples: usize,
    replicates: usize,
    key: Key,
    score: impl Fn(usize, &[usize]) -> Option<f64> + Sync,
) -> Option<Bootstrap> {
    if seeds == 0 || examples == 0 {
        return None;
    }
    let draw =
        |stream: &mut Stream, n: usize| -> Vec<usize> { (0..n).map(|_| stream.below(n)).collect() };
    let replicate = |i: usize| {
        let key = key.fold(i as u64);
        let runs = draw(&mut key.purpose("seeds").stream(), seeds);
        let rows = draw(&mut key.purpose("examples").stream(), examples);
        // A seed that is drawn twice is scored once.
        let scores: Vec<Option<f64>> = (0..seeds)
            .map(|run| runs.contains(&run).then(|| score(run, &rows)).flatten())
            .collect();
        let drawn: Option<Vec<f64>> = runs.iter().map(|run| scores[*run]).collect();
        drawn.map(|drawn| drawn.iter().sum::<f64>() / seeds as f64)
    };
    let mut values: Vec<f64> = (0..replicates)
        .into_par_iter()
        .filter_map(replicate)
        .collect();
    if values.len() * 2 < replicates || values.is_empty() {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let error = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    values.sort_by(f64::total_cmp);
    let interval = Interval {
        low: quantile(&values, (1.0 - LEVEL) / 2.0),
        high: quantile(&values, (1.0 + LEVEL) / 2.0),
    };
    Some(Bootstrap { interval, error })
}

/// The quantile of sorted values, linear between neighbours (numpy's default).
pub fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key::new(5);

    #[test]
    fn one_seed_gives_the_error_of_a_mean() {
        // The bootstrap's standard error of a mean tends to sd / sqrt(n), sd with n in its denominator: for 0..99 that
        // is sqrt((100^2 - 1) / 12) / 10 = 2.88661.
        let found = bootstrap(1, 100, 20_000, KEY, |_, rows| {
            Some(rows.iter().map(|r| *r as f64).sum::<f64>() / rows.len() as f64)
        })
        .unwrap();
        assert!((found.error - 2.886_61).abs() < 0.05, "{}", found.error);
        let (low, high) = (found.interval.low, found.interval.high);
        assert!((low - (49.5 - 1.96 * 2.886_61)).abs() < 0.2, "{low}");
        assert!((high - (49.5 + 1.96 * 2.886_61)).abs() < 0.2, "{high}");
    }

    #[test]
    fn both_factors_count() {
        // Score = seed effect + example effect, crossed: the variance is the sum of the two means' variances, here
        // var(-1, 0, 1) / 3 = 2/9 and var(0, 1) / 10 = 1/40.
        let score = |run: usize, rows: &[usize]| {
            let rows_mean = rows.iter().map(|r| (r % 2) as f64).sum::<f64>() / rows.len() as f64;
            Some(run as f64 - 1.0 + rows_mean)
        };
        let found = bootstrap(3, 10, 20_000, KEY, score).unwrap();
        let expected = (2.0 / 9.0 + 1.0 / 40.0f64).sqrt();
        assert!(
            (found.error - expected).abs() < 0.01,
            "{} {expected}",
            found.error
        );
    }

    #[test]
    fn undefined_replicates_are_left_out() {
        assert!(bootstrap(2, 5, 100, KEY, |_, _| None).is_none());
        assert!(bootstrap(0, 5, 100, KEY, |_, _| Some(1.0)).is_none());
    }

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], [0, 0.1, 0.5, 1])
        let values = [1.0, 2.0, 4.0, 8.0];
        let found = [0.0, 0.1, 0.5, 1.0].map(|p| quantile(&values, p));
        for (a, b) in found.into_iter().zip([1.0, 1.3, 3.0, 8.0]) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }
}

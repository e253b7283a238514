//! Two methods on the same seeds and the same examples.

use adamix_keys::Key;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::bootstrap::{Bootstrap, bootstrap};
use super::summary::standard_deviation;
use super::{Interval, Noise, Summary};

/// Permutations and replicates of a comparison.
pub const PERMUTATIONS: usize = 2000;

/// How much better one method is than another, and whether that is more than noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Seeds that both methods ran with.
    pub seeds: usize,
    /// Examples both were measured on.
    pub examples: usize,
    /// The mean difference over seeds.
    pub difference: f64,
    /// Its standard deviation over seeds.
    pub sd: Option<f64>,
    /// The standard error that the choice of examples leaves in the mean difference however many the seeds, by the
    /// bootstrap over examples.
    pub rows_error: Option<f64>,
    /// The bootstrap interval of the difference, over seeds and examples.
    pub interval: Option<Interval>,
    /// Paired t-test over seeds: is it more than what another seed would change?
    pub p_seeds: Option<f64>,
    /// Approximate randomisation over examples: is it more than what other examples would change?
    pub p_examples: f64,
}

impl Comparison {
    /// Compares. `score(side, run, rows)` is the score of method `side` (0 or 1) in run `run` on rows drawn with
    /// repeats, and `swapped(run, swap)` the difference of the two when the outputs of the marked examples change
    /// sides. None if a score on all rows is undefined.
    pub fn new(
        seeds: usize,
        examples: usize,
        key: Key,
        score: impl Fn(usize, usize, &[usize]) -> Option<f64> + Sync,
        swapped: impl Fn(usize, &[bool]) -> Option<f64> + Sync,
    ) -> Option<Self> {
        let all: Vec<usize> = (0..examples).collect();
        let difference =
            |run: usize, rows: &[usize]| Some(score(0, run, rows)? - score(1, run, rows)?);
        let differences: Option<Vec<f64>> = (0..seeds).map(|run| difference(run, &all)).collect();
        let differences = differences?;
        let summary = Summary::of(&differences)?;
        let resampled: Option<Bootstrap> = bootstrap(
            seeds,
            examples,
            PERMUTATIONS,
            key.purpose("bootstrap"),
            difference,
        );
        let mean = |swap: &[bool]| {
            let parts: Option<Vec<f64>> = (0..seeds).map(|run| swapped(run, swap)).collect();
            parts.map(|parts| parts.iter().sum::<f64>() / seeds as f64)
        };
        Some(Self {
            seeds,
            examples,
            difference: summary.mean,
            sd: summary.sd,
            rows_error: rows_error(seeds, examples, key.purpose("rows"), difference),
            interval: resampled.map(|b| b.interval),
            p_seeds: paired_t(&differences),
            p_examples: swap_examples(examples, PERMUTATIONS, key.purpose("examples"), mean)?,
        })
    }

    /// Both noises of the difference; none of one seed.
    pub fn noise(&self) -> Option<Noise> {
        Some(Noise {
            sd: self.sd?,
            rows: self.rows_error?,
        })
    }

    /// The p-value a claim rests on: is the difference more than other seeds and other examples together would change?
    /// One seed has none.
    pub fn p(&self) -> Option<f64> {
        self.noise()?.p(self.difference, self.seeds)
    }
}

/// The standard error that the choice of examples leaves in a mean over runs however many there are, by the bootstrap
/// over examples. One run's variance is that of what all runs share and of what is its own, as examples that only it has
/// right; of the latter the mean over n runs has an n-th. Only what is shared is counted: what is a run's own shows in
/// the spread over seeds. Of one run the two cannot be told apart, and both are counted.
fn rows_error(
    runs: usize,
    examples: usize,
    key: Key,
    difference: impl Fn(usize, &[usize]) -> Option<f64> + Sync,
) -> Option<f64> {
    // The same key, hence the same examples, for each run and for their mean.
    let variance = |of: &(dyn Fn(&[usize]) -> Option<f64> + Sync)| {
        let found = bootstrap(1, examples, PERMUTATIONS, key, |_, rows| of(rows));
        found.map(|found| found.error.powi(2))
    };
    let of_mean = variance(&|rows| {
        let parts: Option<Vec<f64>> = (0..runs).map(|run| difference(run, rows)).collect();
        parts.map(|parts| parts.iter().sum::<f64>() / runs as f64)
    })?;
    if runs < 2 {
        return Some(of_mean.sqrt());
    }
    let each: Option<Vec<f64>> = (0..runs)
        .map(|run| variance(&|rows| difference(run, rows)))
        .collect();
    let n = runs as f64;
    let of_one = each?.iter().sum::<f64>() / n;
    // of_one = shared + own, of_mean = shared + own / n.
    let own = (of_one - of_mean) * n / (n - 1.0);
    Some((of_mean - own / n).max(0.0).sqrt())
}

/// The two-sided p of a paired t-test from the differences; none of fewer than two. Differences that are all alike have
/// p = 0, or 1 where they are zero.
pub fn paired_t(differences: &[f64]) -> Option<f64> {
    let sd = standard_deviation(differences)?;
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    if sd == 0.0 {
        return Some(if mean == 0.0 { 1.0 } else { 0.0 });
    }
    let t = StudentsT::new(0.0, 1.0, n - 1.0).expect("positive degrees of freedom");
    Some(2.0 * t.cdf(-(mean / (sd / n.sqrt())).abs()))
}

/// The two-sided p of a difference under random swaps of the two methods' outputs, example by example (Noreen's
/// approximate randomisation). `difference` gets the swap of each example; none where the unswapped one is undefined.
/// Swaps whose difference is undefined are left out.
pub fn swap_examples(
    examples: usize,
    permutations: usize,
    key: Key,
    difference: impl Fn(&[bool]) -> Option<f64> + Sync,
) -> Option<f64> {
    let observed = difference(&vec![false; examples])?.abs();
    let swapped = |r: usize| {
        let key = key.fold(r as u64);
        let mut swap = Vec::with_capacity(examples);
        let mut stream = key.stream();
        while swap.len() < examples {
            let word = stream.next_u64();
            swap.extend((0..64.min(examples - swap.len())).map(|bit| word >> bit & 1 == 1));
        }
        difference(&swap)
    };
    let found = (0..permutations).into_par_iter().filter_map(swapped);
    let reaches = |d: f64| usize::from(d.abs() >= observed - 1e-12);
    let (reached, defined) = found
        .map(|d| (reaches(d), 1))
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    Some((1 + reached) as f64 / (1 + defined) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key::new(11);
    const DIFFERENCES: [f64; 5] = [1.4, 0.3, 1.9, 0.4, 0.4];

    #[test]
    fn the_t_test_equals_scipy() {
        // scipy.stats.ttest_rel of 81.2 80.4 82.1 79.9 81.0 and 79.8 80.1 80.2 79.5 80.6
        let p = paired_t(&DIFFERENCES).unwrap();
        assert!((p - 0.053_505_134_608_578_7).abs() < 1e-9, "{p}");
        assert_eq!(paired_t(&[1.0]), None);
        assert_eq!(paired_t(&[0.0, 0.0]), Some(1.0));
    }

    #[test]
    fn swaps_without_a_difference_are_left_out() {
        // Of two examples the difference is defined where both or neither is swapped, and its size is then always 1.
        let difference = |swap: &[bool]| {
            let sign = if swap[0] { -1.0 } else { 1.0 };
            (swap[0] == swap[1]).then_some(sign)
        };
        assert_eq!(swap_examples(2, 500, KEY, difference), Some(1.0));
    }

    #[test]
    fn swaps_of_accuracies_are_mcnemars_test() {
        // Ten examples that only the first method has right, two that only the second has: swapping is tossing a coin
        // for each, so p = P(|B - 6| >= 4) for B ~ Bin(12, 1/2) = 2 * 79 / 4096 = 0.038574 (exact McNemar).
        let first: Vec<bool> = (0..40).map(|i| i < 30).collect();
        let second: Vec<bool> = (0..40).map(|i| (10..32).contains(&i)).collect();
        let difference = |swap: &[bool]| {
            let gain = |i: usize| {
                let d = f64::from(u8::from(first[i])) - f64::from(u8::from(second[i]));
                if swap[i] { -d } else { d }
            };
            Some((0..40).map(gain).sum::<f64>() / 40.0)
        };
        let p = swap_examples(40, 20_000, KEY, difference).unwrap();
        assert!((p - 0.038_574).abs() < 0.004, "{p}");
    }

    #[test]
    fn a_claim_is_tested_against_both_noises() {
        // Two methods, three seeds, 200 examples: the first has 30 more right, always the same ones.
        let right = |side: usize, row: usize| if side == 0 { row < 160 } else { row < 130 };
        let score = |side: usize, _: usize, rows: &[usize]| {
            let count = rows.iter().filter(|r| right(side, **r)).count();
            Some(count as f64 / rows.len() as f64)
        };
        let swapped = |_: usize, swap: &[bool]| {
            let side = |row: usize, side: usize| right(side ^ usize::from(swap[row]), row);
            let count = |which: usize| (0..200).filter(|r| side(*r, which)).count() as f64 / 200.0;
            Some(count(0) - count(1))
        };
        let found = Comparison::new(3, 200, KEY, score, swapped).unwrap();
        assert!((found.difference - 0.15).abs() < 1e-12);
        assert!(found.p_examples < 0.001);
        let interval = found.interval.unwrap();
        assert!(interval.low > 0.09 && interval.high < 0.21, "{interval:?}");
        // The seeds agree. Of 200 rows 30 differ: sqrt(0.15 * 0.85 / 200) is their error.
        let noise = found.noise().unwrap();
        assert!(noise.sd < 1e-9 && (noise.rows - 0.025_248_8).abs() < 0.001);
        assert!(found.p().unwrap() < 1e-6);
        let one = Comparison::new(1, 200, KEY, score, swapped).unwrap();
        assert_eq!(one.p(), None);
    }

    #[test]
    fn what_is_a_runs_own_is_no_noise_of_the_examples() {
        // Signs by the bits of a row's number, which are uncorrelated over 256 rows: bit 3 is shared, bits 0 to 2 are of
        // one run each. The mean of 256 signs has the variance 1 / 256.
        let sign = |row: usize, bit: usize| f64::from((row >> bit & 1) as u8) * 2.0 - 1.0;
        let error = |runs: usize, of: &(dyn Fn(usize, usize) -> f64 + Sync)| {
            rows_error(runs, 256, KEY, |run, rows| {
                Some(rows.iter().map(|row| of(run, *row)).sum::<f64>() / rows.len() as f64)
            })
            .unwrap()
        };
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 0.006, "{found} {expected}");
        };
        let unit = (1.0 / 256.0f64).sqrt();
        let both = |run: usize, row: usize| sign(row, 3) + sign(row, run);
        close(error(3, &|_, row| sign(row, 3)), unit);
        close(error(3, &both), unit);
        assert!(error(3, &|run, row| sign(row, run)) < 0.02);
        close(error(1, &both), 2f64.sqrt() * unit);
    }
}

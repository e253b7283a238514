//! Bootstrap intervals and paired tests for corpus scores, on the statistics of segments.
//!
//! Segments are drawn with replacement, their statistics added up, and the score computed anew (Koehn
//! 2004). Every draw comes from a key, so that intervals are the same in every run.

use adamix_keys::Key;
use serde::Serialize;

/// A score with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The score of the corpus itself.
    pub score: f64,
    /// The lower end of the 95 % percentile interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The difference of two systems with its interval and test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The first system's score less the second's.
    pub difference: f64,
    /// The lower end of the 95 % percentile interval of the difference.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Two-sided p-value: how often a difference as far from the mean of the drawn ones as zero is, or
    /// farther, would be drawn if the systems were equal (with one added to both counts).
    pub p_value: f64,
}

/// A corpus whose score can be computed on any multiset of its segments.
pub trait Resample {
    /// How many segments there are.
    fn segments(&self) -> usize;
    /// The score of the segments with these numbers, in which a number may occur any number of times.
    fn score(&self, segments: &[u32]) -> f64;
}

/// Statistics that add up, with the score of a sum.
pub struct Sums<'a, T, F> {
    /// The statistics of every segment.
    pub segments: &'a [T],
    /// The score of a total.
    pub score: F,
}

impl<T, F> Resample for Sums<'_, T, F>
where
    T: Default + for<'b> std::ops::AddAssign<&'b T>,
    F: Fn(&T) -> f64,
{
    fn segments(&self) -> usize {
        self.segments.len()
    }

    fn score(&self, segments: &[u32]) -> f64 {
        let mut total = T::default();
        for &segment in segments {
            total += &self.segments[segment as usize];
        }
        (self.score)(&total)
    }
}

/// Scores that are means over segments.
pub struct Means<'a>(pub &'a [f64]);

impl Resample for Means<'_> {
    fn segments(&self) -> usize {
        self.0.len()
    }

    fn score(&self, segments: &[u32]) -> f64 {
        let total: f64 = segments.iter().map(|&i| self.0[i as usize]).sum();
        total / segments.len() as f64
    }
}

/// Scores that are means over segments and one more, which is always there and always the same.
pub struct MeansWith<'a> {
    /// The score of every segment.
    pub segments: &'a [f64],
    /// The one beside them.
    pub constant: f64,
}

impl Resample for MeansWith<'_> {
    fn segments(&self) -> usize {
        self.segments.len()
    }

    fn score(&self, segments: &[u32]) -> f64 {
        let total: f64 = segments.iter().map(|&i| self.segments[i as usize]).sum();
        (total + self.constant) / (segments.len() + 1) as f64
    }
}

/// The 95 % percentile interval of a score; `None` without segments.
pub fn interval(corpus: &dyn Resample, key: Key, samples: usize) -> Option<Interval> {
    let all = everything(corpus.segments())?;
    let mut drawn: Vec<f64> = (0..samples)
        .map(|sample| corpus.score(&draw(key, sample, all.len())))
        .collect();
    let (low, high) = percentiles(&mut drawn)?;
    Some(Interval {
        score: corpus.score(&all),
        low,
        high,
    })
}

/// Compares two systems on the same segments, drawing the same ones for both; `None` if they differ in
/// number of segments or have none.
pub fn compare(
    first: &dyn Resample,
    second: &dyn Resample,
    key: Key,
    samples: usize,
) -> Option<Comparison> {
    if first.segments() != second.segments() {
        return None;
    }
    let all = everything(first.segments())?;
    let difference = first.score(&all) - second.score(&all);
    let mut drawn: Vec<f64> = (0..samples)
        .map(|sample| {
            let segments = draw(key, sample, all.len());
            first.score(&segments) - second.score(&segments)
        })
        .collect();
    let mean = drawn.iter().sum::<f64>() / samples as f64;
    let beyond = drawn
        .iter()
        .filter(|d| (*d - mean).abs() >= difference.abs())
        .count();
    let (low, high) = percentiles(&mut drawn)?;
    Some(Comparison {
        difference,
        low,
        high,
        p_value: (beyond + 1) as f64 / (samples + 1) as f64,
    })
}

fn everything(segments: usize) -> Option<Vec<u32>> {
    (segments > 0).then(|| (0..segments as u32).collect())
}

fn draw(key: Key, sample: usize, segments: usize) -> Vec<u32> {
    let mut stream = key.purpose("bootstrap").fold(sample as u64).stream();
    (0..segments)
        .map(|_| stream.below(segments) as u32)
        .collect()
}

/// The 2.5th and the 97.5th percentile, between neighbours in proportion.
fn percentiles(values: &mut [f64]) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let position = share * (values.len() - 1) as f64;
        let (below, above) = (position.floor() as usize, position.ceil() as usize);
        values[below] + (values[above] - values[below]) * position.fract()
    };
    (!values.is_empty()).then(|| (at(0.025), at(0.975)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_normal_distribution() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let found = interval(&Means(&values), Key::new(1), 2000).expect("segments");
        // Standard deviation 5.766, so a standard error of 0.288.
        assert_eq!(found.score, 9.5);
        assert!(
            (found.high - found.low - 2.0 * 1.96 * 0.2883).abs() < 0.08,
            "{found:?}"
        );
        assert_eq!(interval(&Means(&values), Key::new(1), 2000), Some(found));
    }

    #[test]
    fn equal_systems_do_not_differ_and_better_ones_do() {
        let a: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 101)).collect();
        let b: Vec<f64> = a.iter().map(|x| x + 1.0).collect();
        let noise: Vec<f64> = (0..200).map(|i| f64::from(i * 61 % 101)).collect();
        let key = Key::new(2);
        let of = |a: &[f64], b: &[f64]| compare(&Means(a), &Means(b), key, 1000).expect("paired");
        assert_eq!(of(&a, &a).p_value, 1.0);
        let better = of(&b, &a);
        assert!(
            (better.difference - 1.0).abs() < 1e-9 && better.p_value < 0.01,
            "{better:?}"
        );
        let same = of(&noise, &a);
        assert!(
            same.low < 0.0 && same.high > 0.0 && same.p_value > 0.05,
            "{same:?}"
        );
        assert!(compare(&Means(&a), &Means(&a[1..]), key, 10).is_none());
        assert!(interval(&Means(&[]), key, 10).is_none());
    }
}

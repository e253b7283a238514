//! How well a classifier's confidence fits how often it is right.

use serde::Serialize;

/// The rows whose confidence lies in one of several ranges of equal width.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Confidences are above this; the first bin has 0 too.
    pub above: f64,
    /// They are at most this.
    pub up_to: f64,
    /// How many rows there are.
    pub rows: usize,
    /// Their mean confidence; `None` for none.
    pub confidence: Option<f64>,
    /// The share of them that is right; `None` for none.
    pub accuracy: Option<f64>,
}

/// The data of a reliability diagram: each row's confidence in its prediction, and whether that was right, in
/// `count` bins of equal width (Guo et al. 2017; the bins of `sklearn.calibration.calibration_curve`).
pub fn reliability(rows: &[(f64, bool)], count: usize) -> Vec<ReliabilityBin> {
    let edge = |i: usize| i as f64 / count as f64;
    let edges: Vec<f64> = (1..count).map(edge).collect();
    let mut sums = vec![(0usize, 0.0, 0usize); count];
    for (confidence, right) in rows {
        let sum = &mut sums[edges.partition_point(|edge| edge < confidence)];
        sum.0 += 1;
        sum.1 += confidence;
        sum.2 += usize::from(*right);
    }
    let bin = |(i, (rows, confidence, right)): (usize, (usize, f64, usize))| ReliabilityBin {
        above: edge(i),
        up_to: edge(i + 1),
        rows,
        confidence: (rows > 0).then(|| confidence / rows as f64),
        accuracy: (rows > 0).then(|| right as f64 / rows as f64),
    };
    sums.into_iter().enumerate().map(bin).collect()
}

/// The expected calibration error: the mean gap between confidence and accuracy over the bins, weighted by
/// their rows; `None` for no rows.
pub fn calibration_error(bins: &[ReliabilityBin]) -> Option<f64> {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    let gap =
        |bin: &ReliabilityBin| Some(bin.rows as f64 * (bin.confidence? - bin.accuracy?).abs());
    (rows > 0).then(|| bins.iter().filter_map(gap).sum::<f64>() / rows as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_and_error_by_hand() {
        let rows = [
            (0.5, true),
            (0.55, false),
            (0.6, true),
            (0.95, true),
            (1.0, true),
        ];
        let bins = reliability(&rows, 10);
        // 0.5 is the last of its bin, 0.6 of the next.
        let filled: Vec<usize> = bins.iter().map(|bin| bin.rows).collect();
        assert_eq!(filled, [0, 0, 0, 0, 1, 2, 0, 0, 0, 2]);
        assert_eq!(bins[5].accuracy, Some(0.5));
        assert_eq!(bins[0].confidence, None);
        // (0.5 + 2 · 0.075 + 2 · 0.025) / 5.
        let error = calibration_error(&bins).unwrap();
        assert!((error - 0.14).abs() < 1e-12, "{error}");
        assert_eq!(calibration_error(&reliability(&[], 10)), None);
    }
}

//! The GLUE metrics on plain slices, in f64, as scikit-learn and SciPy define them.
//!
//! Every function takes predictions first and targets second, gives `None` where the metric is
//! undefined, and panics if the slices differ in length.

/// Share of equal entries; `None` for no entries.
pub fn accuracy(predictions: &[u32], targets: &[u32]) -> Option<f64> {
    assert_eq!(predictions.len(), targets.len());
    let right = predictions.iter().zip(targets).filter(|(p, t)| p == t);
    (!targets.is_empty()).then(|| right.count() as f64 / targets.len() as f64)
}

/// F1 of class 1 (`sklearn.metrics.f1_score`): 0 where no entry is or is predicted as class 1; `None` for no entries.
pub fn f1(predictions: &[u32], targets: &[u32]) -> Option<f64> {
    assert_eq!(predictions.len(), targets.len());
    let count = |v: &[u32]| v.iter().filter(|&&c| c == 1).count();
    let both = predictions.iter().zip(targets);
    let hits = both.filter(|(p, t)| **p == 1 && **t == 1).count();
    let sum = count(predictions) + count(targets);
    let value = if sum == 0 {
        0.0
    } else {
        2.0 * hits as f64 / sum as f64
    };
    (!targets.is_empty()).then_some(value)
}

/// Matthews correlation of any number of classes (`sklearn.metrics.matthews_corrcoef`; Gorodkin 2004).
///
/// 0 where predictions or targets are constant; `None` for no entries.
pub fn matthews(predictions: &[u32], targets: &[u32]) -> Option<f64> {
    assert_eq!(predictions.len(), targets.len());
    if targets.is_empty() {
        return None;
    }
    // Over the classes that occur, so that an odd label value costs no memory.
    let mut classes: Vec<u32> = predictions.iter().chain(targets).copied().collect();
    classes.sort_unstable();
    classes.dedup();
    let counts = |v: &[u32]| -> Vec<f64> {
        let mut n = vec![0.0; classes.len()];
        for c in v {
            let at = classes.binary_search(c).expect("every class was collected");
            n[at] += 1.0;
        }
        n
    };
    let (p, t) = (counts(predictions), counts(targets));
    let n = targets.len() as f64;
    let right = predictions
        .iter()
        .zip(targets)
        .filter(|(p, t)| p == t)
        .count() as f64;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let spread = (n * n - dot(&p, &p)) * (n * n - dot(&t, &t));
    Some(if spread == 0.0 {
        0.0
    } else {
        (right * n - dot(&p, &t)) / spread.sqrt()
    })
}

/// Pearson correlation (`scipy.stats.pearsonr`); `None` for fewer than two entries, a constant, or a non-finite entry.
pub fn pearson(predictions: &[f64], targets: &[f64]) -> Option<f64> {
    assert_eq!(predictions.len(), targets.len());
    let x = centred_unit(predictions)?;
    let y = centred_unit(targets)?;
    let r: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
    Some(r.clamp(-1.0, 1.0))
}

/// Spearman rank correlation with average ranks for ties (`scipy.stats.spearmanr`); `None` as for [`pearson`].
pub fn spearman(predictions: &[f64], targets: &[f64]) -> Option<f64> {
    assert_eq!(predictions.len(), targets.len());
    pearson(&average_ranks(predictions)?, &average_ranks(targets)?)
}

/// The mean of several metrics: GLUE's combined score. `None` if one is undefined or there is none.
pub fn combined(values: &[Option<f64>]) -> Option<f64> {
    let sum = values.iter().copied().sum::<Option<f64>>()?;
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

/// The values minus their mean, scaled to unit length: dividing first keeps squares in range.
fn centred_unit(values: &[f64]) -> Option<Vec<f64>> {
    let constant = values.windows(2).all(|w| w[0] == w[1]);
    if constant || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let mut centred: Vec<f64> = values.iter().map(|v| v - mean).collect();
    let largest = centred.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return None;
    }
    centred.iter_mut().for_each(|v| *v /= largest);
    let length = centred.iter().map(|v| v * v).sum::<f64>().sqrt();
    centred.iter_mut().for_each(|v| *v /= length);
    Some(centred)
}

/// Ranks from 1, equal values sharing the mean of their ranks; `None` if a value is not a number.
fn average_ranks(values: &[f64]) -> Option<Vec<f64>> {
    if values.iter().any(|v| v.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        // `==` and not the total order: -0 ties with 0.
        let ties = order[start..].iter().take_while(|&&i| values[i] == value);
        let end = start + ties.count();
        let rank = (start + 1 + end) as f64 / 2.0;
        order[start..end].iter().for_each(|&i| ranks[i] = rank);
        start = end;
    }
    Some(ranks)
}

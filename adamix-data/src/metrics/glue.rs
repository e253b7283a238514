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

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that Python can make too: the high bits of Knuth's 64-bit generator.
    fn numbers(seed: u64, n: usize, below: u64) -> Vec<u64> {
        let mut x = seed;
        let next = |_| {
            x = x
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (x >> 33) % below
        };
        (0..n).map(next).collect()
    }

    fn close(value: Option<f64>, expected: f64) {
        let value = value.expect("the metric is defined");
        assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    }

    #[test]
    fn classification_agrees_with_scikit_learn() {
        // scikit-learn 1.9.1: accuracy_score, f1_score, matthews_corrcoef. Two targets in three are right.
        for (classes, n, right, f, m) in [
            (2, 50, 0.86, Some(0.7741935483870968), 0.6807879681588862),
            (2, 1000, 0.833, Some(0.8408007626310772), 0.6653985226763236),
            (3, 700, 0.7857142857142857, None, 0.6782343117684384),
            (5, 33, 0.696969696969697, None, 0.6292401964641507),
        ] {
            let classes = |seed| -> Vec<u32> {
                numbers(seed, n, classes)
                    .iter()
                    .map(|&c| c as u32)
                    .collect()
            };
            let predictions = classes(1);
            let mut targets = classes(2);
            for (i, (target, &prediction)) in targets.iter_mut().zip(&predictions).enumerate() {
                if i % 3 != 0 {
                    *target = prediction;
                }
            }
            close(accuracy(&predictions, &targets), right);
            close(matthews(&predictions, &targets), m);
            if let Some(f) = f {
                close(f1(&predictions, &targets), f);
            }
        }
    }

    #[test]
    fn correlations_agree_with_scipy() {
        // SciPy 1.17.1: pearsonr, spearmanr. Few distinct values make many ties.
        for (distinct, n, r, rho) in [
            (7, 40, 0.47270994611296735, 0.48192450023022204),
            (1000, 500, 0.4705597208015738, 0.4688538116877116),
            (3, 10, 0.540464005537528, 0.5382707959154479),
        ] {
            let x: Vec<f64> = numbers(3, n, distinct)
                .iter()
                .map(|&v| v as f64 / 8.0)
                .collect();
            let mix = |(i, v): (usize, &u64)| {
                if i % 2 == 1 {
                    x[i] * 2.0
                } else {
                    *v as f64 / 4.0
                }
            };
            let y: Vec<f64> = numbers(4, n, distinct)
                .iter()
                .enumerate()
                .map(mix)
                .collect();
            close(pearson(&x, &y), r);
            close(spearman(&x, &y), rho);
        }
        // Offsets and scales far from 1.
        let x: Vec<f64> = numbers(5, 30, 9).iter().map(|&v| 1e9 + v as f64).collect();
        let y: Vec<f64> = numbers(6, 30, 4).iter().map(|&v| 1e-9 * v as f64).collect();
        close(pearson(&x, &y), 0.1676342982207627);
        close(spearman(&x, &y), 0.1463766134065526);
        let huge: Vec<f64> = y.iter().map(|v| v * 1e209).collect();
        close(pearson(&x, &huge), 0.1676342982207627);
    }

    #[test]
    fn degenerate_input_is_defined() {
        // As scikit-learn, with zero_division=0.
        assert_eq!(matthews(&[1, 1, 1], &[0, 1, 1]), Some(0.0));
        assert_eq!(matthews(&[1, 1], &[1, 1]), Some(0.0));
        assert_eq!(matthews(&[1, 0], &[0, 1]), Some(-1.0));
        assert_eq!(f1(&[0, 0], &[0, 0]), Some(0.0));
        assert_eq!(f1(&[0, 0], &[1, 1]), Some(0.0));
        // SciPy gives nan.
        assert_eq!(pearson(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[2.0, 2.0, 2.0]), None);
        assert_eq!(pearson(&[1.0, f64::NAN], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN], &[1.0, 2.0]), None);
        assert_eq!(pearson(&[1.0], &[1.0]), None);
        for metric in [accuracy, f1, matthews] {
            assert_eq!(metric(&[], &[]), None);
        }
        assert_eq!((pearson(&[], &[]), combined(&[])), (None, None));
        assert_eq!(combined(&[Some(0.5), None]), None);
    }
}

//! Several paths through one mixture, read as one prediction (paper §3.5).

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// The mean of several paths' logits (the paper's ensemble baseline of table 7), or outputs of a regression.
///
/// # Shapes
/// - each path: `[batch, classes]`
/// - output: `[batch, classes]`
///
/// # Panics
/// If there is no path.
pub fn mean_logits(paths: Vec<Tensor<2>>) -> Tensor<2> {
    let count = paths.len() as f64;
    let sum = paths.into_iter().reduce(|a, b| a + b);
    let sum = sum.expect("an ensemble has at least one path");
    match count {
        1.0 => sum,
        _ => sum / count,
    }
}

/// The logarithm of the mean of several paths' probabilities: the Monte-Carlo predictive distribution over
/// the paths (paper §3.5, after Gal and Ghahramani 2016).
///
/// # Shapes
/// - each path: `[batch, classes]` logits
/// - output: `[batch, classes]`, logits whose softmax is the mean
///
/// # Panics
/// If there is no path.
pub fn mean_log_probabilities(paths: Vec<Tensor<2>>) -> Tensor<2> {
    let count = paths.len() as f64;
    let logs: Vec<Tensor<2>> = paths.into_iter().map(|p| log_softmax(p, 1)).collect();
    // From the largest of each class: a probability that all paths find too small for a float has a logarithm.
    let largest = logs.iter().cloned().reduce(|a, b| a.max_pair(b));
    let largest = largest.expect("an ensemble has at least one path");
    let shares = logs.into_iter().map(|log| (log - largest.clone()).exp());
    let sum = shares.reduce(|a, b| a + b).expect("at least one path");
    (sum / count).log() + largest
}

/// How uncertain several paths are about each example, in nats.
#[derive(Clone, Debug)]
pub struct Uncertainty {
    /// Of the mean distribution: all uncertainty, `[batch]`.
    pub entropy: Tensor<1>,
    /// Between the example's class and the path: how much of it is disagreement of the paths, `[batch]`.
    pub mutual_information: Tensor<1>,
}

/// The entropy of the mean distribution, and what is left of it without the mean entropy of the paths.
///
/// # Shapes
/// - each path: `[batch, classes]` logits
///
/// # Panics
/// If there is no path.
pub fn uncertainty(paths: &[Tensor<2>]) -> Uncertainty {
    let logs: Vec<Tensor<2>> = paths.iter().map(|p| log_softmax(p.clone(), 1)).collect();
    let mean = mean_logits(logs.iter().map(|log| log.clone().exp()).collect());
    let own = logs.into_iter().map(|log| entropy(log.clone().exp(), log));
    let count = paths.len() as f64;
    let own = own.reduce(|a, b| a + b).expect("at least one path") / count;
    // A probability of 0 adds nothing; its logarithm must not either.
    let log = mean.clone().clamp_min(f32::MIN_POSITIVE).log();
    let entropy = entropy(mean, log);
    Uncertainty {
        mutual_information: (entropy.clone() - own).clamp_min(0.0),
        entropy,
    }
}

/// `-Σ p log p` of each row.
fn entropy(probabilities: Tensor<2>, logs: Tensor<2>) -> Tensor<1> {
    (probabilities * logs).sum_dim(1).neg().squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn figures_by_hand() {
        let device = Device::flex();
        // (3/4, 1/4) and (1/4, 3/4) for the first example, the same twice for the second.
        let path = |a: f32, b: f32| {
            let odds = |odds: f32| [odds.ln(), 0.0];
            Tensor::<2>::from_data([odds(a), odds(b)], &device)
        };
        let paths = vec![path(3.0, 3.0), path(1.0 / 3.0, 3.0)];
        let values = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().unwrap();
        let found = uncertainty(&paths);
        let own = -(0.75f32 * 0.75f32.ln() + 0.25 * 0.25f32.ln());
        let (entropy, information) = (values(found.entropy), values(found.mutual_information));
        assert!((entropy[0] - 2f32.ln()).abs() < 1e-6 && (entropy[1] - own).abs() < 1e-6);
        assert!((information[0] - (2f32.ln() - own)).abs() < 1e-6 && information[1].abs() < 1e-6);
        let mean = mean_log_probabilities(paths.clone()).exp();
        let mean: Vec<f32> = mean.into_data().try_to_vec().unwrap();
        for (m, e) in mean.iter().zip([0.5, 0.5, 0.75, 0.25]) {
            assert!((m - e).abs() < 1e-6, "{mean:?}");
        }
        let logits: Vec<f32> = mean_logits(paths).into_data().try_to_vec().unwrap();
        assert!(logits[0].abs() < 1e-6 && (logits[2] - 3f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn certain_paths_that_disagree_are_finite() {
        let device = Device::flex();
        let path = |value: f32| Tensor::<2>::from_data([[value, 0.0, -200.0]], &device);
        let found = uncertainty(&[path(200.0), path(-200.0)]);
        let information = found.mutual_information.into_scalar::<f32>();
        assert!((information - 2f32.ln()).abs() < 1e-5, "{information}");
        let mean = mean_log_probabilities(vec![path(200.0), path(100.0)]);
        let mean: Vec<f32> = mean.into_data().try_to_vec().unwrap();
        // The mean of e^-200 and e^-100.
        let second = -100.0 - 2f32.ln();
        assert!(
            mean[0].abs() < 1e-5 && (mean[1] - second).abs() < 1e-3,
            "{mean:?}"
        );
        assert!((mean[2] - (second - 200.0)).abs() < 1e-3, "{mean:?}");
    }
}

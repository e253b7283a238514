//! The consistency loss between two passes over one batch (paper §3.2).

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use serde::{Deserialize, Serialize};

/// What consistency means for a single output, where the KL divergence of a softmax is always zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegressionConsistency {
    /// No second pass (the released code runs one whose loss and gradient are zero).
    None,
    /// The mean squared distance of the two outputs; not in the paper.
    Mse,
}

/// The symmetric Kullback-Leibler divergence, mean over the batch:
/// `0.5 [KL(p2 || p1) + KL(p1 || p2)]`.
///
/// With `detach` the first argument of each divergence is a constant, as in the released code; the
/// gradient then reaches each pass only as the one that is pulled.
///
/// # Shapes
/// - `first`, `second`: `[batch, classes]` logits
/// - output: `[1]`
pub fn symmetric_kl(first: Tensor<2>, second: Tensor<2>, detach: bool) -> Tensor<1> {
    let (log_p1, log_p2) = (log_softmax(first, 1), log_softmax(second, 1));
    (kl(log_p2.clone(), log_p1.clone(), detach) + kl(log_p1, log_p2, detach)) * 0.5
}

/// `KL(target || pulled)`, mean over the batch, from log-probabilities.
fn kl(target: Tensor<2>, pulled: Tensor<2>, detach: bool) -> Tensor<1> {
    let batch = target.dims()[0] as f64;
    let target = if detach { target.detach() } else { target };
    // Row by row first: a backend may add a long tensor in the order in which its threads end.
    (target.clone().exp() * (target - pulled)).sum_dim(1).sum() / batch
}

/// The mean squared distance of two outputs of a regression.
///
/// With `detach` each output is pulled towards the other taken as a constant, `0.5 [(a - sg b)^2 + (b - sg a)^2]`,
/// as [`symmetric_kl`] does it: the value is the same, the gradient half of `(a - b)^2`'s.
///
/// # Shapes
/// - `first`, `second`: `[batch, 1]`
/// - output: `[1]`
pub fn squared_distance(first: Tensor<2>, second: Tensor<2>, detach: bool) -> Tensor<1> {
    if !detach {
        return (first - second).square().mean();
    }
    let pulled = (first.clone() - second.clone().detach()).square();
    let pulling = (second - first.detach()).square();
    (pulled + pulling).mean() * 0.5
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn equals_a_value_computed_by_hand() {
        // p1 = (0.75, 0.25), p2 = (0.5, 0.5): KL(p2||p1) = 0.5 ln(4/3), KL(p1||p2) = 0.75 ln 1.5 + 0.25 ln 0.5.
        let device = Device::flex();
        let first = Tensor::<2>::from_data([[3f32.ln(), 0.0]], &device);
        let second = Tensor::<2>::from_data([[0.0, 0.0]], &device);
        let expected = 0.5 * (0.5 * (4f64 / 3.0).ln() + 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln());
        let value = symmetric_kl(first, second, true).into_scalar::<f32>();
        assert!(
            (f64::from(value) - expected).abs() < 1e-7,
            "{value} {expected}"
        );
    }

    #[test]
    fn detached_gradient_is_the_cross_entropys() {
        // d/dz1 of 0.5 KL(sg p2 || p1) is 0.5 (p1 - p2).
        let device = Device::flex().autodiff();
        let first = Tensor::<2>::from_data([[3f32.ln(), 0.0]], &device).require_grad();
        let second = Tensor::<2>::from_data([[0.0, 0.0]], &device).require_grad();
        let gradients = symmetric_kl(first.clone(), second, true).backward();
        let gradient = first
            .grad(&gradients)
            .unwrap()
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        assert!(
            (gradient[0] - 0.125).abs() < 1e-6 && (gradient[1] + 0.125).abs() < 1e-6,
            "{gradient:?}"
        );
    }

    #[test]
    fn without_detaching_the_gradient_is_that_of_both_divergences() {
        // d/dz1 of 0.5 [KL(p2 || p1) + KL(p1 || p2)] is 0.5 (p1 - p2) + 0.5 p1 (ln(p1 / p2) - KL(p1 || p2)), for
        // (0.75, 0.25) and (0.5, 0.5) ±(0.125 + 0.1029949); with the two exchanged it is ∓(0.125 + 0.1373265). Each
        // row has half of that.
        let device = Device::flex().autodiff();
        let rows = |a: f32| Tensor::<2>::from_data([[a, 0.0], [a, 0.0]], &device).require_grad();
        let (first, second) = (rows(3f32.ln()), rows(0.0));
        let gradients = symmetric_kl(first.clone(), second.clone(), false).backward();
        for (logits, whole) in [(first, 0.227_994_9f32), (second, -0.262_326_5)] {
            let gradient = logits.grad(&gradients).unwrap().into_data();
            let gradient = gradient.try_to_vec::<f32>().unwrap();
            for (found, expected) in gradient.iter().zip([whole, -whole, whole, -whole]) {
                assert!((found - expected / 2.0).abs() < 1e-6, "{gradient:?}");
            }
        }
    }

    #[test]
    fn a_detached_distance_has_the_value_and_half_the_gradient() {
        let device = Device::flex().autodiff();
        let run = |detach| {
            let first = Tensor::<2>::from_data([[3.0], [1.0]], &device).require_grad();
            let second = Tensor::<2>::from_data([[1.0], [1.0]], &device).require_grad();
            let loss = squared_distance(first.clone(), second, detach);
            let gradient = first.grad(&loss.backward()).unwrap();
            (
                loss.into_scalar::<f32>(),
                gradient.into_data().try_to_vec::<f32>().unwrap()[0],
            )
        };
        assert_eq!(run(false), (2.0, 2.0));
        assert_eq!(run(true), (2.0, 1.0));
    }
}

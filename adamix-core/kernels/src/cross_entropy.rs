//! Cross-entropy over a vocabulary: one pass over the logits each way, without log-probabilities stored.

use crate::device::{is_fused, is_on};
use crate::flex::{rows, slice, tensor, uninitialised};
use crate::math::{exp, max, sum, sum_exp};
use crate::simd::multiversion;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::sync::Arc;

/// `Σ over rows of -(1 - ε) log p(class) - ε mean(log p)`, with `p` the softmax of a row and ε the share
/// of the target that label smoothing spreads evenly.
///
/// # Shapes
/// - `logits`: `[rows, classes]`; `classes`: the class of each row
/// - result: `[1]`
///
/// # Panics
/// If the number of rows differs or a class is not below the number of classes.
pub fn cross_entropy(logits: Tensor<2>, classes: &[u32], smoothing: f64) -> Tensor<1> {
    let [rows, count] = logits.dims();
    assert_eq!(classes.len(), rows, "cross-entropy: one class for each row");
    if let Some(class) = classes.iter().find(|class| **class as usize >= count) {
        panic!("cross-entropy: class {class} of {count}");
    }
    if !(is_on("cross-entropy") && is_fused(&logits)) {
        return composed(logits, classes, smoothing);
    }
    let targets = Targets {
        classes: classes.into(),
        smoothing: smoothing as f32,
    };
    let logits = logits.into_dispatch();
    Tensor::from_dispatch(Dispatch::fused_cross_entropy(logits, targets))
}

/// The largest of some logits, and the sum of `e^(logit - largest)`: what a softmax divides by.
pub fn exponential_sum(logits: &[f32]) -> (f32, f32) {
    row_exponential_sum(logits)
}

/// The same from Burn's own operations.
pub(crate) fn composed(logits: Tensor<2>, classes: &[u32], smoothing: f64) -> Tensor<1> {
    let [rows, count] = logits.dims();
    let indices: Vec<i32> = classes.iter().map(|class| *class as i32).collect();
    let indices = TensorData::new(indices, [rows, 1]);
    let indices = Tensor::<2, Int>::from_data(indices, &logits.device());
    let log_p = log_softmax(logits, 1);
    let of_class = log_p.clone().gather(1, indices).sum();
    of_class * (smoothing - 1.0) - log_p.sum() * (smoothing / count as f64)
}

/// What is not a tensor.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    classes: Arc<[u32]>,
    smoothing: f32,
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait CrossEntropyOps: Backend {
    fn fused_cross_entropy(logits: FloatTensor<Self>, targets: Targets) -> FloatTensor<Self>;
    /// The result, and each row's logarithm of the sum of exponentials.
    fn fused_cross_entropy_statistics(
        logits: FloatTensor<Self>,
        targets: Targets,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn fused_cross_entropy_gradient(
        logits: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        targets: Targets,
    ) -> FloatTensor<Self>;
}

impl CrossEntropyOps for Flex {
    fn fused_cross_entropy(logits: FlexTensor, targets: Targets) -> FlexTensor {
        Self::fused_cross_entropy_statistics(logits, targets).0
    }

    fn fused_cross_entropy_statistics(
        logits: FlexTensor,
        targets: Targets,
    ) -> (FlexTensor, FlexTensor) {
        let logits = logits.to_contiguous();
        let (count, classes) = rows(&logits);
        let normalisers: Vec<f32> = slice(&logits)
            .par_chunks(classes.max(1))
            .map(|row| {
                let (largest, sum) = row_exponential_sum(row);
                largest + sum.ln()
            })
            .collect();
        let share = targets.smoothing;
        // In 64 bits and in the order of the rows.
        let total: f64 = slice(&logits)
            .chunks(classes.max(1))
            .zip(normalisers.iter().zip(targets.classes.iter()))
            .map(|(row, (normaliser, class))| {
                let mut loss = (1.0 - share) * (normaliser - row[*class as usize]);
                if share != 0.0 {
                    loss += share * (normaliser - row_sum(row) / classes as f32);
                }
                f64::from(loss)
            })
            .sum();
        (
            tensor(vec![total as f32], Shape::from([1])),
            tensor(normalisers, Shape::from([count])),
        )
    }

    fn fused_cross_entropy_gradient(
        logits: FlexTensor,
        statistics: FlexTensor,
        gradient: FlexTensor,
        targets: Targets,
    ) -> FlexTensor {
        let logits = logits.to_contiguous();
        let (_, classes) = rows(&logits);
        let factor = slice(&gradient.to_contiguous())[0];
        let input = slice(&logits);
        let share = targets.smoothing;
        // SAFETY: the rows cover the buffer, and the kernel assigns every element of a row.
        let mut output = unsafe { uninitialised(input.len()) };
        output
            .par_chunks_mut(classes.max(1))
            .zip(input.par_chunks(classes.max(1)))
            .zip(slice(&statistics).par_iter().zip(&targets.classes[..]))
            .for_each(|((slopes, row), (normaliser, class))| {
                row_gradient(row, *normaliser, share / classes as f32, factor, slopes);
                slopes[*class as usize] -= factor * (1.0 - share);
            });
        tensor(output, logits.shape())
    }
}

impl<B: CrossEntropyOps, C: CheckpointStrategy> CrossEntropyOps for Autodiff<B, C> {
    fn fused_cross_entropy(logits: FloatTensor<Self>, targets: Targets) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct CrossEntropy;

        impl<B: CrossEntropyOps> Backward<B, 1> for CrossEntropy {
            /// Logits, statistics.
            type State = (FloatTensor<B>, FloatTensor<B>, Targets);

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let [parent] = ops.parents;
                let (logits, statistics, targets) = ops.state;
                if let Some(node) = parent {
                    let slopes =
                        B::fused_cross_entropy_gradient(logits, statistics, gradient, targets);
                    gradients.register::<B>(node.id, slopes);
                }
            }
        }

        let prepared = CrossEntropy.prepare::<C>([logits.node()]);
        let logits = logits.into_primitive();
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, statistics) =
                    B::fused_cross_entropy_statistics(logits.clone(), targets.clone());
                prepared.finish((logits, statistics, targets), output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::fused_cross_entropy(logits, targets))
            }
        }
    }

    fn fused_cross_entropy_statistics(
        _: FloatTensor<Self>,
        _: Targets,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("only called on the inner backend")
    }

    fn fused_cross_entropy_gradient(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Targets,
    ) -> FloatTensor<Self> {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }
}

multiversion! { fn row_exponential_sum(row: &[f32]) -> (f32, f32) = row_exponential_sum_body }
multiversion! { fn row_sum(row: &[f32]) -> f32 = row_sum_body }
multiversion! {
    /// `factor (p - even)` with `p` the softmax of the row.
    fn row_gradient(row: &[f32], normaliser: f32, even: f32, factor: f32, slopes: &mut [f32])
        = row_gradient_body
}

#[inline(always)]
fn row_exponential_sum_body<const FMA: bool>(row: &[f32]) -> (f32, f32) {
    let largest = max(row);
    (largest, sum_exp::<FMA>(row, largest))
}

#[inline(always)]
fn row_sum_body<const FMA: bool>(row: &[f32]) -> f32 {
    sum(row)
}

#[inline(always)]
fn row_gradient_body<const FMA: bool>(
    row: &[f32],
    normaliser: f32,
    even: f32,
    factor: f32,
    slopes: &mut [f32],
) {
    for (x, slope) in row.iter().zip(slopes) {
        *slope = factor * (exp::<FMA>(*x - normaliser) - even);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{close, host, leaf, numeric_gradient, plain, same, values, wide};
    use proptest::prelude::*;

    /// The definition, in 64 bits.
    fn reference(logits: &[f64], classes: &[u32], smoothing: f64) -> f64 {
        let count = logits.len() / classes.len();
        logits
            .chunks(count)
            .zip(classes)
            .map(|(row, class)| {
                let largest = row.iter().copied().fold(f64::MIN, f64::max);
                let normaliser =
                    largest + row.iter().map(|x| (x - largest).exp()).sum::<f64>().ln();
                let mean = row.iter().map(|x| normaliser - x).sum::<f64>() / count as f64;
                (1.0 - smoothing) * (normaliser - row[*class as usize]) + smoothing * mean
            })
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn value_and_gradient_agree_with_the_reference(
            rows in 1usize..9, count in 1usize..70, smoothing in 0.0..0.9f64, size in 0.1..30.0f64,
            seed: u64,
        ) {
            let x = values(seed, rows * count, size);
            let classes: Vec<u32> = (0..rows).map(|row| (seed % 97 + row as u64 * 31) as u32 % count as u32).collect();
            let logits = leaf(&x, [rows, count]);
            let loss = cross_entropy(logits.clone(), &classes, smoothing);
            let expected = reference(&wide(&x), &classes, smoothing);
            close(&loss, &[expected], 3e-6);
            close(&composed(plain(&x, [rows, count]), &classes, smoothing), &[expected], 1e-5);
            let gradients = (loss * 0.5).backward();
            let expected = numeric_gradient(&wide(&x), &[0.5], |x| {
                vec![reference(x, &classes, smoothing)]
            });
            close(&logits.grad(&gradients).unwrap(), &expected, 1e-5);
        }
    }

    #[test]
    fn impossible_classes_weigh_nothing() {
        let x = [f32::NEG_INFINITY, 3f32.ln(), 0.0];
        let (largest, sum) = exponential_sum(&x);
        assert!(largest == x[1] && (sum - 4.0 / 3.0).abs() < 1e-6);
        let logits = leaf(&x, [1, 3]);
        let loss = cross_entropy(logits.clone(), &[1], 0.0);
        close(&loss, &[-(0.75f64.ln())], 1e-6);
        close(
            &logits.grad(&loss.backward()).unwrap(),
            &[0.0, -0.25, 0.25],
            1e-6,
        );
    }

    #[test]
    fn a_logit_that_is_no_number_shows_in_the_loss() {
        let logits = plain(&[0.0, f32::NAN, 1.0], [1, 3]);
        assert!(host(&cross_entropy(logits, &[0], 0.0))[0].is_nan());
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let x: Tensor<2> = plain(&values(9, 300 * 701, 4.0), [300, 701]);
        let classes: Vec<u32> = (0..300).collect();
        same(|| cross_entropy(x.clone(), &classes, 0.1));
        same(|| {
            let x = x.clone().autodiff().require_grad();
            let gradients = cross_entropy(x.clone(), &classes, 0.1).backward();
            x.grad(&gradients).unwrap()
        });
    }

    #[test]
    #[should_panic(expected = "class 3 of 3")]
    fn a_class_must_exist() {
        cross_entropy(plain(&[0.0; 3], [1, 3]), &[3], 0.0);
    }
}

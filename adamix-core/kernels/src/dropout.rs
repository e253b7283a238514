//! Dropout whose masks come from keys.

use crate::device::{is_fused, is_on};
use crate::flex::{rows, slice, tensor, uninitialised};
use crate::simd::multiversion;
use adamix_keys::mask;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;

/// Where the masks of one dropout site come from.
///
/// A unit's fate depends on the state of its row and on its coordinates, not on the batch's layout:
/// unit `u` of token `t` in row `r` is kept if `mask::keep(mask::mix(rows[r], t), u, threshold)`. For
/// attention probabilities the state is `mix(mix(rows[r], head), query)` and the unit is the key.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// The probability that a unit is dropped, in `[0, 1)`.
    pub rate: f64,
    /// One mask state for each row of the batch, already derived from seed, step, pass, site and example.
    pub rows: Vec<u32>,
}

impl Dropout {
    /// What a unit under `state` is multiplied by: zero, or the scale that keeps the mean.
    fn factors(&self, state: u32, units: usize) -> impl Iterator<Item = f32> {
        let chance = self.chance();
        (0..units as u32).map(move |unit| chance.factor(state, unit))
    }

    /// The rate in the form the kernels use.
    pub(crate) fn chance(&self) -> Chance {
        Chance {
            threshold: mask::threshold(self.rate),
            scale: mask::scale(self.rate),
        }
    }

    /// The factors of `[batch, tokens, units]`, in row-major order.
    pub(crate) fn token_factors(&self, tokens: usize, units: usize) -> Vec<f32> {
        let tokens = 0..tokens as u32;
        self.rows
            .iter()
            .flat_map(|&row| tokens.clone().map(move |token| mask::mix(row, token)))
            .flat_map(|state| self.factors(state, units))
            .collect()
    }

    /// The factors of `[batch, heads, queries, keys]` whose first query has position `past`.
    pub(crate) fn attention_factors(
        &self,
        heads: usize,
        queries: usize,
        keys: usize,
        past: usize,
    ) -> Vec<f32> {
        let heads = 0..heads as u32;
        let queries = past as u32..(past + queries) as u32;
        self.rows
            .iter()
            .flat_map(|&row| heads.clone().map(move |head| mask::mix(row, head)))
            .flat_map(|state| queries.clone().map(move |query| mask::mix(state, query)))
            .flat_map(|state| self.factors(state, keys))
            .collect()
    }

    /// Checks the rate and the number of rows against a batch.
    pub(crate) fn check(&self, batch: usize) {
        assert!(
            (0.0..1.0).contains(&self.rate),
            "a dropout rate lies in [0, 1), found {}",
            self.rate
        );
        assert_eq!(
            self.rows.len(),
            batch,
            "dropout needs one mask state for each row of the batch"
        );
    }
}

/// A drop rate as an integer bound and a scale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance {
    threshold: u32,
    scale: f32,
}

impl Chance {
    /// What a unit under `state` is multiplied by.
    #[inline(always)]
    pub(crate) fn factor(self, state: u32, unit: u32) -> f32 {
        if mask::keep(state, unit, self.threshold) {
            self.scale
        } else {
            0.0
        }
    }
}

/// Drops units at random and scales the rest by `1 / (1 - rate)`.
///
/// # Shapes
/// - `x`: `[batch, tokens, units]`, or `[batch, units]` (which is token 0 of each row)
///
/// # Panics
/// If the rate is outside `[0, 1)`, the rows are not as many as the batch, or `x` has another rank.
pub fn dropout<const D: usize>(x: Tensor<D>, dropout: &Dropout) -> Tensor<D> {
    assert!(
        D == 2 || D == 3,
        "dropout takes [batch, units] or [batch, tokens, units], found rank {D}"
    );
    dropout.check(x.dims()[0]);
    if dropout.rate == 0.0 {
        x
    } else if is_on("dropout") && is_fused(&x) {
        let y = Dispatch::fused_dropout(x.into_dispatch(), dropout.clone());
        Tensor::from_dispatch(y)
    } else {
        composed(x, dropout)
    }
}

/// The same with a mask made on the host and a plain multiplication.
pub(crate) fn composed<const D: usize>(x: Tensor<D>, dropout: &Dropout) -> Tensor<D> {
    let dims = x.dims();
    let tokens = if D == 3 { dims[1] } else { 1 };
    let factors = dropout.token_factors(tokens, dims[D - 1]);
    let factors = TensorData::new(factors, dims);
    let factors = Tensor::from_data(factors, (&x.device(), x.dtype()));
    x * factors
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait DropoutOps: Backend {
    fn fused_dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self>;
}

/// Rows (tokens) of one unit of parallel work.
const ROWS: usize = 16;

impl DropoutOps for Flex {
    fn fused_dropout(x: FlexTensor, dropout: Dropout) -> FlexTensor {
        let x = x.to_contiguous();
        let ((count, units), input) = (rows(&x), slice(&x));
        let tokens = count / dropout.rows.len().max(1);
        let chance = dropout.chance();
        // SAFETY: the rows cover the buffer, and the kernel assigns every element of a row.
        let mut output = unsafe { uninitialised(input.len()) };
        let chunk = (ROWS * units).max(1);
        output
            .par_chunks_mut(chunk)
            .zip(input.par_chunks(chunk))
            .enumerate()
            .for_each(|(index, (y, x))| {
                let rows = x.chunks(units).zip(y.chunks_mut(units));
                for (i, (x, y)) in (index * ROWS..).zip(rows) {
                    let state = mask::mix(dropout.rows[i / tokens], (i % tokens) as u32);
                    drop_units(x, state, chance, y);
                }
            });
        tensor(output, x.shape())
    }
}

impl<B: DropoutOps, C: CheckpointStrategy> DropoutOps for Autodiff<B, C> {
    fn fused_dropout(x: FloatTensor<Self>, dropout: Dropout) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Drop;

        impl<B: DropoutOps> Backward<B, 1> for Drop {
            type State = Dropout;

            fn backward(
                self,
                ops: Ops<Self::State, 1>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let [x] = ops.parents;
                if let Some(node) = x {
                    // The derivative of a product with a constant is the product with that constant.
                    let dx = B::fused_dropout(gradient, ops.state);
                    gradients.register::<B>(node.id, dx);
                }
            }
        }

        let prepared = Drop.prepare::<C>([x.node()]).compute_bound();
        let output = B::fused_dropout(x.into_primitive(), dropout.clone());
        match prepared.stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(dropout, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

multiversion! { fn drop_units(x: &[f32], state: u32, chance: Chance, y: &mut [f32]) = drop_units_body }

#[inline(always)]
fn drop_units_body<const FMA: bool>(x: &[f32], state: u32, chance: Chance, y: &mut [f32]) {
    for (unit, (x, y)) in (0u32..).zip(x.iter().zip(y)) {
        *y = x * chance.factor(state, unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{close, host, leaf, plain, same, values};
    use proptest::prelude::*;

    fn site(rate: f64, batch: usize, seed: u64) -> Dropout {
        let key = adamix_keys::Key::new(seed);
        let rows = (0..batch as u64)
            .map(|row| key.fold(row).word32())
            .collect();
        Dropout { rate, rows }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn values_and_gradients_are_the_composed_ones(
            batch in 1usize..6, tokens in 1usize..40, units in 1usize..70,
            rate in 0.0..0.95, seed: u64,
        ) {
            let dims = [batch, tokens, units];
            let site = site(rate, batch, seed);
            let x = leaf(&values(seed, batch * tokens * units, 1.0), dims);
            let g = plain(&values(seed ^ 1, batch * tokens * units, 1.0), dims);
            let y = dropout(x.clone(), &site);
            close(&y, &host(&composed(x.clone(), &site)), 0.0);
            let gradients = (y * g.clone().autodiff()).sum().backward();
            close(&x.grad(&gradients).unwrap(), &host(&composed(g, &site)), 0.0);
        }
    }

    #[test]
    fn a_matrix_is_the_first_token() {
        let site = site(0.3, 4, 1);
        let x: Tensor<2> = plain(&values(1, 4 * 9, 1.0), [4, 9]);
        let padded = Tensor::cat(vec![x.clone().unsqueeze_dim::<3>(1); 3], 1);
        let first = dropout(padded, &site).slice([0..4, 0..1, 0..9]);
        close(&dropout(x, &site), &host(&first), 0.0);
    }

    #[test]
    fn the_mean_is_kept_and_rate_zero_changes_nothing() {
        let x: Tensor<3> = plain(&[1.0; 40_000], [4, 100, 100]);
        let mean = host(&dropout(x.clone(), &site(0.1, 4, 7)).mean());
        assert!((mean[0] - 1.0).abs() < 0.01, "{mean:?}");
        assert_eq!(host(&dropout(x.clone(), &site(0.0, 4, 7))), host(&x));
    }

    #[test]
    #[should_panic(expected = "one mask state for each row")]
    fn every_row_needs_a_state() {
        dropout::<2>(plain(&[0.0; 6], [3, 2]), &site(0.1, 2, 1));
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let x: Tensor<3> = plain(&values(1, 3 * 77 * 50, 1.0), [3, 77, 50]);
        same(|| dropout(x.clone(), &site(0.2, 3, 5)));
    }
}

//! Dropout whose masks come from keys.

use adamix_keys::mask;
use burn::tensor::{Tensor, TensorData};

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
    fn factors(&self, state: u32, units: usize, offset: usize) -> impl Iterator<Item = f32> {
        let (threshold, scale) = (mask::threshold(self.rate), mask::scale(self.rate));
        (0..units).map(move |unit| {
            let kept = mask::keep(state, (unit + offset) as u32, threshold);
            if kept { scale } else { 0.0 }
        })
    }

    /// The factors of `[batch, tokens, units]`, in row-major order.
    pub(crate) fn token_factors(&self, tokens: usize, units: usize) -> Vec<f32> {
        let tokens = 0..tokens as u32;
        self.rows
            .iter()
            .flat_map(|&row| tokens.clone().map(move |token| mask::mix(row, token)))
            .flat_map(|state| self.factors(state, units, 0))
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
            .flat_map(|state| self.factors(state, keys, 0))
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

/// Drops units at random and scales the rest by `1 / (1 - rate)`.
///
/// # Shapes
/// - `x`: `[batch, tokens, units]`, or `[batch, units]` (which is token 0 of each row)
///
/// # Panics
/// If the rate is outside `[0, 1)`, the rows are not as many as the batch, or `x` has another rank.
pub fn dropout<const D: usize>(x: Tensor<D>, dropout: &Dropout) -> Tensor<D> {
    let dims = x.dims();
    assert!(
        D == 2 || D == 3,
        "dropout takes [batch, units] or [batch, tokens, units], found rank {D}"
    );
    dropout.check(dims[0]);
    if dropout.rate == 0.0 {
        return x;
    }
    composed(x, dropout)
}

/// The same with a mask made on the host and a plain multiplication.
pub(crate) fn composed<const D: usize>(x: Tensor<D>, dropout: &Dropout) -> Tensor<D> {
    let dims = x.dims();
    let tokens = if D == 3 { dims[1] } else { 1 };
    let factors = dropout.token_factors(tokens, dims[D - 1]);
    let factors = Tensor::from_data(TensorData::new(factors, dims), &x.device());
    x * factors
}

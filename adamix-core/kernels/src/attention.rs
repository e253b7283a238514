//! Scaled dot-product attention with a padding or causal mask and dropout on the probabilities.

use crate::dropout::Dropout;
use burn::tensor::{Bool, Tensor, TensorData, activation::softmax};

/// `softmax(q kᵀ / sqrt(head_dim) + bias) v`, where padding keys have the bias `f32::MIN`.
///
/// As in `transformers`, a row whose keys are all padding attends to all of them alike.
///
/// # Shapes
/// - `q`: `[batch, heads, queries, head_dim]`, `k`, `v`: `[batch, heads, keys, head_dim]`; views of any
///   strides do
/// - `mask`: `[batch, keys]`, 1 where a key may be attended to and 0 where it is padding
/// - result: as `q`
///
/// # Panics
/// If the shapes do not fit.
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Tensor<2>,
    dropout: Option<&Dropout>,
) -> Tensor<4> {
    composed(q, k, v, Some(mask), false, active(dropout))
}

/// [`attention`] where a query attends to itself and to what comes before it.
///
/// Keys may be more than queries: the first `keys - queries` of them are the past (a cache), and query
/// `i` has the position `keys - queries + i`, which is also its coordinate in the dropout mask.
///
/// # Shapes
/// - as in [`attention`]; without a mask no key is padding
///
/// # Panics
/// If the shapes do not fit or there are fewer keys than queries.
pub fn attention_causal(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Option<Tensor<2>>,
    dropout: Option<&Dropout>,
) -> Tensor<4> {
    composed(q, k, v, mask, true, active(dropout))
}

/// A dropout of rate zero is none.
fn active(dropout: Option<&Dropout>) -> Option<&Dropout> {
    dropout.filter(|dropout| dropout.rate != 0.0)
}

/// The same from Burn's own operations.
pub(crate) fn composed(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Option<Tensor<2>>,
    causal: bool,
    dropout: Option<&Dropout>,
) -> Tensor<4> {
    let [batch, heads, queries, head_dim] = q.dims();
    let keys = k.dims()[2];
    assert!(
        !causal || keys >= queries,
        "causal attention needs a key for each query"
    );
    let past = keys.saturating_sub(queries);
    let mut scores = q
        .matmul(k.swap_dims(2, 3))
        .mul_scalar(1.0 / (head_dim as f64).sqrt());
    if let Some(mask) = mask {
        let bias = mask.sub_scalar(1.0).mul_scalar(-f64::from(f32::MIN));
        scores = scores + bias.reshape([batch, 1, 1, keys]);
    }
    if causal {
        let future = (0..queries)
            .flat_map(|query| (0..keys).map(move |key| key > past + query))
            .collect::<Vec<bool>>();
        let future = TensorData::new(future, [1, 1, queries, keys]);
        let future = Tensor::<4, Bool>::from_data(future, &scores.device());
        scores = scores.mask_fill(
            future.expand([batch, heads, queries, keys]),
            f32::NEG_INFINITY,
        );
    }
    let mut probabilities = softmax(scores, 3);
    if let Some(dropout) = dropout {
        dropout.check(batch);
        let position = if causal { past } else { 0 };
        let factors = dropout.attention_factors(heads, queries, keys, position);
        let factors = TensorData::new(factors, [batch, heads, queries, keys]);
        probabilities = probabilities.clone() * Tensor::from_data(factors, &probabilities.device());
    }
    probabilities.matmul(v)
}

//! Scaled dot-product attention with a padding or causal mask and dropout on the probabilities.

mod kernel;
mod past;

pub use past::{Lineage, Past};

use crate::device::{is_fused, is_on};
use crate::dropout::Dropout;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Bool, DType, Tensor, TensorData, activation::softmax};
use burn_flex::FlexTensor;

/// `softmax(q kᵀ / sqrt(head_dim) + bias) v`, where padding keys have the bias `f32::MIN`.
///
/// As in `transformers`, a row whose keys are all padding attends to all of them alike. The mask gets no
/// gradient. The fused form keeps two numbers a query for the backward pass instead of the
/// probabilities, reads views in place, and lays its results out as `[batch, tokens, heads, head_dim]`
/// in memory, so that `swap_dims(1, 2)` and `reshape` around it copy nothing.
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
    run([q, k, v], Some(mask), Settings::new(false, dropout))
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
    run([q, k, v], mask, Settings::new(true, dropout))
}

/// What is not a tensor.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    causal: bool,
    dropout: Option<Dropout>,
}

impl Settings {
    /// A dropout of rate zero is none.
    fn new(causal: bool, dropout: Option<&Dropout>) -> Self {
        let dropout = dropout.filter(|dropout| dropout.rate != 0.0).cloned();
        Self { causal, dropout }
    }
}

fn run([q, k, v]: [Tensor<4>; 3], mask: Option<Tensor<2>>, settings: Settings) -> Tensor<4> {
    let [batch, heads, queries, head_dim] = q.dims();
    let keys = k.dims()[2];
    assert!(keys > 0, "attention needs at least one key");
    let expected = [batch, heads, keys, head_dim];
    assert_eq!(
        k.dims(),
        expected,
        "attention: shape of the keys, for queries {:?}",
        q.dims()
    );
    assert_eq!(v.dims(), expected, "attention: shape of the values");
    assert!(
        !settings.causal || keys >= queries,
        "causal attention needs a key for each query"
    );
    if let Some(mask) = &mask {
        assert_eq!(mask.dims(), [batch, keys], "attention: shape of the mask");
    }
    if let Some(dropout) = &settings.dropout {
        dropout.check(batch);
    }
    let fused = [&q, &k, &v].into_iter().all(is_fused) && mask.as_ref().is_none_or(is_fused);
    if !(fused && is_on("attention")) {
        return composed(q, k, v, mask, settings.causal, settings.dropout.as_ref());
    }
    let mask = mask.unwrap_or_else(|| Tensor::ones([batch, keys], &q.device()));
    Tensor::from_dispatch(Dispatch::fused_attention(
        q.into_dispatch(),
        k.into_dispatch(),
        v.into_dispatch(),
        mask.into_dispatch(),
        settings,
    ))
}

/// The bias of padding: the lowest number that stays finite in a type.
fn lowest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => -65504.0,
        DType::BF16 => -3.3e38,
        _ => f32::MIN.into(),
    }
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
    let past = keys.saturating_sub(queries);
    let mut scores = q
        .matmul(k.swap_dims(2, 3))
        .mul_scalar(1.0 / (head_dim as f64).sqrt());
    if let Some(mask) = mask {
        let mask_type = mask.dtype();
        let bias = mask.sub_scalar(1.0).mul_scalar(-lowest(mask_type));
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
        let position = if causal { past } else { 0 };
        let factors = dropout.attention_factors(heads, queries, keys, position);
        let factors = TensorData::new(factors, [batch, heads, queries, keys]);
        let options = (&probabilities.device(), probabilities.dtype());
        probabilities = probabilities * Tensor::from_data(factors, options);
    }
    probabilities.matmul(v)
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait AttentionOps: Backend {
    fn fused_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        settings: Settings,
    ) -> FloatTensor<Self>;
    /// The result and what the backward pass needs besides the inputs.
    fn fused_attention_statistics(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// The gradients of queries, keys and values.
    fn fused_attention_gradients(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        statistics: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl AttentionOps for Flex {
    fn fused_attention(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        mask: FlexTensor,
        settings: Settings,
    ) -> FlexTensor {
        kernel::forward([q, k, v], mask, &settings).0
    }

    fn fused_attention_statistics(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        mask: FlexTensor,
        settings: Settings,
    ) -> (FlexTensor, FlexTensor) {
        kernel::forward([q, k, v], mask, &settings)
    }

    fn fused_attention_gradients(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        mask: FlexTensor,
        statistics: FlexTensor,
        gradient: FlexTensor,
        settings: Settings,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [dq, dk, dv] = kernel::backward([q, k, v], mask, statistics, gradient, &settings);
        (dq, dk, dv)
    }
}

impl<B: AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn fused_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        mask: FloatTensor<Self>,
        settings: Settings,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Attention;

        impl<B: AttentionOps> Backward<B, 3> for Attention {
            /// Queries, keys, values, mask, statistics.
            type State = ([FloatTensor<B>; 5], Settings);

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let ([q, k, v, mask, statistics], settings) = ops.state;
                let (dq, dk, dv) =
                    B::fused_attention_gradients(q, k, v, mask, statistics, gradient, settings);
                for (node, gradient) in ops.parents.into_iter().zip([dq, dk, dv]) {
                    if let Some(node) = node {
                        gradients.register::<B>(node.id, gradient);
                    }
                }
            }
        }

        let prepared = Attention.prepare::<C>([q.node(), k.node(), v.node()]);
        let [q, k, v, mask] = [q, k, v, mask].map(|tensor| tensor.into_primitive());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let inputs = [q, k, v, mask];
                let [q, k, v, mask] = inputs.clone();
                let (output, statistics) =
                    B::fused_attention_statistics(q, k, v, mask, settings.clone());
                let [q, k, v, mask] = inputs;
                prepared.finish(([q, k, v, mask, statistics], settings), output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::fused_attention(q, k, v, mask, settings))
            }
        }
    }

    fn fused_attention_statistics(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("only called on the inner backend")
    }

    fn fused_attention_gradients(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }
}

#[cfg(test)]
mod tests;

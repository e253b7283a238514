//! Layer normalisation over the last dimension, alone or after a residual sum.

mod kernel;

use crate::device::{is_fused, is_on};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last dimension.
///
/// Only `x` is kept for the backward pass; mean and variance are computed again.
///
/// # Shapes
/// - `x`: `[..., units]`, `gamma`, `beta`: `[units]`
///
/// # Panics
/// If the shapes do not fit.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    check(&x, &gamma, &beta);
    if !(is_on("layer-norm") && is_fused(&x) && is_fused(&gamma) && is_fused(&beta)) {
        return composed(x, gamma, beta, epsilon);
    }
    Tensor::from_dispatch(Dispatch::fused_layer_norm(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    ))
}

/// [`layer_norm`] of `x + residual`, of which only the sum is kept for the backward pass.
///
/// # Panics
/// If the shapes do not fit.
pub fn add_layer_norm<const D: usize>(
    x: Tensor<D>,
    residual: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    check(&x, &gamma, &beta);
    assert_eq!(
        x.dims(),
        residual.dims(),
        "layer normalisation: x and residual"
    );
    if !(is_on("layer-norm")
        && is_fused(&x)
        && is_fused(&residual)
        && is_fused(&gamma)
        && is_fused(&beta))
    {
        return composed(x + residual, gamma, beta, epsilon);
    }
    Tensor::from_dispatch(Dispatch::fused_add_layer_norm(
        x.into_dispatch(),
        residual.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    ))
}

fn check<const D: usize>(x: &Tensor<D>, gamma: &Tensor<1>, beta: &Tensor<1>) {
    let units = [x.dims()[D - 1]];
    assert_eq!(
        gamma.dims(),
        units,
        "layer normalisation: gamma and x's last dimension"
    );
    assert_eq!(
        beta.dims(),
        units,
        "layer normalisation: beta and x's last dimension"
    );
}

/// The same from Burn's own operations.
pub(crate) fn composed<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = (centred.clone() * centred.clone()).mean_dim(D - 1);
    centred / variance.add_scalar(epsilon).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

#[backend_extension(Flex, Autodiff)]
pub(crate) trait LayerNormOps: Backend {
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
    fn fused_add_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
    /// The normalised sum, and the sum itself for the backward pass.
    fn fused_sum_and_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn fused_layer_norm_input_gradient(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
    /// The gradients of gamma and beta.
    fn fused_layer_norm_parameter_gradients(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl LayerNormOps for Flex {
    fn fused_layer_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        kernel::forward(x, gamma, beta, epsilon)
    }

    fn fused_add_layer_norm(
        x: FlexTensor,
        residual: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        kernel::forward_sum(x, residual, gamma, beta, epsilon)
    }

    fn fused_sum_and_layer_norm(
        x: FlexTensor,
        residual: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor) {
        kernel::forward_and_sum(x, residual, gamma, beta, epsilon)
    }

    fn fused_layer_norm_input_gradient(
        x: FlexTensor,
        gamma: FlexTensor,
        gradient: FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        kernel::input_gradient(x, gamma, gradient, epsilon)
    }

    fn fused_layer_norm_parameter_gradients(
        x: FlexTensor,
        gradient: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor) {
        kernel::parameter_gradients(x, gradient, epsilon)
    }
}

/// What the backward pass needs: the normalised values' origin, gamma and epsilon.
type Saved<B> = (FloatTensor<B>, FloatTensor<B>, f64);

/// Computes and registers the gradients for the tracked ones of gamma and beta, and returns that of the
/// input if it is asked for.
macro_rules! differentiate {
    ($B:ty, $gradients:ident, $state:expr, $gradient:ident, $gamma:ident, $beta:ident, $input:expr) => {{
        let (x, gamma, epsilon) = $state;
        if $gamma.is_some() || $beta.is_some() {
            let (dgamma, dbeta) =
                <$B>::fused_layer_norm_parameter_gradients(x.clone(), $gradient.clone(), epsilon);
            if let Some(node) = $gamma {
                $gradients.register::<$B>(node.id, dgamma);
            }
            if let Some(node) = $beta {
                $gradients.register::<$B>(node.id, dbeta);
            }
        }
        $input.then(|| <$B>::fused_layer_norm_input_gradient(x, gamma, $gradient, epsilon))
    }};
}

impl<B: LayerNormOps, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct LayerNorm;

        impl<B: LayerNormOps> Backward<B, 3> for LayerNorm {
            type State = Saved<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 3>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let [x, gamma, beta] = ops.parents;
                let dx =
                    differentiate!(B, gradients, ops.state, gradient, gamma, beta, x.is_some());
                if let (Some(node), Some(dx)) = (x, dx) {
                    gradients.register::<B>(node.id, dx);
                }
            }
        }

        let prepared = LayerNorm.prepare::<C>([x.node(), gamma.node(), beta.node()]);
        let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
        let beta = beta.into_primitive();
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let saved = (x.clone(), gamma.clone(), epsilon);
                prepared.finish(saved, B::fused_layer_norm(x, gamma, beta, epsilon))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::fused_layer_norm(x, gamma, beta, epsilon))
            }
        }
    }

    fn fused_add_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct AddLayerNorm;

        impl<B: LayerNormOps> Backward<B, 4> for AddLayerNorm {
            type State = Saved<B>;

            fn backward(
                self,
                ops: Ops<Self::State, 4>,
                gradients: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let gradient = gradients.consume::<B>(&ops.node);
                let [x, residual, gamma, beta] = ops.parents;
                let needed = x.is_some() || residual.is_some();
                let dx = differentiate!(B, gradients, ops.state, gradient, gamma, beta, needed);
                for node in [x, residual].into_iter().flatten() {
                    let dx = dx.clone().expect("computed, as one of the two is tracked");
                    gradients.register::<B>(node.id, dx);
                }
            }
        }

        let nodes = [x.node(), residual.node(), gamma.node(), beta.node()];
        let prepared = AddLayerNorm.prepare::<C>(nodes);
        let (x, residual) = (x.into_primitive(), residual.into_primitive());
        let (gamma, beta) = (gamma.into_primitive(), beta.into_primitive());
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let kept = gamma.clone();
                let (y, sum) = B::fused_sum_and_layer_norm(x, residual, gamma, beta, epsilon);
                prepared.finish((sum, kept, epsilon), y)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::fused_add_layer_norm(x, residual, gamma, beta, epsilon))
            }
        }
    }

    fn fused_sum_and_layer_norm(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("only called on the inner backend")
    }

    fn fused_layer_norm_input_gradient(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f64,
    ) -> FloatTensor<Self> {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }

    fn fused_layer_norm_parameter_gradients(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("the gradient of a fused operation is not itself differentiated")
    }
}

#[cfg(test)]
mod tests;

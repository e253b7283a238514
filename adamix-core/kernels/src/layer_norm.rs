//! Layer normalisation over the last dimension, alone or after a residual sum.

use burn::tensor::Tensor;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last dimension.
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
    composed(x, gamma, beta, epsilon)
}

/// [`layer_norm`] of `x + residual`.
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
    composed(x + residual, gamma, beta, epsilon)
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

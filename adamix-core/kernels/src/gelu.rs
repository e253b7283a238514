//! The Gaussian error linear unit, exact and in its tanh approximation.

use burn::tensor::Tensor;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `x Φ(x)` with the normal distribution function `Φ` (BERT, RoBERTa), and its exact derivative.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    composed(x)
}

/// `0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`, the approximation GPT-2 was trained with
/// (`gelu_new`), and its exact derivative.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    composed_tanh(x)
}

/// [`gelu`] from Burn's own operations. Burn's `activation::gelu` would not do: on some backends its
/// backward pass is the derivative of the tanh approximation.
pub(crate) fn composed<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let erf = x.clone().mul_scalar(FRAC_1_SQRT_2).erf();
    x * erf.add_scalar(1.0).mul_scalar(0.5)
}

/// [`gelu_tanh`] from Burn's own operations.
pub(crate) fn composed_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let cube = x.clone() * x.clone() * x.clone();
    let inner = (x.clone() + cube.mul_scalar(0.044715)).mul_scalar((2.0 / PI).sqrt());
    x * inner.tanh().add_scalar(1.0).mul_scalar(0.5)
}

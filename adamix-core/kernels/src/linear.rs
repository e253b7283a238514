//! `y = x W + b`.

use burn::tensor::Tensor;

/// Multiplies the last dimension of `x` by a weight and adds a bias.
///
/// The leading dimensions are flattened first: one large product instead of one per batch element.
///
/// # Shapes
/// - `x`: `[..., in]`, `weight`: `[in, out]`, `bias`: `[out]`
/// - result: `[..., out]`
///
/// # Panics
/// If the shapes do not fit.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    composed(x, weight, bias)
}

/// The same from Burn's own operations.
pub(crate) fn composed<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let mut dims = x.dims();
    let [input, output] = weight.dims();
    let rows = dims[..D - 1].iter().product::<usize>();
    dims[D - 1] = output;
    let mut y = x.reshape([rows, input]).matmul(weight);
    if let Some(bias) = bias {
        y = y + bias.unsqueeze();
    }
    y.reshape(dims)
}

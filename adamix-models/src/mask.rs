//! Padding masks.

use burn::tensor::Tensor;

/// A mask with that many more keys before the others, none of them padding.
///
/// # Shapes
/// - `mask`: `[batch, keys]`
/// - output: `[batch, more + keys]`
pub(crate) fn with_open_start(mask: Tensor<2>, more: usize) -> Tensor<2> {
    if more == 0 {
        return mask;
    }
    let open = Tensor::ones([mask.dims()[0], more], &mask.device());
    Tensor::cat(vec![open, mask], 1)
}

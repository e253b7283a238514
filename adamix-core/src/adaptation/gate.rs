//! UniPELT's gate: how much of an adaptation each example gets.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use crate::linear::Linear;

/// The mean over the tokens of `sigmoid(W x + b)` (Mao et al. 2022). The authors' code counts padding as
/// tokens; here it is left out, so that a batch's layout changes nothing.
///
/// # Shapes
/// - `gate`: a map of `[hidden, 1]`
/// - `x`: `[batch, tokens, hidden]`
/// - `mask`: `[batch, tokens]`
/// - output: `[batch, 1, 1]`
pub fn gate(gate: &Linear, x: Tensor<3>, mask: Option<&Tensor<2>>) -> Tensor<3> {
    let open = sigmoid(gate.forward(x));
    match mask {
        None => open.mean_dim(1),
        Some(mask) => {
            let weights = mask.clone() / mask.clone().sum_dim(1);
            (open * weights.unsqueeze_dim(2)).sum_dim(1)
        }
    }
}

//! The order of experts by their shares, without sorting: M is small.

use burn::tensor::Tensor;

/// For each pair of experts `i`, `j`: 1 if `j` comes before `i`, by a larger share or, among equals, the
/// smaller number.
///
/// # Shapes
/// - shares: `[batch, tokens, experts]`
/// - output: `[batch, tokens, experts i, experts j]`, a constant
fn precedence(shares: &Tensor<3>) -> Tensor<4> {
    let [batch, tokens, experts] = shares.dims();
    let shape = [batch, tokens, experts, experts];
    let shares = shares.clone().detach();
    let own: Tensor<4> = shares.clone().unsqueeze_dim::<4>(3).expand(shape);
    let other: Tensor<4> = shares.unsqueeze_dim::<4>(2).expand(shape);
    let smaller = Tensor::<2>::ones([experts, experts], &own.device()).tril(-1);
    let smaller: Tensor<4> = smaller.unsqueeze::<4>().expand(shape);
    let larger = other.clone().greater(own.clone()).float();
    larger + other.equal(own).float() * smaller
}

/// 1 for the `k` experts with the largest shares, 0 for the others: a constant of the same shape.
pub(super) fn among_first(shares: Tensor<3>, k: usize) -> Tensor<3> {
    let before: Tensor<3> = precedence(&shares).sum_dim(3).squeeze_dim(3);
    before.lower_elem(k as f64 - 0.5).float()
}

/// The shares of all experts that come before each: a constant of the same shape.
pub(super) fn share_before(shares: Tensor<3>) -> Tensor<3> {
    let all: Tensor<4> = shares.clone().detach().unsqueeze_dim(2);
    (precedence(&shares) * all).sum_dim(3).squeeze_dim(3)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn equals_are_taken_in_order() {
        let shares = Tensor::<3>::from_data([[[0.25f32, 0.125, 0.375, 0.25]]], &Device::flex());
        let values = |t: Tensor<3>| t.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values(among_first(shares.clone(), 2)), [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(values(share_before(shares)), [0.375, 0.875, 0.0, 0.625]);
    }
}

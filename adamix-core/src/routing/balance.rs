//! The terms that keep a learned gate from sending everything to one expert.

use burn::tensor::Tensor;

use super::{Decision, Mix, RoutingContext};
use crate::options::{OptionError, not_negative};

/// Factors of the two terms; a factor of 0 leaves its term out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Balance {
    balance: f64,
    z: f64,
}

impl Balance {
    pub(super) fn new(balance: f64, z: f64) -> Self {
        Self { balance, z }
    }

    pub(super) fn check(&self) -> Result<(), OptionError> {
        not_negative("balance", self.balance)?;
        not_negative("z", self.z)
    }

    /// The outputs of each token's chosen experts, by their shares divided by the sum of these.
    ///
    /// # Shapes
    /// - logits, shares, chosen: `[batch, tokens, experts]`
    pub(super) fn decision(
        &self,
        context: &RoutingContext<'_>,
        logits: Tensor<3>,
        shares: Tensor<3>,
        chosen: Tensor<3>,
    ) -> Decision {
        let weights = shares.clone() * chosen.clone();
        let weights = weights.clone() / weights.sum_dim(2);
        self.weighing(context, weights, logits, shares, chosen)
    }

    /// The outputs of each token's experts by given weights.
    ///
    /// # Shapes
    /// - weights, logits, shares, chosen: `[batch, tokens, experts]`
    pub(super) fn weighing(
        &self,
        context: &RoutingContext<'_>,
        weights: Tensor<3>,
        logits: Tensor<3>,
        shares: Tensor<3>,
        chosen: Tensor<3>,
    ) -> Decision {
        let auxiliary = self.term(context, logits, shares, chosen);
        Decision::mixed(weights, Mix::Outputs).with_auxiliary(auxiliary)
    }

    /// What a decision adds to the loss in training.
    ///
    /// # Shapes
    /// - logits, shares, chosen: `[batch, tokens, experts]`
    /// - output: `[1]`
    pub(super) fn term(
        &self,
        context: &RoutingContext<'_>,
        logits: Tensor<3>,
        shares: Tensor<3>,
        chosen: Tensor<3>,
    ) -> Option<Tensor<1>> {
        if !context.training {
            return None;
        }
        let tokens = context.token_weights();
        let balance = (self.balance > 0.0)
            .then(|| load_balance(shares, chosen, tokens.clone()) * self.balance);
        let z = (self.z > 0.0).then(|| z_loss(logits, tokens) * self.z);
        [balance, z].into_iter().flatten().reduce(|a, b| a + b)
    }
}

/// `M Σ f_i P_i` over the experts, where `f_i` is the part of the tokens that have expert `i` among theirs (a
/// constant) and `P_i` its mean share (Switch Transformer; with several experts a token as in MixLoRA, where
/// the `f_i` add up to their number). It is least, that number, where all experts are used alike.
///
/// # Shapes
/// - shares, chosen: `[batch, tokens, experts]`
/// - tokens: `[batch, tokens, 1]`, 0 for padding
/// - output: `[1]`
pub(super) fn load_balance(shares: Tensor<3>, chosen: Tensor<3>, tokens: Tensor<3>) -> Tensor<1> {
    let experts = shares.dims()[2] as f64;
    let total = tokens.clone().sum();
    let mean = |values: Tensor<3>| -> Tensor<1> {
        let sum = (values * tokens.clone()).sum_dim(0).sum_dim(1);
        sum.flatten::<1>(0, 2) / total.clone()
    };
    (mean(chosen.detach()) * mean(shares)).sum() * experts
}

/// The mean over the tokens of `(log Σ exp logits)²` (ST-MoE): keeps the logits small.
///
/// # Shapes
/// - logits: `[batch, tokens, experts]`
/// - tokens: `[batch, tokens, 1]`, 0 for padding
/// - output: `[1]`
pub(super) fn z_loss(logits: Tensor<3>, tokens: Tensor<3>) -> Tensor<1> {
    let largest = logits.clone().detach().max_dim(2);
    let sum = (logits - largest.clone()).exp().sum_dim(2);
    let log = sum.log() + largest;
    (log.square() * tokens.clone()).sum() / tokens.sum()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn scalar(value: Tensor<1>) -> f32 {
        value.into_scalar()
    }

    #[test]
    fn values_by_hand() {
        let device = Device::flex();
        // Two tokens that count and one that is padding.
        let tokens = Tensor::<3>::from_data([[[1.0f32], [1.0], [0.0]]], &device);
        let shares = Tensor::<3>::from_data([[[0.75f32, 0.25], [0.5, 0.5], [0.0, 1.0]]], &device);
        let chosen = Tensor::<3>::from_data([[[1.0f32, 0.0], [1.0, 0.0], [0.0, 1.0]]], &device);
        // f = (1, 0), P = (0.625, 0.375): 2 · 0.625.
        let loss = scalar(load_balance(shares, chosen, tokens.clone()));
        assert!((loss - 1.25).abs() < 1e-6, "{loss}");
        // log(1 + 3) and log(2) for two equal zeros.
        let logits =
            Tensor::<3>::from_data([[[0.0f32, 3f32.ln()], [0.0, 0.0], [9.0, 9.0]]], &device);
        let expected = (4f32.ln().powi(2) + 2f32.ln().powi(2)) / 2.0;
        let loss = scalar(z_loss(logits, tokens));
        assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
    }

    #[test]
    fn even_use_is_the_least_balance() {
        let device = Device::flex();
        let tokens = Tensor::<3>::ones([1, 4, 1], &device);
        let even = Tensor::<3>::ones([1, 4, 4], &device) / 4.0;
        let one_each = Tensor::<2>::eye(4, &device).unsqueeze::<3>();
        let loss = scalar(load_balance(even, one_each.clone(), tokens.clone()));
        assert!((loss - 1.0).abs() < 1e-6, "{loss}");
        let uneven = Tensor::<3>::from_data([[[1.0f32, 0.0, 0.0, 0.0]; 4]], &device);
        let loss = scalar(load_balance(uneven.clone(), uneven, tokens));
        assert!((loss - 4.0).abs() < 1e-6, "{loss}");
    }
}

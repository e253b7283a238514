//! Bottleneck adapters: down to a few dimensions, a non-linearity, and up again, around a residual.

use adamix_keys::Key;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Activation, Share};
use crate::bank::Bank;
use crate::merging::{MergeError, MergeRule, Pair};
use crate::random::Initializer;
use crate::routing::Decision;

/// The shape of a mixture of bottleneck adapters.
#[derive(Config, Debug)]
pub struct BottleneckConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the bottleneck: 16 for RoBERTa-large, 48 for BERT-base in the paper.
    pub bottleneck: usize,
    /// M, the number of experts on a side that is not shared.
    #[config(default = 4)]
    pub experts: usize,
    /// Which sides are shared.
    #[config(default = "Share::Up")]
    pub share: Share,
    /// What stands between down and up.
    #[config(default = "Activation::Gelu")]
    pub activation: Activation,
    /// Standard deviation of the fresh weights; biases start at zero.
    #[config(default = 0.02)]
    pub initializer_range: f64,
}

impl BottleneckConfig {
    /// How many projections the down and the up side have.
    pub fn counts(&self) -> (usize, usize) {
        self.share.counts(self.experts)
    }

    /// A fresh trainable mixture. Every expert is drawn on its own, and the up side is not zero:
    /// the module starts near the identity, not at it, as in the released code.
    pub fn init(&self, key: Key, device: &Device) -> Bottleneck {
        let (down, up) = self.counts();
        let initializer = Initializer::Normal(self.initializer_range);
        let (wide, narrow) = (self.hidden_size, self.bottleneck);
        Bottleneck {
            down: Bank::init(
                down,
                [wide, narrow],
                initializer,
                key.purpose("down"),
                device,
            ),
            up: Bank::init(up, [narrow, wide], initializer, key.purpose("up"), device),
            activation: self.activation,
        }
    }
}

/// A mixture of bottleneck adapters with their inner residual: `x + up(act(down(x)))`.
#[derive(Module, Debug)]
pub struct Bottleneck {
    /// Projections `[hidden, bottleneck]`.
    pub down: Bank,
    /// Projections `[bottleneck, hidden]`.
    pub up: Bank,
    #[module(skip)]
    activation: Activation,
}

impl Bottleneck {
    /// Runs the experts that `decision` names.
    ///
    /// # Shapes
    /// - input and output: `[batch, tokens, hidden]`
    pub fn forward(&self, x: Tensor<3>, decision: &Decision) -> Tensor<3> {
        let inner = self.down.forward(x.clone(), &decision.down);
        let inner = self.activation.forward(inner);
        x + self.up.forward(inner, &decision.up)
    }

    /// The single module that `rule` makes of both banks; `module` is this mixture's path.
    ///
    /// # Errors
    /// If the rule cannot merge this mixture.
    pub fn merged(&self, rule: &dyn MergeRule, module: &str) -> Result<Self, MergeError> {
        let [down, up] = rule.merge_pair(&Pair {
            module,
            down: &self.down.experts,
            up: &self.up.experts,
            linear: self.activation == Activation::Identity,
        })?;
        Ok(Self {
            down: Bank::of(down),
            up: Bank::of(up),
            activation: self.activation,
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::merging::Uniform;

    fn input(device: &Device) -> Tensor<3> {
        let values = Initializer::Normal(1.0).sample(Key::new(9), 2 * 3 * 8);
        Tensor::from_data(TensorData::new(values, [2, 3, 8]), device)
    }

    #[test]
    fn merged_differs_from_an_expert_but_is_the_identity_for_one() {
        let device = Device::flex();
        let distance = |experts| {
            let mixture = BottleneckConfig::new(8, 2)
                .with_experts(experts)
                .with_initializer_range(0.5)
                .init(Key::new(1), &device);
            let merged = mixture
                .merged(&Uniform {}, "adamix")
                .unwrap()
                .forward(input(&device), &Decision::SINGLE);
            let first = mixture.forward(input(&device), &Decision::SINGLE);
            (merged - first).abs().max().into_scalar::<f32>()
        };
        assert!(distance(1) == 0.0);
        assert!(distance(3) > 1e-3);
    }

    #[test]
    fn only_the_chosen_experts_get_a_gradient() {
        let device = Device::flex().autodiff();
        let mixture = BottleneckConfig::new(8, 2).init(Key::new(1), &device);
        let loss = mixture
            .forward(input(&device), &Decision::diagonal(2, 4, 1))
            .sum();
        let gradients = loss.backward();
        for (i, expert) in mixture.down.experts.iter().enumerate() {
            assert_eq!(expert.weight.val().grad(&gradients).is_some(), i == 2);
        }
        assert!(
            mixture.up.experts[0]
                .weight
                .val()
                .grad(&gradients)
                .is_some()
        );
    }
}

//! Bottleneck adapters: down to a few dimensions, a non-linearity, and up again, around a residual.

use adamix_keys::Key;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Activation, Context, Share, gate};
use crate::bank::Bank;
use crate::layer_norm::LayerNorm;
use crate::linear::Linear;
use crate::merging::{MergeError, MergeRule, Pair};
use crate::mixture;
use crate::random::Initializer;
use crate::routing::Router;

/// What of a block an adapter reads, and where it adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// The block's last projection, before dropout (AdaMix, LiST).
    Projection,
    /// The block's output after dropout, before residual and norm (Houlsby et al. 2019); of a whole layer,
    /// its output (Lin et al. 2020).
    Output,
    /// Reads the normalised sum with the residual and adds to the block's output, which is summed and
    /// normalised again (Pfeiffer et al. 2021, as in the stock code that the released one grew from).
    Norm,
    /// Reads what the block reads and adds to its output (He et al. 2022).
    Parallel,
}

/// The shape of a mixture of bottleneck adapters.
#[derive(Config, Debug, PartialEq)]
pub struct BottleneckConfig {
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
    /// What it reads, and where it adds.
    #[config(default = "Placement::Projection")]
    pub placement: Placement,
    /// Whether the projections have biases.
    #[config(default = true)]
    pub bias: bool,
    /// Whether a LayerNorm of its own stands before down.
    #[config(default = false)]
    pub norm: bool,
    /// Factor of what it adds.
    #[config(default = 1.0)]
    pub scale: f64,
    /// Whether what it adds is scaled by UniPELT's gate.
    #[config(default = false)]
    pub gate: bool,
}

impl BottleneckConfig {
    /// How many projections the down and the up side have.
    pub fn counts(&self) -> (usize, usize) {
        self.share.counts(self.experts)
    }

    /// A fresh trainable mixture for a residual stream of that width. Every expert is drawn on its own, and
    /// the up side is not zero: the module starts near the identity, not at it, as in the released code.
    pub fn init(&self, hidden: usize, key: Key, device: &Device) -> Bottleneck {
        let initializer = Initializer::Normal(self.initializer_range);
        let (down, up) = self.counts();
        let bank = |name: &str, count, shape| {
            let mut bank = Bank::init(count, shape, initializer, key.purpose(name), device);
            for expert in &mut bank.experts {
                expert.bias = expert.bias.take().filter(|_| self.bias);
            }
            bank
        };
        let gate = || Linear::init(hidden, 1, initializer, key.purpose("gate"), device);
        Bottleneck {
            norm: self
                .norm
                .then(|| LayerNorm::init(hidden, NORM_EPSILON, device)),
            down: bank("down", down, [hidden, self.bottleneck]),
            up: bank("up", up, [self.bottleneck, hidden]),
            gate: self.gate.then(gate),
            router: None,
            config: self.clone(),
        }
    }
}

/// Added to the variance in an adapter's own LayerNorm (PyTorch's default).
const NORM_EPSILON: f64 = 1e-5;

/// A mixture of bottleneck adapters with their inner residual: `x + up(act(down(x)))`.
#[derive(Module, Debug)]
pub struct Bottleneck {
    /// Its own LayerNorm, if it has one.
    pub norm: Option<LayerNorm>,
    /// Projections `[hidden, bottleneck]`.
    pub down: Bank,
    /// Projections `[bottleneck, hidden]`.
    pub up: Bank,
    /// UniPELT's gate: `[hidden, 1]`.
    pub gate: Option<Linear>,
    /// What its routing policy learns.
    pub router: Option<Router>,
    #[module(skip)]
    config: BottleneckConfig,
}

impl Bottleneck {
    /// The shape that this one has.
    pub fn config(&self) -> BottleneckConfig {
        let experts = self.down.len().max(self.up.len());
        BottleneckConfig {
            experts,
            ..self.config.clone()
        }
    }

    /// What it reads, and where it adds.
    pub fn placement(&self) -> Placement {
        self.config.placement
    }

    /// Runs the experts that the decision names, around the residual.
    ///
    /// # Shapes
    /// - input and output: `[batch, tokens, hidden]`
    pub fn forward(&self, x: Tensor<3>, context: &Context<'_>) -> Tensor<3> {
        x.clone() + self.branch(x, context)
    }

    /// What the two projections of an expert read.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, hidden]`
    /// - outputs: `[batch, tokens, hidden]`, `[batch, tokens, bottleneck]`
    pub(super) fn inputs(&self, x: Tensor<3>, expert: usize) -> [Tensor<3>; 2] {
        let read = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let down = &self.down.experts[expert.min(self.down.len() - 1)];
        let inner = self.config.activation.forward(down.forward(read.clone()));
        [read, inner]
    }

    /// Whether nothing stands between the projections.
    pub(super) fn is_linear(&self) -> bool {
        self.config.activation == Activation::Identity
    }

    /// What it adds, without the residual.
    ///
    /// # Shapes
    /// - input and output: `[batch, tokens, hidden]`
    pub fn branch(&self, x: Tensor<3>, context: &Context<'_>) -> Tensor<3> {
        let inner = match &self.norm {
            Some(norm) => norm.forward(x.clone()),
            None => x.clone(),
        };
        let decision = context.decide(&self.down, Some(&self.up), &self.router, Some(&x));
        let between = |inner| self.config.activation.forward(inner);
        let mut y = mixture::run(&self.down, &self.up, inner, &decision, between);
        if self.config.scale != 1.0 {
            y = y * self.config.scale;
        }
        match &self.gate {
            Some(map) => y * gate(map, x, context.mask.as_ref()),
            None => y,
        }
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
            linear: self.config.activation == Activation::Identity,
        })?;
        let bottleneck = down.shape()[1];
        Ok(Self {
            down: Bank::of(down),
            up: Bank::of(up),
            router: None,
            config: BottleneckConfig {
                bottleneck,
                ..self.config.clone()
            },
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::merging::Uniform;
    use crate::routing::Decision;

    fn input(device: &Device) -> Tensor<3> {
        let values = Initializer::Normal(1.0).sample(Key::new(9), 2 * 3 * 8);
        Tensor::from_data(TensorData::new(values, [2, 3, 8]), device)
    }

    #[test]
    fn merged_differs_from_an_expert_but_is_the_identity_for_one() {
        let device = Device::flex();
        let distance = |experts| {
            let mixture = BottleneckConfig::new(2)
                .with_experts(experts)
                .with_initializer_range(0.5)
                .init(8, Key::new(1), &device);
            let merged = mixture
                .merged(&Uniform {}, "adamix")
                .unwrap()
                .forward(input(&device), &Context::new(&Decision::SINGLE));
            let first = mixture.forward(input(&device), &Context::new(&Decision::SINGLE));
            (merged - first).abs().max().into_scalar::<f32>()
        };
        assert!(distance(1) == 0.0);
        assert!(distance(3) > 1e-3);
    }

    #[test]
    fn only_the_chosen_experts_get_a_gradient() {
        let device = Device::flex().autodiff();
        let mixture = BottleneckConfig::new(2).init(8, Key::new(1), &device);
        let loss = mixture
            .forward(input(&device), &Context::new(&Decision::diagonal(2, 4, 1)))
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

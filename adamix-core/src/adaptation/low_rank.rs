//! Mixtures of low-rank updates (LoRA) of a frozen affine map.

use adamix_keys::Key;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Context, Share, gate};
use crate::bank::Bank;
use crate::linear::Linear;
use crate::merging::{MergeError, MergeRule, Pair};
use crate::mixture;
use crate::random::Initializer;
use crate::routing::Router;

/// The shape of a low-rank mixture.
#[derive(Config, Debug, PartialEq)]
pub struct LowRankConfig {
    /// r: 4 for GPT-2 in the paper, 8 for the encoders' LoRA baseline.
    pub rank: usize,
    /// The update is scaled by `alpha / rank`; 32 for GPT-2 in the released code.
    #[config(default = 32.0)]
    pub alpha: f64,
    /// Whether the update is scaled by `alpha / sqrt(rank)` instead (rsLoRA, Kalajdzievski 2023).
    #[config(default = false)]
    pub rank_stabilized: bool,
    /// M, the number of experts on a side that is not shared; 1 is plain LoRA.
    #[config(default = 8)]
    pub experts: usize,
    /// Which sides are shared; the released runs share B, the up side.
    #[config(default = "Share::Up")]
    pub share: Share,
    /// Dropout on the input of A.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Whether all experts of A start as copies of one draw, as in the released code; else each is drawn
    /// on its own.
    #[config(default = true)]
    pub equal_start: bool,
    /// Whether the update is scaled by UniPELT's gate instead of `alpha / rank`.
    #[config(default = false)]
    pub gate: bool,
}

impl LowRankConfig {
    /// How many projections the down and the up side have.
    pub fn counts(&self) -> (usize, usize) {
        self.share.counts(self.experts)
    }

    /// Another rank, as some merging rules leave it, whose update is scaled alike.
    fn with_same_scale(self, rank: usize) -> Self {
        let ratio = rank as f64 / self.rank as f64;
        let alpha = self.alpha
            * if self.rank_stabilized {
                ratio.sqrt()
            } else {
                ratio
            };
        Self {
            rank,
            ..self.clone()
        }
        .with_alpha(alpha)
    }

    /// The factor of the update.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha
            / if self.rank_stabilized {
                rank.sqrt()
            } else {
                rank
            }
    }

    /// A fresh trainable mixture for a map of `[input, output]`: A uniform in `±1/sqrt(input)` (the
    /// released code's Kaiming bound with slope `sqrt(5)`), B zero, so that the update starts at zero.
    pub fn init(&self, [input, output]: [usize; 2], key: Key, device: &Device) -> LowRank {
        let (down, up) = self.counts();
        let bound = Initializer::Uniform(1.0 / (input as f64).sqrt());
        let gate_key = key.purpose("gate");
        let gate = || Linear::init(input, 1, Initializer::Normal(0.02), gate_key, device);
        let key = key.purpose("down");
        let expert = |i: usize| {
            let key = if self.equal_start {
                key
            } else {
                key.fold(i as u64)
            };
            unbiased([input, self.rank], bound, key, device)
        };
        let zeros = || unbiased([self.rank, output], Initializer::Zeros, key, device);
        LowRank {
            down: Bank {
                experts: (0..down).map(expert).collect(),
            },
            up: Bank {
                experts: (0..up).map(|_| zeros()).collect(),
            },
            gate: self.gate.then(gate),
            router: None,
            apart: false,
            config: self.clone(),
        }
    }
}

fn unbiased(shape: [usize; 2], initializer: Initializer, key: Key, device: &Device) -> Linear {
    let values = initializer.sample(key, shape[0] * shape[1]);
    Linear::from_values(shape, values, None, device)
}

/// A mixture of low-rank updates: `scale · B(A(x))`, to be added to the output of the map it adapts.
///
/// The product `B A` is never formed: the cost is that of two thin products.
#[derive(Module, Debug)]
pub struct LowRank {
    /// A: projections `[input, rank]`.
    pub down: Bank,
    /// B: projections `[rank, output]`.
    pub up: Bank,
    /// UniPELT's gate: `[input, 1]`.
    pub gate: Option<Linear>,
    /// What its routing policy learns.
    pub router: Option<Router>,
    /// Whether a policy decides for it alone where it is one part of a fused map; else the parts share a decision.
    #[module(skip)]
    pub apart: bool,
    #[module(skip)]
    config: LowRankConfig,
}

impl LowRank {
    /// The shape that this one has.
    pub fn config(&self) -> LowRankConfig {
        let experts = self.down.len().max(self.up.len());
        LowRankConfig {
            experts,
            ..self.config.clone()
        }
    }

    /// The factor of the update.
    pub fn scale(&self) -> f64 {
        self.config.scale()
    }

    /// The update along the experts that the decision names.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, input]`
    /// - output: `[batch, tokens, output]`
    pub fn forward(&self, x: Tensor<3>, context: &Context<'_>) -> Tensor<3> {
        let open = (self.gate.as_ref()).map(|map| gate(map, x.clone(), context.mask.as_ref()));
        let decision = context.decide(&self.down, Some(&self.up), &self.router, Some(&x));
        // The scale goes on the thin side.
        let between = |inner: Tensor<3>| match &open {
            Some(open) => inner * open.clone(),
            None => inner * self.scale(),
        };
        mixture::run(&self.down, &self.up, context.drop(x), &decision, between)
    }

    /// What the two projections of an expert read, the constant factor of the update left out.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, input]`
    /// - `mask`: `[batch, tokens]`
    /// - outputs: `[batch, tokens, input]`, `[batch, tokens, rank]`
    pub(super) fn inputs(
        &self,
        x: Tensor<3>,
        mask: Option<&Tensor<2>>,
        expert: usize,
    ) -> [Tensor<3>; 2] {
        let down = &self.down.experts[expert.min(self.down.len() - 1)];
        let inner = down.forward(x.clone());
        let inner = match &self.gate {
            Some(map) => inner * gate(map, x.clone(), mask),
            None => inner,
        };
        [x, inner]
    }

    /// The single module that `rule` makes of both banks; `module` is this mixture's path. Most rules merge
    /// factors, not products.
    ///
    /// # Errors
    /// If the rule cannot merge this mixture.
    pub fn merged(&self, rule: &dyn MergeRule, module: &str) -> Result<Self, MergeError> {
        let [down, up] = rule.merge_pair(&Pair {
            module,
            down: &self.down.experts,
            up: &self.up.experts,
            linear: true,
        })?;
        Ok(Self {
            config: self.config.clone().with_same_scale(down.shape()[1]),
            down: Bank::of(down),
            up: Bank::of(up),
            router: None,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use adamix_kernels::Dropout;
    use burn::tensor::TensorData;

    use super::*;
    use crate::merging::Uniform;
    use crate::routing::Decision;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec::<f32>().unwrap()
    }

    fn input(device: &Device) -> Tensor<3> {
        let values = Initializer::Normal(1.0).sample(Key::new(9), 2 * 3 * 6);
        Tensor::from_data(TensorData::new(values, [2, 3, 6]), device)
    }

    /// A mixture whose B is not zero.
    fn trained(config: &LowRankConfig, device: &Device) -> LowRank {
        let mut mixture = config.init([6, 4], Key::new(1), device);
        for (i, up) in mixture.up.experts.iter_mut().enumerate() {
            let values = Initializer::Normal(1.0).sample(Key::new(i as u64), config.rank * 4);
            *up = Linear::from_values([config.rank, 4], values, None, device);
        }
        mixture
    }

    #[test]
    fn another_rank_keeps_the_scale() {
        for config in [
            LowRankConfig::new(2).with_alpha(6.0),
            LowRankConfig::new(2)
                .with_alpha(6.0)
                .with_rank_stabilized(true),
            LowRankConfig::new(2).with_alpha(0.0),
        ] {
            let other = config.clone().with_same_scale(8);
            assert_eq!((other.rank, other.scale()), (8, config.scale()));
        }
    }

    #[test]
    fn starts_as_the_zero_update_with_equal_experts() {
        let device = Device::flex();
        let mixture = LowRankConfig::new(2)
            .with_experts(3)
            .init([6, 4], Key::new(1), &device);
        assert_eq!((mixture.down.len(), mixture.up.len()), (3, 1));
        let weights = |i: usize| values(mixture.down.experts[i].weight.val());
        assert_eq!(weights(0), weights(2));
        assert!(weights(0).iter().all(|v| v.abs() <= 1.0 / 6f32.sqrt()));
        let update =
            values(mixture.forward(input(&device), &Context::new(&Decision::diagonal(2, 3, 1))));
        assert!(update.iter().all(|v| *v == 0.0));
        let distinct =
            LowRankConfig::new(2)
                .with_equal_start(false)
                .init([6, 4], Key::new(1), &device);
        assert_ne!(
            values(distinct.down.experts[0].weight.val()),
            values(distinct.down.experts[1].weight.val())
        );
    }

    /// PyTorch's Kaiming-uniform bound for a slope a: sqrt(6 / ((1 + a²) input)), with a² = 5.
    #[test]
    fn a_starts_within_the_kaiming_bound_and_fills_it() {
        let mixture = LowRankConfig::new(8).init([64, 16], Key::new(1), &Device::flex());
        let weights = values(mixture.down.experts[0].weight.val());
        let largest = weights.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!(largest > 0.95 / 8.0 && largest <= 1.0 / 8.0, "{largest}");
    }

    #[test]
    fn the_update_is_the_scaled_product_of_the_factors() {
        let device = Device::flex();
        let config = LowRankConfig::new(2)
            .with_alpha(6.0)
            .with_experts(2)
            .with_share(Share::None)
            .with_equal_start(false);
        let mixture = trained(&config, &device);
        let decision = Decision::diagonal(1, 2, 2);
        let (a, b) = (&mixture.down.experts[1], &mixture.up.experts[1]);
        let full = a.weight.val().matmul(b.weight.val()) * 3.0;
        let rows = vec![3, 4];
        let dropout = Dropout { rate: 0.5, rows };
        let dropped = adamix_kernels::dropout(input(&device), &dropout);
        for (read, dropout) in [(input(&device), None), (dropped, Some(dropout))] {
            let expected = values(read.matmul(full.clone().unsqueeze()));
            let context = Context {
                dropout,
                ..Context::new(&decision)
            };
            let found = values(mixture.forward(input(&device), &context));
            for (f, e) in found.iter().zip(&expected) {
                assert!((f - e).abs() < 1e-5, "{f} {e}");
            }
        }
    }

    #[test]
    fn merging_averages_the_factors_not_the_products() {
        let device = Device::flex();
        let config = LowRankConfig::new(2)
            .with_experts(2)
            .with_share(Share::None)
            .with_equal_start(false);
        let mixture = trained(&config, &device);
        let mean =
            |bank: &Bank| (bank.experts[0].weight.val() + bank.experts[1].weight.val()) / 2.0;
        let full = mean(&mixture.down).matmul(mean(&mixture.up)) * mixture.scale();
        let expected = values(input(&device).matmul(full.unsqueeze()));
        let found = values(
            mixture
                .merged(&Uniform {}, "adamix")
                .unwrap()
                .forward(input(&device), &Context::new(&Decision::SINGLE)),
        );
        for (f, e) in found.iter().zip(&expected) {
            assert!((f - e).abs() < 1e-4, "{f} {e}");
        }
    }
}

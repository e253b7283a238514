//! A mixture taken apart and put together: what merging rules that look at data need of it.

use burn::tensor::Tensor;

use super::{Adaptation, Context};
use crate::bank::Bank;
use crate::linear::Linear;
use crate::routing::Decision;

impl Adaptation {
    /// One mixture of modules that have a single expert each: expert `i` is module `i`, and no side is shared.
    /// What stands outside the banks, such as a norm, is the first one's.
    ///
    /// `None` if the modules differ in kind or shape, or one has several experts.
    pub fn together(modules: &[&Self]) -> Option<Self> {
        let first = *modules.first()?;
        let alike =
            |module: &&&Self| module.config() == first.config() && module.counts() == (1, 1);
        if modules.iter().filter(alike).count() < modules.len() {
            return None;
        }
        let experts: Vec<Vec<&Linear>> = modules.iter().map(|module| module.singles()).collect();
        let mut mixture = first.clone();
        for (side, bank) in mixture.banks().into_iter().enumerate() {
            bank.experts = experts.iter().map(|sides| sides[side].clone()).collect();
        }
        Some(mixture)
    }

    /// Its banks, in the order of its fields.
    fn banks(&mut self) -> Vec<&mut Bank> {
        match self {
            Self::Bottleneck(module) => vec![&mut module.down, &mut module.up],
            Self::LowRank(module) => vec![&mut module.down, &mut module.up],
            Self::Scale(module) => vec![&mut module.scale],
            Self::Prefix(module) => vec![&mut module.key, &mut module.value],
            Self::VirtualTokens(module) => vec![&mut module.tokens],
        }
    }

    /// The first projection of each bank.
    fn singles(&self) -> Vec<&Linear> {
        let banks = match self {
            Self::Bottleneck(module) => vec![&module.down, &module.up],
            Self::LowRank(module) => vec![&module.down, &module.up],
            Self::Scale(module) => vec![&module.scale],
            Self::Prefix(module) => vec![&module.key, &module.value],
            Self::VirtualTokens(module) => vec![&module.tokens],
        };
        banks.into_iter().map(|bank| &bank.experts[0]).collect()
    }

    /// What the down and the up projection of an expert read where the module reads `x`, up to a factor that is the same
    /// everywhere; `None` for a module that is no pair of projections.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, in]`
    /// - `mask`: `[batch, tokens]`, 1 for a token and 0 for padding; `None` without padding
    /// - outputs: `[batch, tokens, in]`, `[batch, tokens, bottleneck]`
    pub fn inputs(
        &self,
        x: Tensor<3>,
        mask: Option<&Tensor<2>>,
        expert: usize,
    ) -> Option<[Tensor<3>; 2]> {
        match self {
            Self::Bottleneck(module) => Some(module.inputs(x, expert)),
            Self::LowRank(module) => Some(module.inputs(x, mask, expert)),
            Self::Scale(_) | Self::Prefix(_) | Self::VirtualTokens(_) => None,
        }
    }

    /// What the module adds at its place along a decision; `None` where it does not add.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, in]`
    /// - `mask`: `[batch, tokens]`, 1 for a token and 0 for padding; `None` without padding
    /// - output: `[batch, tokens, out]`
    pub fn update(
        &self,
        x: Tensor<3>,
        mask: Option<&Tensor<2>>,
        decision: &Decision,
    ) -> Option<Tensor<3>> {
        let context = Context {
            mask: mask.cloned(),
            ..Context::new(decision)
        };
        match self {
            Self::Bottleneck(module) => Some(module.branch(x, &context)),
            Self::LowRank(module) => Some(module.forward(x, &context)),
            Self::Scale(_) | Self::Prefix(_) | Self::VirtualTokens(_) => None,
        }
    }

    /// Whether the module of the banks' means gives the mean of the experts' outputs, whatever it reads: why,
    /// or why not.
    pub fn exactness(&self) -> Exactness {
        let (down, up) = self.counts();
        if (down, up) == (1, 1) {
            return Exactness::yes("there is one module");
        }
        match self {
            Self::LowRank(_) if down == 1 || up == 1 => Exactness::yes(
                "one side is shared: the mean of the products is the product of the means",
            ),
            Self::LowRank(_) => Exactness::no(
                "no side is shared: the product of the means leaves out how the sides vary together",
            ),
            Self::Bottleneck(module) if down == 1 => match module.is_linear() {
                true => Exactness::yes("down is shared and nothing stands between"),
                false => Exactness::yes("down is shared, and so is what the activation gives"),
            },
            Self::Bottleneck(module) if module.is_linear() && up == 1 => {
                Exactness::yes("up is shared and nothing stands between")
            }
            Self::Bottleneck(module) if module.is_linear() => Exactness::no(
                "no side is shared: the product of the means leaves out how the sides vary together",
            ),
            Self::Bottleneck(_) => {
                Exactness::no("an activation stands between the projections that differ")
            }
            Self::Scale(_) => Exactness::yes("scaling by a mean is the mean of the scalings"),
            Self::Prefix(_) => Exactness::no("the softmax of attention reads the merged keys"),
            Self::VirtualTokens(_) => Exactness::no("the model reads the merged tokens"),
        }
    }
}

/// Whether averaging the banks of a module loses nothing at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exactness {
    /// Whether it loses nothing.
    pub exact: bool,
    /// Why.
    pub why: &'static str,
}

impl Exactness {
    const fn yes(why: &'static str) -> Self {
        Self { exact: true, why }
    }

    const fn no(why: &'static str) -> Self {
        Self { exact: false, why }
    }
}

#[cfg(test)]
mod tests {
    use adamix_keys::Key;
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::adaptation::{
        Activation, AdaptationConfig, BottleneckConfig, LowRankConfig, PrefixConfig, ScaleConfig,
        Share, VirtualTokensConfig,
    };
    use crate::merging::{Uniform, Weighted};
    use crate::random::Initializer;
    use crate::routing::Mix;

    fn values(tensor: Tensor<3>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    fn input() -> Tensor<3> {
        let values = Initializer::Normal(1.0).sample(Key::new(9), 2 * 3 * 6);
        Tensor::from_data(TensorData::new(values, [2, 3, 6]), &Device::flex())
    }

    /// A mixture whose parameters are all drawn.
    fn mixture(config: &AdaptationConfig) -> Adaptation {
        let device = Device::flex();
        let mut mixture = config.init([6, 6], Key::new(1), &device);
        for (side, bank) in mixture.banks().into_iter().enumerate() {
            for (i, expert) in bank.experts.iter_mut().enumerate() {
                let (shape, key) = (expert.shape(), Key::new(2).fold(side as u64).fold(i as u64));
                let weight = Initializer::Normal(1.0).sample(key, shape[0] * shape[1]);
                let bias = expert
                    .bias_values()
                    .map(|b| Initializer::Normal(1.0).sample(key.fold(9), b.len()));
                *expert = expert.with_values(shape, weight, bias);
            }
        }
        mixture
    }

    fn largest_difference(a: Tensor<3>, b: Tensor<3>) -> f32 {
        (a - b).abs().max().into_scalar::<f32>()
    }

    #[test]
    fn what_is_called_exact_is_and_what_is_not_is_not() {
        let weights = Tensor::<3>::full([1, 1, 3], 1.0 / 3.0, &Device::flex());
        for share in [Share::Up, Share::Down, Share::None] {
            let low_rank = LowRankConfig::new(2).with_experts(3).with_share(share);
            let mut configs = vec![AdaptationConfig::LowRank(low_rank.with_equal_start(false))];
            for activation in [Activation::Gelu, Activation::Identity] {
                let bottleneck = BottleneckConfig::new(2).with_experts(3).with_share(share);
                configs.push(AdaptationConfig::Bottleneck(
                    bottleneck.with_activation(activation),
                ));
            }
            for config in configs {
                let mixture = mixture(&config);
                let mean = Decision::mixed(weights.clone(), Mix::Outputs);
                let mean = mixture.update(input(), None, &mean).unwrap();
                let merged = mixture.merged(&Uniform {}, "adamix").unwrap();
                let merged = merged.update(input(), None, &Decision::SINGLE).unwrap();
                let far = largest_difference(mean, merged);
                assert_eq!(far < 1e-4, mixture.exactness().exact, "{config:?} {far}");
                assert!(!(1e-4..=1e-2).contains(&far), "{config:?} {far}");
            }
        }
    }

    #[test]
    fn single_modules_together_are_each_an_expert() {
        let configs = [
            AdaptationConfig::Bottleneck(BottleneckConfig::new(2).with_experts(1)),
            AdaptationConfig::LowRank(LowRankConfig::new(2).with_experts(1)),
        ];
        for config in configs {
            let one = mixture(&config);
            let other = one.merged(&Uniform {}, "").unwrap();
            let mut other = other;
            for bank in other.banks() {
                let expert = &bank.experts[0];
                let doubled = expert.weight_values().iter().map(|v| 2.0 * v).collect();
                bank.experts[0] = expert.with_values(expert.shape(), doubled, expert.bias_values());
            }
            let both = Adaptation::together(&[&one, &other]).unwrap();
            assert_eq!(both.counts(), (2, 2));
            for (i, module) in [&one, &other].into_iter().enumerate() {
                let alone = module.update(input(), None, &Decision::SINGLE).unwrap();
                let expert = both.update(input(), None, &Decision::one(i, i)).unwrap();
                assert_eq!(values(alone.clone()), values(expert));
                let taken = both.merged(&Weighted::subset(&[i], 2), "").unwrap();
                let taken = taken.update(input(), None, &Decision::SINGLE).unwrap();
                assert!(largest_difference(taken, alone) < 1e-6);
            }
            assert!(Adaptation::together(&[&one, &both]).is_none());
        }
    }

    #[test]
    fn a_mixture_of_vectors_is_told_apart() {
        let exact = |config| mixture(&config).exactness().exact;
        assert!(exact(AdaptationConfig::Scale(
            ScaleConfig::new().with_experts(2)
        )));
        assert!(!exact(AdaptationConfig::Prefix(
            PrefixConfig::new(2).with_experts(2)
        )));
        let tokens = VirtualTokensConfig::new(2).with_experts(2);
        assert!(!exact(AdaptationConfig::VirtualTokens(tokens)));
    }

    #[test]
    fn the_inputs_of_the_projections_are_what_they_read() {
        let config = BottleneckConfig::new(2)
            .with_experts(3)
            .with_share(Share::None);
        let mixture = mixture(&AdaptationConfig::Bottleneck(config));
        let [below, inner] = mixture.inputs(input(), None, 1).unwrap();
        assert_eq!(values(below), values(input()));
        let Adaptation::Bottleneck(module) = &mixture else {
            unreachable!()
        };
        let out = module.up.experts[1].forward(inner);
        let expected = mixture.update(input(), None, &Decision::one(1, 1)).unwrap();
        assert!(largest_difference(out, expected) < 1e-6);
    }

    #[test]
    fn the_gate_of_a_low_rank_update_opens_by_example_and_not_by_padding() {
        let config = LowRankConfig::new(2)
            .with_experts(2)
            .with_share(Share::None);
        let mixture = mixture(&AdaptationConfig::LowRank(
            config.with_equal_start(false).with_gate(true),
        ));
        let Adaptation::LowRank(module) = &mixture else {
            unreachable!()
        };
        let x = input();
        let [batch, tokens, _] = x.dims();
        let mask = Tensor::<2>::ones([batch, tokens], &x.device());
        let mask = mask.slice_fill([0..1, 1..tokens], 0.0);
        let decision = Decision::one(1, 1);
        let [_, inner] = mixture.inputs(x.clone(), Some(&mask), 1).unwrap();
        let out = module.up.experts[1].forward(inner);
        let expected = (mixture.update(x.clone(), Some(&mask), &decision)).unwrap();
        assert!(largest_difference(out, expected.clone()) < 1e-6);
        let whole = mixture.update(x, None, &decision).unwrap();
        assert!(
            largest_difference(whole, expected) > 1e-4,
            "the mask counts"
        );
    }
}

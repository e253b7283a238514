//! What is trained in a frozen model: one file an adaptation, alone (one expert) or as a mixture.
//!
//! Every adaptation keeps what it trains in [`Bank`](crate::bank::Bank)s, so routing, merging and files treat
//! all alike. A new one is a file here, a variant of [`Adaptation`], and the places of a layer that hold it.

mod activation;
mod bottleneck;
mod context;
mod gate;
mod low_rank;
mod prefix;
mod probe;
mod scale;
mod share;
#[cfg(test)]
mod tests;
mod virtual_tokens;

pub use activation::Activation;
pub use bottleneck::{Bottleneck, BottleneckConfig, Placement};
pub use context::{Context, Routing};
pub use gate::gate;
pub use low_rank::{LowRank, LowRankConfig};
pub use prefix::{Prefix, PrefixConfig};
pub use probe::Exactness;
pub use scale::{Scale, ScaleConfig, ScaledSide};
pub use share::Share;
pub use virtual_tokens::{VirtualTokens, VirtualTokensConfig};

use adamix_keys::Key;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::merging::{MergeError, MergeRule};
use crate::parameter::Named;
use crate::routing::Router;

/// The shape of an adaptation, before it knows the widths of its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum AdaptationConfig {
    /// A bottleneck adapter on the output of a block or layer.
    Bottleneck(BottleneckConfig),
    /// A low-rank update (LoRA) of an affine map.
    LowRank(LowRankConfig),
    /// A vector that scales the input or output of an affine map ((IA)³).
    Scale(ScaleConfig),
    /// Keys and values before those of the tokens (prefix-tuning).
    Prefix(PrefixConfig),
    /// Hidden states before those of the tokens (prompt-tuning; PreLayer when in every layer).
    VirtualTokens(VirtualTokensConfig),
}

impl AdaptationConfig {
    /// The kind's name, as in files and configs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bottleneck(_) => "bottleneck",
            Self::LowRank(_) => "low-rank",
            Self::Scale(_) => "scale",
            Self::Prefix(_) => "prefix",
            Self::VirtualTokens(_) => "virtual-tokens",
        }
    }

    /// How many weights its banks have at a place that takes `[input, output]` wide vectors: what it asks memory for, told
    /// before it does.
    pub fn weights(&self, [input, output]: [usize; 2]) -> usize {
        let bank = |experts: usize, rows: usize, columns: usize| {
            experts.saturating_mul(rows).saturating_mul(columns)
        };
        let pair = |(down, up): (usize, usize), inner: usize, input: usize| {
            bank(down, input, inner).saturating_add(bank(up, inner, output))
        };
        match self {
            Self::Bottleneck(config) => pair(config.counts(), config.bottleneck, output),
            Self::LowRank(config) => pair(config.counts(), config.rank, input),
            Self::Scale(config) => match config.side {
                ScaledSide::Input => bank(config.experts, 1, input),
                ScaledSide::Output => bank(config.experts, 1, output),
            },
            Self::Prefix(config) => bank(config.experts, config.length, output).saturating_mul(2),
            Self::VirtualTokens(config) => bank(config.experts, config.length, output),
        }
    }

    /// A fresh trainable adaptation of a place that takes `[input, output]` wide vectors.
    pub fn init(&self, [input, output]: [usize; 2], key: Key, device: &Device) -> Adaptation {
        match self {
            Self::Bottleneck(config) => Adaptation::Bottleneck(config.init(output, key, device)),
            Self::LowRank(config) => Adaptation::LowRank(config.init([input, output], key, device)),
            Self::Scale(config) => Adaptation::Scale(config.init([input, output], device)),
            Self::Prefix(config) => Adaptation::Prefix(config.init(output, key, device)),
            Self::VirtualTokens(config) => {
                Adaptation::VirtualTokens(config.init(output, key, device))
            }
        }
    }
}

/// What sits at one place of a model.
#[derive(Module, Debug)]
pub enum Adaptation {
    /// See [`Bottleneck`].
    Bottleneck(Bottleneck),
    /// See [`LowRank`].
    LowRank(LowRank),
    /// See [`Scale`].
    Scale(Scale),
    /// See [`Prefix`].
    Prefix(Prefix),
    /// See [`VirtualTokens`].
    VirtualTokens(VirtualTokens),
}

impl Named for Adaptation {}

impl Adaptation {
    /// The shape that this one has: what [`AdaptationConfig::init`] would make it from.
    pub fn config(&self) -> AdaptationConfig {
        match self {
            Self::Bottleneck(module) => AdaptationConfig::Bottleneck(module.config()),
            Self::LowRank(module) => AdaptationConfig::LowRank(module.config()),
            Self::Scale(module) => AdaptationConfig::Scale(module.config()),
            Self::Prefix(module) => AdaptationConfig::Prefix(module.config()),
            Self::VirtualTokens(module) => AdaptationConfig::VirtualTokens(module.config()),
        }
    }

    /// How many experts a policy chooses from on the down and on the up side. An adaptation with one side
    /// has it down.
    pub fn counts(&self) -> (usize, usize) {
        match self {
            Self::Bottleneck(module) => (module.down.len(), module.up.len()),
            Self::LowRank(module) => (module.down.len(), module.up.len()),
            Self::Scale(module) => (module.scale.len(), 1),
            Self::Prefix(module) => (module.key.len(), 1),
            Self::VirtualTokens(module) => (module.tokens.len(), 1),
        }
    }

    /// The width of what it reads at a place of these widths.
    pub fn input_width(&self, [input, output]: [usize; 2]) -> usize {
        match self {
            Self::LowRank(_) | Self::Scale(_) => input,
            Self::Bottleneck(_) | Self::Prefix(_) | Self::VirtualTokens(_) => output,
        }
    }

    /// Whether a policy that reads its input can be asked about it: it then has a place for a router.
    pub fn reads_input(&self) -> bool {
        !matches!(self, Self::VirtualTokens(_))
    }

    /// Whether it can run another expert for every token.
    pub fn tells_tokens_apart(&self) -> bool {
        !matches!(self, Self::Prefix(_) | Self::VirtualTokens(_))
    }

    /// What its routing policy learns.
    pub fn router(&self) -> Option<&Router> {
        match self {
            Self::Bottleneck(module) => module.router.as_ref(),
            Self::LowRank(module) => module.router.as_ref(),
            Self::Scale(module) => module.router.as_ref(),
            Self::Prefix(module) => module.router.as_ref(),
            Self::VirtualTokens(_) => None,
        }
    }

    /// Gives it what its routing policy learns; nothing where it reads no input.
    pub fn set_router(&mut self, router: Option<Router>) {
        match self {
            Self::Bottleneck(module) => module.router = router,
            Self::LowRank(module) => module.router = router,
            Self::Scale(module) => module.router = router,
            Self::Prefix(module) => module.router = router,
            Self::VirtualTokens(_) => {}
        }
    }

    /// Whether a policy decides for it alone where it is one part of a fused map.
    pub fn is_apart(&self) -> bool {
        matches!(self, Self::LowRank(module) if module.apart)
    }

    /// Has a policy decide for it alone, or not; of a low-rank update only.
    pub fn set_apart(&mut self, apart: bool) {
        if let Self::LowRank(module) = self {
            module.apart = apart;
        }
    }

    /// The single module that `rule` makes of it; `module` is its path, up to `.adamix`.
    ///
    /// # Errors
    /// If the rule cannot merge it.
    pub fn merged(&self, rule: &dyn MergeRule, module: &str) -> Result<Self, MergeError> {
        Ok(match self {
            Self::Bottleneck(mixture) => Self::Bottleneck(mixture.merged(rule, module)?),
            Self::LowRank(mixture) => Self::LowRank(mixture.merged(rule, module)?),
            Self::Scale(mixture) => Self::Scale(mixture.merged(rule, module)?),
            Self::Prefix(mixture) => Self::Prefix(mixture.merged(rule, module)?),
            Self::VirtualTokens(mixture) => Self::VirtualTokens(mixture.merged(rule, module)?),
        })
    }

    /// The rate at which its input is dropped in training.
    pub fn dropout(&self) -> f64 {
        match self {
            Self::LowRank(module) => module.config().dropout,
            _ => 0.0,
        }
    }

    /// How far it moves the tokens' positions: the tokens that it puts before them and counts.
    pub fn position_shift(&self) -> usize {
        match self {
            Self::Prefix(module) => module.position_shift(),
            Self::VirtualTokens(module) => module.position_shift(),
            _ => 0,
        }
    }

    /// An affine map with this on it.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, input]`
    /// - output: `[batch, tokens, output]`, as `frozen` gives it
    pub fn around(
        &self,
        x: Tensor<3>,
        frozen: impl FnOnce(Tensor<3>) -> Tensor<3>,
        context: &Context<'_>,
    ) -> Tensor<3> {
        match self {
            Self::LowRank(module) => frozen(x.clone()) + module.forward(x, context),
            Self::Scale(module) => module.around(x, frozen, context),
            // Nothing else is let onto a map.
            _ => frozen(x),
        }
    }

    /// The adapter, if it is one.
    pub fn bottleneck(&self) -> Option<&Bottleneck> {
        match self {
            Self::Bottleneck(module) => Some(module),
            _ => None,
        }
    }

    /// The prefix, if it is one.
    pub fn prefix(&self) -> Option<&Prefix> {
        match self {
            Self::Prefix(module) => Some(module),
            _ => None,
        }
    }

    /// The virtual tokens, if it is some.
    pub fn virtual_tokens(&self) -> Option<&VirtualTokens> {
        match self {
            Self::VirtualTokens(module) => Some(module),
            _ => None,
        }
    }
}

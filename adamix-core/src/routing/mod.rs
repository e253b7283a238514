//! Who goes where: a policy decides, a mixture obeys.
//!
//! A policy is stateless code; every draw comes from the key in its [`RoutingContext`], so a decision can
//! be replayed from the seed and the coordinates alone. A new policy is one file that implements
//! [`RoutingPolicy`].

mod fixed;
mod stochastic;

pub use fixed::Fixed;
pub use stochastic::{Stochastic, StochasticPerExample};

use std::collections::BTreeMap;

use adamix_keys::Key;
use serde::{Deserialize, Serialize};

/// Which expert of a bank a pass runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Choice {
    /// One expert for the whole batch.
    One(usize),
    /// An expert for each example, in batch order.
    PerExample(Vec<usize>),
}

/// What a policy decided for one mixture in one pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The choice among the down-projections.
    pub down: Choice,
    /// The choice among the up-projections.
    pub up: Choice,
}

impl Decision {
    /// The decision that runs a merged or single module.
    pub const SINGLE: Self = Self {
        down: Choice::One(0),
        up: Choice::One(0),
    };

    /// The same expert on both sides (a shared side has only expert 0).
    pub fn diagonal(expert: usize, down: usize, up: usize) -> Self {
        Self {
            down: Choice::One(expert.min(down - 1)),
            up: Choice::One(expert.min(up - 1)),
        }
    }
}

/// Where and when a decision is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RoutingContext<'a> {
    /// The key of this decision: seed, purpose, step, micro-batch, pass and site are in it.
    pub key: Key,
    /// How many down-projections the mixture has.
    pub down: usize,
    /// How many up-projections the mixture has.
    pub up: usize,
    /// The ids of the batch's examples, in batch order.
    pub examples: &'a [u32],
}

/// How a trained mixture is meant to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inference {
    /// The experts are merged into one module (AdaMix).
    Merged,
    /// Every example takes an expert at random, drawn for each side and layer.
    Random,
    /// Always the first expert.
    Fixed,
    /// The mean of the logits of the M diagonal paths (expert i in every layer).
    Ensemble,
}

/// Decides which experts run.
pub trait RoutingPolicy: Send + Sync + core::fmt::Debug {
    /// The name by which configs refer to the policy.
    fn name(&self) -> &'static str;

    /// The decision for one mixture in one pass.
    fn decide(&self, context: &RoutingContext<'_>) -> Decision;

    /// How a model trained with this policy is evaluated unless asked otherwise.
    fn native_inference(&self) -> Inference {
        Inference::Merged
    }
}

/// The policies known by name.
pub const POLICIES: [&str; 3] = ["stochastic", "stochastic-per-example", "fixed"];

/// The policy of that name, or `None`.
pub fn policy(name: &str) -> Option<Box<dyn RoutingPolicy>> {
    Some(match name {
        "stochastic" => Box::new(Stochastic),
        "stochastic-per-example" => Box::new(StochasticPerExample),
        "fixed" => Box::new(Fixed),
        _ => return None,
    })
}

/// The decisions of one pass, by site, in the order of the layers' names.
pub type Routes = BTreeMap<String, Decision>;

/// One mixture that a policy decides for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The adapted module's Hugging Face path, such as `bert.encoder.layer.0.output`.
    pub name: String,
    /// How many down-projections it has.
    pub down: usize,
    /// How many up-projections it has.
    pub up: usize,
}

/// Asks `policy` for every site of one pass. `pass` holds seed, purpose, step, micro-batch and pass.
pub fn decide_all(
    policy: &dyn RoutingPolicy,
    sites: &[Site],
    pass: Key,
    examples: &[u32],
) -> Routes {
    let decide = |site: &Site| {
        let context = RoutingContext {
            key: pass.purpose(&site.name),
            down: site.down,
            up: site.up,
            examples,
        };
        (site.name.clone(), policy.decide(&context))
    };
    sites.iter().map(decide).collect()
}

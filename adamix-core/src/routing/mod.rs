//! Who goes where: a policy decides, a mixture obeys.
//!
//! A policy is stateless code; every draw comes from a key of its [`RoutingContext`], so a decision can be
//! replayed from the seed and the coordinates alone. A new policy is one file that implements
//! [`RoutingPolicy`]; what it learns it declares, and the mixture owns it as a [`Router`].

mod balance;
mod choice;
mod context;
mod decision;
mod inference;
mod pass;
mod policies;
mod rank;
mod router;
mod usage;

pub use choice::Choice;
pub use context::{Moment, RoutingContext};
pub use decision::{Decision, Mix, Mixed};
pub use inference::{Inference, RoutedPath};
pub use pass::{Asking, RoutedPass, Routes, Site, auxiliary_loss};
pub use policies::*;
pub use router::{Declared, Router, RouterShape};
pub use usage::{Figures, SideFigures, Usage};

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::options::{OptionError, Options};
use crate::registry::Registry;

/// How finely a policy tells inputs apart, which is what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// One decision for the batch: the cost of a single module, however many experts there are.
    Batch,
    /// One for each example: weights are gathered, or mixed, for each.
    Example,
    /// One for each token: all experts run on all tokens.
    Token,
}

/// Decides which experts run.
pub trait RoutingPolicy: Send + Sync + core::fmt::Debug {
    /// The name by which configs refer to the policy.
    fn name(&self) -> &str;

    /// The decision for one mixture in one pass: a function of the context alone.
    fn decide(&self, context: &RoutingContext<'_>) -> Decision;

    /// How finely it tells inputs apart.
    fn grain(&self) -> Grain {
        Grain::Batch
    }

    /// Whether what it decides for a token depends on later tokens, which a decoder has not seen.
    fn looks_ahead(&self) -> bool {
        false
    }

    /// The maps that it learns, for a mixture of this shape. `context.map(name)` gives them back.
    fn parameters(&self, _shape: &RouterShape) -> Vec<Declared> {
        Vec::new()
    }

    /// Whether down `i` only ever meets up `i` where both sides have as many; random inference then keeps them together.
    /// Weights on outputs are such a policy, weights on parameters are not.
    fn is_tied(&self) -> bool {
        false
    }

    /// How a model trained with this policy is evaluated unless asked otherwise.
    fn native_inference(&self) -> Inference {
        Inference::Merged
    }

    /// Refuses settings that are out of range.
    ///
    /// # Errors
    /// Names the setting.
    fn check(&self) -> Result<(), OptionError> {
        Ok(())
    }
}

fn parsed<P: RoutingPolicy + DeserializeOwned + 'static>(
    options: &Options,
) -> Result<Arc<dyn RoutingPolicy>, OptionError> {
    let policy: P = options.parse()?;
    policy.check()?;
    Ok(Arc::new(policy))
}

/// The policies by name.
pub static POLICIES: Registry<dyn RoutingPolicy> = Registry::new(
    "routing policy",
    &[
        ("stochastic", parsed::<Stochastic>),
        ("stochastic-per-example", parsed::<StochasticPerExample>),
        ("stochastic-per-token", parsed::<StochasticPerToken>),
        ("stochastic-tied", parsed::<StochasticTied>),
        ("without-replacement", parsed::<WithoutReplacement>),
        ("fixed", parsed::<Fixed>),
        ("round-robin", parsed::<RoundRobin>),
        ("hash", parsed::<Hash>),
        ("expert-dropout", parsed::<ExpertDropout>),
        ("task", parsed::<Task>),
        ("dense", parsed::<Dense>),
        ("top-k", parsed::<TopK>),
        ("top-p", parsed::<TopP>),
        ("smear", parsed::<Smear>),
        ("adamole", parsed::<AdaMole>),
        ("gumbel", parsed::<Gumbel>),
    ],
);

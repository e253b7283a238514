//! One uniform draw for both sides.

use serde::Deserialize;

use crate::routing::{Decision, RoutingContext, RoutingPolicy};

/// One draw for the whole batch that both sides follow, so that down `i` only ever meets up `i` (THOR; with
/// a shared side the same law as [`Stochastic`](super::Stochastic)).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StochasticTied {}

impl RoutingPolicy for StochasticTied {
    fn name(&self) -> &str {
        "stochastic-tied"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let expert = context.key().below(context.experts());
        Decision::diagonal(expert, context.down, context.up)
    }
}

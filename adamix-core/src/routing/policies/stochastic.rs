//! The paper's routing: uniform draws, down and up independent, anew for every layer and pass.

use serde::Deserialize;

use crate::routing::{Decision, RoutingContext, RoutingPolicy};

/// One draw a side for the whole batch (paper §3.1; the released code's `MixtureSoup` in training).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stochastic {}

impl RoutingPolicy for Stochastic {
    fn name(&self) -> &str {
        "stochastic"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let draw = |side: &str, count| context.key().purpose(side).below(count);
        Decision::one(draw("down", context.down), draw("up", context.up))
    }
}

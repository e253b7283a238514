//! Sticky routing: a random expert that stays for several steps, so that each sees runs of consecutive batches.

use std::sync::Arc;

use adamix_core::routing::{Decision, POLICIES, RoutingContext, RoutingPolicy};
use serde::Deserialize;

/// Draws an expert for each site and side anew every `steps` steps.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sticky {
    /// How long an expert stays.
    pub steps: u64,
}

impl Default for Sticky {
    fn default() -> Self {
        Self { steps: 10 }
    }
}

impl RoutingPolicy for Sticky {
    fn name(&self) -> &str {
        "sticky"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let turn = context.moment.step / self.steps.max(1);
        let key = context.key_of_all_steps().fold(turn);
        let draw = |side, experts| key.fold(context.moment.pass).fold(side).below(experts);
        Decision::one(draw(0, context.down), draw(1, context.up))
    }
}

/// Makes `routing.policy = "sticky"` known to this process.
pub fn register() {
    POLICIES.register("sticky", |options| Ok(Arc::new(options.parse::<Sticky>()?)));
}

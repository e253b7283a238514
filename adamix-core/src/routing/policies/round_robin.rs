//! Each expert in turn.

use serde::Deserialize;

use crate::routing::{Decision, RoutingContext, RoutingPolicy};

/// Expert `(step + micro-batch + pass) mod M` on both sides of every layer: all experts get the same number
/// of steps, and the two passes over a batch never the same expert.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoundRobin {}

impl RoutingPolicy for RoundRobin {
    fn name(&self) -> &str {
        "round-robin"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let turn = context.moment.step + context.moment.micro + context.moment.pass;
        let turn = |count: usize| (turn % count as u64) as usize;
        Decision::one(turn(context.down), turn(context.up))
    }

    fn is_tied(&self) -> bool {
        true
    }
}

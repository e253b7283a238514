//! Uniform draws without replacement between the passes of a step.

use serde::Deserialize;

use crate::routing::{Decision, RoutingContext, RoutingPolicy};

/// One draw a side for the whole batch, never the same in the two passes over it: the consistency term then
/// always compares different experts. Each pass alone has the law of [`Stochastic`](super::Stochastic).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WithoutReplacement {}

impl RoutingPolicy for WithoutReplacement {
    fn name(&self) -> &str {
        "without-replacement"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let pass = context.moment.pass as usize;
        let draw = |side: &str, count: usize| {
            let order = context.key_of_all_passes().purpose(side).permutation(count);
            order[pass % count] as usize
        };
        Decision::one(draw("down", context.down), draw("up", context.up))
    }
}

//! Uniform draws for each example.

use serde::Deserialize;

use crate::routing::{Choice, Decision, Grain, RoutingContext, RoutingPolicy};

/// One draw a side for each example, keyed by the example, not by its place in the batch (the released
/// code's inference level 1; the AdaMix baseline of SMEAR).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StochasticPerExample {}

impl RoutingPolicy for StochasticPerExample {
    fn name(&self) -> &str {
        "stochastic-per-example"
    }

    fn grain(&self) -> Grain {
        Grain::Example
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let side = |name: &str, count: usize| {
            let key = context.key().purpose(name);
            let draw = |id: &u32| key.fold(u64::from(*id)).below(count);
            Choice::PerExample(context.examples.iter().map(draw).collect())
        };
        Decision::Experts {
            down: side("down", context.down),
            up: side("up", context.up),
        }
    }
}

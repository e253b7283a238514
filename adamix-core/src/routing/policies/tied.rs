//! One uniform draw for both sides.

use serde::Deserialize;

use crate::routing::{Choice, Decision, Grain, RoutingContext, RoutingPolicy};

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

    fn is_tied(&self) -> bool {
        true
    }
}

/// The same for each example, keyed by the example: how a mixture that was trained so serves at random.
#[derive(Clone, Copy, Debug)]
pub struct TiedPerExample;

impl RoutingPolicy for TiedPerExample {
    fn name(&self) -> &str {
        "tied-per-example"
    }

    fn grain(&self) -> Grain {
        Grain::Example
    }

    fn is_tied(&self) -> bool {
        true
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let draw = |id: &u32| context.key().fold(u64::from(*id)).below(context.experts());
        let drawn: Vec<usize> = context.examples.iter().map(draw).collect();
        // A shared side has only expert 0.
        let side = |count: usize| {
            Choice::PerExample(
                drawn
                    .iter()
                    .map(|expert| (*expert).min(count - 1))
                    .collect(),
            )
        };
        Decision::Experts {
            down: side(context.down),
            up: side(context.up),
        }
    }
}

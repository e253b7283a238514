//! Uniform draws for each token.

use serde::Deserialize;

use crate::routing::{Choice, Decision, Grain, RoutingContext, RoutingPolicy};

/// One draw a side for each token of each example, keyed by the example and the token's position (the released
/// code's inference level 0).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StochasticPerToken {}

impl RoutingPolicy for StochasticPerToken {
    fn name(&self) -> &str {
        "stochastic-per-token"
    }

    fn grain(&self) -> Grain {
        Grain::Token
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let side = |name: &str, count: usize| {
            let key = context.key().purpose(name);
            let row = |(i, id): (usize, &u32)| {
                let key = key.fold(u64::from(*id));
                let positions = context.positions(i);
                positions.map(|at| key.fold(at).below(count)).collect()
            };
            Choice::PerToken(context.examples.iter().enumerate().map(row).collect())
        };
        Decision::Experts {
            down: side("down", context.down),
            up: side("up", context.up),
        }
    }
}

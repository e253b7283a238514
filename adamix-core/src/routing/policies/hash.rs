//! Each example keeps its experts.

use serde::Deserialize;

use crate::routing::{Choice, Decision, Grain, RoutingContext, RoutingPolicy};

/// The expert of an example is a hash of its id, the root of the draws and the site (the hash layers of Roller et al.
/// 2021, by example in place of by word). Training has one root, so it is fixed there and each expert sees a part of the
/// data. A measurement along this routing has a root of its own: what an example takes there says nothing of training.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hash {}

impl RoutingPolicy for Hash {
    fn name(&self) -> &str {
        "hash"
    }

    fn grain(&self) -> Grain {
        Grain::Example
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let key = context.key_of_all_steps();
        let side = |count: usize| {
            let expert = |id: &u32| key.fold(u64::from(*id)).below(count);
            Choice::PerExample(context.examples.iter().map(expert).collect())
        };
        Decision::Experts {
            down: side(context.down),
            up: side(context.up),
        }
    }

    fn is_tied(&self) -> bool {
        true
    }
}

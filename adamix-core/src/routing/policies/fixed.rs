//! Always one expert: the control that trains a single module inside a mixture's code path.

use serde::Deserialize;

use crate::routing::{Decision, Inference, RoutingContext, RoutingPolicy};

/// The same expert on both sides, the first unless told otherwise.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fixed {
    /// Which expert; a side that has fewer runs its last.
    pub expert: usize,
}

impl RoutingPolicy for Fixed {
    fn name(&self) -> &str {
        "fixed"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        Decision::diagonal(self.expert, context.down, context.up)
    }

    fn is_tied(&self) -> bool {
        true
    }

    fn native_inference(&self) -> Inference {
        Inference::Routed
    }
}

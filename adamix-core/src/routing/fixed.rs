//! Always the first expert: the control that trains a single module inside a mixture's code path.

use super::{Decision, Inference, RoutingContext, RoutingPolicy};

/// Expert 0 on both sides.
#[derive(Clone, Copy, Debug)]
pub struct Fixed;

impl RoutingPolicy for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn decide(&self, _context: &RoutingContext<'_>) -> Decision {
        Decision::SINGLE
    }

    fn native_inference(&self) -> Inference {
        Inference::Fixed
    }
}

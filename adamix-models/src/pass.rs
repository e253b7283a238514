//! What one forward pass is told beside its input: the routes, and the keys of its dropout masks.

use adamix_core::routing::{Decision, Routes};
use adamix_kernels::Dropout;
use adamix_keys::{Key, mask};

/// The coordinates of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The decision of every site that has a mixture; absent sites run their single module.
    pub routes: Option<&'a Routes>,
    /// Dropout, or `None` in evaluation.
    pub dropout: Option<PassDropout<'a>>,
}

/// Where a pass's dropout masks come from.
#[derive(Clone, Copy, Debug)]
pub struct PassDropout<'a> {
    /// Seed, purpose, step and pass.
    pub key: Key,
    /// The ids of the batch's examples, in batch order.
    pub examples: &'a [u32],
}

impl<'a> Pass<'a> {
    /// Evaluation of a merged or single module: no dropout, expert 0.
    pub const EVALUATION: Self = Self {
        routes: None,
        dropout: None,
    };

    /// Evaluation along given routes.
    pub fn along(routes: &'a Routes) -> Self {
        Self {
            routes: Some(routes),
            dropout: None,
        }
    }

    /// The decision for a site.
    pub fn decision(&self, site: &str) -> &Decision {
        self.routes
            .and_then(|routes| routes.get(site))
            .unwrap_or(&Decision::SINGLE)
    }

    /// The dropout of a place in the network, or `None` if nothing is dropped there.
    pub fn dropout_at(&self, place: &str, rate: f64) -> Option<Dropout> {
        let dropout = self.dropout.filter(|_| rate > 0.0)?;
        let state = dropout.key.purpose(place).word32();
        let rows = dropout
            .examples
            .iter()
            .map(|id| mask::mix(state, *id))
            .collect();
        Some(Dropout { rate, rows })
    }
}

//! What one forward pass is told beside its input: the routes, and the keys of its dropout masks.

use adamix_core::adaptation::{Adaptation, Context, Routing};
use adamix_core::routing::{Decision, RoutedPass, Routes};
use adamix_kernels::Dropout;
use adamix_keys::{Key, mask};
use burn::tensor::Tensor;

pub use crate::below::Below;

/// The coordinates of a pass.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// Given decisions by site; an absent site asks the policy.
    pub routes: Option<&'a Routes>,
    /// The policy that is asked; without one a site runs its single module.
    pub routed: Option<&'a RoutedPass<'a>>,
    /// Dropout, or `None` in evaluation.
    pub dropout: Option<PassDropout<'a>>,
    /// `[batch, tokens]`: 1 for a token, 0 for padding; the model sets it for its layers.
    pub mask: Option<&'a Tensor<2>>,
    /// What it shares with other passes over the same batch.
    pub below: Option<&'a Below>,
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
        routed: None,
        dropout: None,
        mask: None,
        below: None,
    };

    /// Evaluation along given routes.
    pub fn along(routes: &'a Routes) -> Self {
        Self {
            routes: Some(routes),
            ..Self::EVALUATION
        }
    }

    /// The same pass over a batch with this padding.
    pub(crate) fn with_mask<'b>(&self, mask: &'b Tensor<2>) -> Pass<'b>
    where
        'a: 'b,
    {
        Pass {
            mask: Some(mask),
            ..*self
        }
    }

    /// Evaluation as a policy decides.
    pub fn routed(routed: &'a RoutedPass<'a>) -> Self {
        Self {
            routed: Some(routed),
            ..Self::EVALUATION
        }
    }

    /// Where the decision for a site comes from.
    fn routing(&self, site: &str) -> Routing<'a> {
        let given = self.routes.and_then(|routes| routes.get(site));
        match (given, self.routed) {
            (Some(decision), _) => Routing::Given(decision),
            (None, Some(pass)) => Routing::Asked(pass),
            (None, None) => Routing::Given(&Decision::SINGLE),
        }
    }

    /// What the pass tells the adaptation at a site.
    pub(crate) fn context<'b>(&'b self, site: &'b str, adaptation: &Adaptation) -> Context<'b> {
        Context {
            site,
            routing: self.routing(site),
            dropout: self.dropout_at(&format!("{site}.lora_dropout"), adaptation.dropout()),
            mask: self.mask.cloned(),
        }
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

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

#[cfg(test)]
mod tests {
    use adamix_core::adaptation::{AdaptationConfig, LowRankConfig};
    use burn::tensor::Device;

    use super::*;

    fn dropping(seed: u64, examples: &[u32]) -> Pass<'_> {
        let key = Key::new(seed);
        Pass {
            dropout: Some(PassDropout { key, examples }),
            ..Pass::EVALUATION
        }
    }

    #[test]
    fn masks_belong_to_the_key_the_place_and_the_example() {
        let rows = |seed, place: &str, examples: &[u32]| {
            let pass = dropping(seed, examples);
            pass.dropout_at(place, 0.1).unwrap().rows
        };
        let base = rows(1, "a", &[7, 8]);
        assert_ne!(base[0], base[1]);
        for other in [rows(2, "a", &[7, 8]), rows(1, "b", &[7, 8])] {
            assert!(base[0] != other[0] && base[1] != other[1]);
        }
        assert_eq!(base[1], rows(1, "a", &[8])[0]);
    }

    #[test]
    fn an_adaptation_drops_by_its_own_place_and_rate() {
        let config = AdaptationConfig::LowRank(LowRankConfig::new(2).with_dropout(0.3));
        let adaptation = config.init([4, 4], Key::new(1), &Device::flex());
        let pass = dropping(1, &[7, 8]);
        let found = pass.context("query", &adaptation).dropout;
        assert!(found.is_some() && found == pass.dropout_at("query.lora_dropout", 0.3));
    }
}

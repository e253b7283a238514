//! What a pass tells an adaptation.

use adamix_kernels::Dropout;
use burn::tensor::Tensor;

use crate::bank::Bank;
use crate::routing::{Asking, Decision, RoutedPass, Router};

/// What an adaptation is told in one pass beside its input.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The path of the module that it sits on.
    pub site: &'a str,
    /// Where its decision comes from.
    pub routing: Routing<'a>,
    /// The dropout of its input, or `None` if nothing is dropped.
    pub dropout: Option<Dropout>,
    /// `[batch, tokens]`: 1 for a token, 0 for padding; `None` if there is no padding.
    pub mask: Option<Tensor<2>>,
}

/// Where a decision comes from.
#[derive(Clone, Copy, Debug)]
pub enum Routing<'a> {
    /// It is given.
    Given(&'a Decision),
    /// A policy is asked.
    Asked(&'a RoutedPass<'a>),
}

impl<'a> Context<'a> {
    /// A given decision; no dropout, no padding.
    pub fn new(decision: &'a Decision) -> Self {
        Self {
            site: "",
            routing: Routing::Given(decision),
            dropout: None,
            mask: None,
        }
    }

    /// The decision for a mixture of one bank or two, with the input that its router reads.
    pub(super) fn decide(
        &self,
        down: &Bank,
        up: Option<&Bank>,
        router: &Option<Router>,
        input: Option<&Tensor<3>>,
    ) -> Decision {
        match self.routing {
            Routing::Given(decision) => decision.clone(),
            Routing::Asked(pass) => pass.decide(
                self.site,
                &Asking {
                    counts: (down.len(), up.map_or(1, Bank::len)),
                    router: router.as_ref(),
                    input,
                    device: &down.experts[0].weight.val().device(),
                    mask: self.mask.as_ref(),
                },
            ),
        }
    }

    /// The input with what is dropped of it.
    pub(super) fn drop(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.dropout {
            Some(dropout) => adamix_kernels::dropout(x, dropout),
            None => x,
        }
    }
}

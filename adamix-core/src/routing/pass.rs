//! A policy at work in one pass over one batch.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::{Decision, Gate, Moment, RoutingContext, RoutingPolicy};

/// The decisions of one pass, by site, in the order of the sites' names.
pub type Routes = BTreeMap<String, Decision>;

/// One mixture that a policy decides for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The adapted module's Hugging Face path, such as `bert.encoder.layer.0.output`.
    pub name: String,
    /// How many down-projections it has.
    pub down: usize,
    /// How many up-projections it has.
    pub up: usize,
}

/// A policy at work in one pass: every mixture asks it when its turn comes, and what it answered is kept.
#[derive(Debug)]
pub struct RoutedPass<'a> {
    /// The policy.
    pub policy: &'a dyn RoutingPolicy,
    /// Seed, step, micro-batch and pass.
    pub moment: Moment,
    /// The ids of the batch's examples, in batch order.
    pub examples: &'a [u32],
    /// 1 for a token, 0 for padding: `[batch, tokens]`.
    pub mask: Tensor<2>,
    /// Whether this is a training step.
    pub training: bool,
    decided: RefCell<Routes>,
}

impl<'a> RoutedPass<'a> {
    /// A pass in which nothing is decided yet.
    pub fn new(
        policy: &'a dyn RoutingPolicy,
        moment: Moment,
        examples: &'a [u32],
        mask: Tensor<2>,
        training: bool,
    ) -> Self {
        Self {
            policy,
            moment,
            examples,
            mask,
            training,
            decided: RefCell::default(),
        }
    }

    /// Asks for one mixture, whose input is at hand.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, width]`
    pub fn decide(
        &self,
        site: &str,
        [down, up]: [usize; 2],
        gate: Option<&Gate>,
        input: &Tensor<3>,
    ) -> Decision {
        let decision = self.policy.decide(&RoutingContext {
            moment: self.moment,
            site,
            down,
            up,
            examples: self.examples,
            training: self.training,
            input,
            mask: &self.mask,
            gate,
        });
        let mut decided = self.decided.borrow_mut();
        decided.insert(site.to_owned(), decision.clone());
        decision
    }

    /// What was decided, by site.
    pub fn into_routes(self) -> Routes {
        self.decided.into_inner()
    }
}

/// The sum of the terms that a pass' decisions add to the loss, `[1]`; `None` where no decision has one.
pub fn auxiliary_loss(routes: &Routes) -> Option<Tensor<1>> {
    let term = |decision: &Decision| match decision {
        Decision::Mixed(mixed) => mixed.auxiliary.clone(),
        Decision::Experts { .. } => None,
    };
    routes.values().filter_map(term).reduce(|a, b| a + b)
}

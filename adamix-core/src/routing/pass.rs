//! A policy at work in one pass over one batch.

use std::cell::RefCell;
use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};

use super::{Decision, Moment, Router, RoutingContext, RoutingPolicy};

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

/// A policy at work in one forward pass: every mixture asks it when its turn comes, and what it answered is
/// kept. Mixtures that share a site share the decision of the first.
#[derive(Debug)]
pub struct RoutedPass<'a> {
    policy: &'a dyn RoutingPolicy,
    moment: Moment,
    examples: &'a [u32],
    starts: Option<&'a [i64]>,
    training: bool,
    decided: RefCell<Routes>,
}

/// What a mixture tells of itself when it asks.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// How many projections it has: down, up.
    pub counts: (usize, usize),
    /// The parameters that the policy declared for it.
    pub router: Option<&'a Router>,
    /// Its input, `[batch, tokens, width]`, where it reads one.
    pub input: Option<&'a Tensor<3>>,
    /// Where its parameters are.
    pub device: &'a Device,
    /// 1 for a token, 0 for padding, `[batch, tokens]`; `None` without padding.
    pub mask: Option<&'a Tensor<2>>,
}

impl<'a> RoutedPass<'a> {
    /// A pass in which nothing is decided yet. `examples` are the ids in batch order.
    pub fn new(
        policy: &'a dyn RoutingPolicy,
        moment: Moment,
        examples: &'a [u32],
        training: bool,
    ) -> Self {
        Self {
            policy,
            moment,
            examples,
            starts: None,
            training,
            decided: RefCell::default(),
        }
    }

    /// The same for texts that are read from these positions on, one an example.
    pub fn starting_at(self, starts: &'a [i64]) -> Self {
        Self {
            starts: Some(starts),
            ..self
        }
    }

    /// The decision for the mixture at a site.
    pub fn decide(&self, site: &str, asking: &Asking<'_>) -> Decision {
        let mut decided = self.decided.borrow_mut();
        if let Some(decision) = decided.get(site) {
            return decision.clone();
        }
        let (down, up) = asking.counts;
        let mut decision = match asking.counts {
            // A single module leaves nothing to decide.
            (1, 1) => Decision::SINGLE,
            _ => self.policy.decide(&RoutingContext {
                moment: self.moment,
                site,
                down,
                up,
                examples: self.examples,
                starts: self.starts,
                training: self.training,
                input: asking.input,
                device: asking.device,
                mask: asking.mask,
                router: asking.router,
            }),
        };
        if let Decision::Mixed(mixed) = &mut decision {
            mixed.mask = asking.mask.cloned();
        }
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

//! Where and when a decision is asked for.

use adamix_keys::Key;
use burn::tensor::Tensor;

use super::Gate;
use crate::linear::Linear;

/// The coordinates of a pass in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seed and purpose.
    pub root: Key,
    /// The optimiser step, from 1; in evaluation the number of the draw.
    pub step: u64,
    /// The micro-batch of the step, from 0.
    pub micro: u64,
    /// The pass over it, from 0.
    pub pass: u64,
}

impl Moment {
    /// The first pass of a draw, in evaluation.
    pub fn draw(root: Key, draw: u64) -> Self {
        Self {
            root,
            step: draw,
            micro: 0,
            pass: 0,
        }
    }

    /// The key of the two passes over one micro-batch.
    fn micro_key(&self) -> Key {
        self.root.fold(self.step).fold(self.micro)
    }
}

/// Where and when a decision is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RoutingContext<'a> {
    /// Seed, step, micro-batch and pass.
    pub moment: Moment,
    /// The adapted module's path.
    pub site: &'a str,
    /// How many down-projections the mixture has.
    pub down: usize,
    /// How many up-projections it has.
    pub up: usize,
    /// The ids of the batch's examples, in batch order.
    pub examples: &'a [u32],
    /// Whether this is a training step: noise and regularising drops belong to those only.
    pub training: bool,
    /// The mixture's input: `[batch, tokens, width]`.
    pub input: &'a Tensor<3>,
    /// 1 for a token, 0 for padding: `[batch, tokens]`.
    pub mask: &'a Tensor<2>,
    /// The mixture's declared parameters, if its policy declares any.
    pub gate: Option<&'a Gate>,
}

impl RoutingContext<'_> {
    /// M: the experts of the side that has more.
    pub fn experts(&self) -> usize {
        self.down.max(self.up)
    }

    /// The key of this decision: another one for every site, step, micro-batch and pass.
    pub fn key(&self) -> Key {
        self.moment
            .micro_key()
            .fold(self.moment.pass)
            .purpose(self.site)
    }

    /// A key that the passes over one micro-batch share.
    pub fn key_of_all_passes(&self) -> Key {
        self.moment
            .micro_key()
            .purpose("all passes")
            .purpose(self.site)
    }

    /// A key that is the same in the whole run.
    pub fn key_of_all_steps(&self) -> Key {
        self.moment.root.purpose("all steps").purpose(self.site)
    }

    /// A declared map.
    ///
    /// # Panics
    /// If the policy did not declare it, or runs on a mixture that was made without it.
    pub fn map(&self, name: &str) -> &Linear {
        let gate = self.gate;
        gate.unwrap_or_else(|| panic!("`{}` has no router, but `{name}` is asked for", self.site))
            .map(name)
    }

    /// The mean of the input over the tokens that are no padding.
    ///
    /// # Shapes
    /// - output: `[batch, 1, width]`
    pub fn mean_input(&self) -> Tensor<3> {
        let weights = self.mask.clone() / self.mask.clone().sum_dim(1);
        (self.input.clone() * weights.unsqueeze_dim(2)).sum_dim(1)
    }
}

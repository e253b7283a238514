//! Where and when a decision is asked for.

use adamix_keys::Key;
use burn::tensor::{Device, Tensor};

use super::Router;
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
    /// A draw in evaluation: one pass, whatever the batch.
    pub fn draw(root: Key, draw: u64) -> Self {
        Self {
            root,
            step: draw,
            micro: 0,
            pass: 0,
        }
    }

    /// The key of the passes over one micro-batch.
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
    /// The position of each example's first token, below 0 for padding; `None` where it is 0 for all.
    pub starts: Option<&'a [i64]>,
    /// Whether this is a training step: noise and regularising drops belong to those only.
    pub training: bool,
    /// The mixture's input, `[batch, tokens, width]`, where it reads one.
    pub input: Option<&'a Tensor<3>>,
    /// Where the mixture's parameters are.
    pub device: &'a Device,
    /// 1 for a token, 0 for padding, `[batch, tokens]`; `None` without padding.
    pub mask: Option<&'a Tensor<2>>,
    /// The parameters that the policy declared for this mixture.
    pub router: Option<&'a Router>,
}

impl<'a> RoutingContext<'a> {
    /// M: the experts of the side that has more.
    pub fn experts(&self) -> usize {
        self.down.max(self.up)
    }

    /// The key of this decision: another one for every site, step, micro-batch and pass.
    pub fn key(&self) -> Key {
        let pass = self.moment.micro_key().fold(self.moment.pass);
        pass.purpose(self.site)
    }

    /// A key that the passes over one micro-batch share.
    pub fn key_of_all_passes(&self) -> Key {
        let micro = self.moment.micro_key().purpose("all passes");
        micro.purpose(self.site)
    }

    /// A key that is the same in the whole run.
    pub fn key_of_all_steps(&self) -> Key {
        let root = self.moment.root.purpose("all steps");
        root.purpose(self.site)
    }

    /// The mixture's input, `[batch, tokens, width]`.
    ///
    /// # Panics
    /// If this mixture reads none; only policies that declare parameters, or decide per token, may ask.
    pub fn input(&self) -> &'a Tensor<3> {
        self.input
            .unwrap_or_else(|| panic!("`{}` reads no input that a policy could see", self.site))
    }

    /// The positions of an example's tokens, by its place in the batch. A text that is read in several passes has the
    /// same ones as in a single pass.
    ///
    /// # Panics
    /// As [`input`](Self::input).
    pub fn positions(&self, example: usize) -> impl Iterator<Item = u64> + use<> {
        let tokens = self.input().dims()[1] as i64;
        let start = self.starts.map_or(0, |starts| starts[example]);
        // Padding before a text has positions of no token.
        (start..start + tokens).map(|position| position as u64)
    }

    /// A map that the policy declared.
    ///
    /// # Panics
    /// If it did not, or runs on a mixture that was made without it.
    pub fn map(&self, name: &str) -> &'a Linear {
        self.router
            .unwrap_or_else(|| panic!("`{}` was made without the map `{name}`", self.site))
            .map(name)
    }

    /// What a token counts: 1, or 0 for padding.
    ///
    /// # Shapes
    /// - output: `[batch, tokens, 1]`
    pub fn token_weights(&self) -> Tensor<3> {
        match self.mask {
            Some(mask) => mask.clone().unsqueeze_dim(2),
            None => {
                let [batch, tokens, _] = self.input().dims();
                Tensor::ones([batch, tokens, 1], self.device)
            }
        }
    }

    /// The mean of the input over the tokens that are no padding.
    ///
    /// # Shapes
    /// - output: `[batch, 1, width]`
    pub fn mean_input(&self) -> Tensor<3> {
        let weights = self.token_weights();
        let total = weights.clone().sum_dim(1);
        (self.input().clone() * weights).sum_dim(1) / total
    }
}

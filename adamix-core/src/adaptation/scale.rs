//! (IA)³: a vector that scales the input or the output of an affine map (Liu et al. 2022).

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::Context;
use crate::bank::Bank;
use crate::linear::Linear;
use crate::merging::{MergeError, MergeRule, Place};
use crate::routing::{Choice, Decision, Router};

/// What of a map is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScaledSide {
    /// What it reads: the inner activations, at the second map of a feed-forward block.
    Input,
    /// What it gives: keys and values.
    Output,
}

/// The shape of a scaling.
#[derive(Config, Debug, PartialEq)]
pub struct ScaleConfig {
    /// What of the map is scaled.
    #[config(default = "ScaledSide::Output")]
    pub side: ScaledSide,
    /// M, the number of vectors; 1 is plain (IA)³.
    #[config(default = 1)]
    pub experts: usize,
}

impl ScaleConfig {
    /// A fresh trainable scaling of a map of `[input, output]`: all ones, so nothing changes at the start.
    pub fn init(&self, [input, output]: [usize; 2], device: &Device) -> Scale {
        let width = match self.side {
            ScaledSide::Input => input,
            ScaledSide::Output => output,
        };
        let ones = || Linear::from_values([1, width], vec![1.0; width], None, device);
        Scale {
            scale: Bank {
                experts: (0..self.experts).map(|_| ones()).collect(),
            },
            router: None,
            side: self.side,
        }
    }
}

/// A mixture of scalings, routed by its down side.
#[derive(Module, Debug)]
pub struct Scale {
    /// Vectors, as maps of `[1, width]`.
    pub scale: Bank,
    /// What its routing policy learns.
    pub router: Option<Router>,
    #[module(skip)]
    side: ScaledSide,
}

impl Scale {
    /// The shape that this one has.
    pub fn config(&self) -> ScaleConfig {
        ScaleConfig {
            side: self.side,
            experts: self.scale.len(),
        }
    }

    /// The map with its input or output scaled.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, input]`
    /// - output: `[batch, tokens, output]`
    pub fn around(
        &self,
        x: Tensor<3>,
        frozen: impl FnOnce(Tensor<3>) -> Tensor<3>,
        context: &Context<'_>,
    ) -> Tensor<3> {
        let decision = context.decide(&self.scale, None, &self.router, Some(&x));
        let scale = self.factors(&decision);
        match self.side {
            ScaledSide::Input => frozen(x * scale),
            ScaledSide::Output => frozen(x) * scale,
        }
    }

    /// The vector of the batch, of each example or of each token.
    ///
    /// # Shapes
    /// - output: `[batch or 1, tokens or 1, width]`
    fn factors(&self, decision: &Decision) -> Tensor<3> {
        let device = self.scale.experts[0].weight.val().device();
        let ones = |batch, tokens| Tensor::<3>::ones([batch, tokens, 1], &device);
        match decision {
            Decision::Experts { down, .. } => {
                let ones = match down {
                    Choice::One(_) => ones(1, 1),
                    Choice::PerExample(examples) => ones(examples.len(), 1),
                    Choice::PerToken(rows) => ones(rows.len(), rows.first().map_or(0, Vec::len)),
                };
                self.scale.forward(ones, down)
            }
            Decision::Mixed(mixed) => {
                let [batch, tokens, _] = mixed.weights.dims();
                self.scale.mixed(ones(batch, tokens), mixed.weights.clone())
            }
        }
    }

    /// The single scaling that `rule` makes of the bank.
    ///
    /// # Errors
    /// If the rule cannot merge it.
    pub fn merged(&self, rule: &dyn MergeRule, module: &str) -> Result<Self, MergeError> {
        Ok(Self {
            scale: self.scale.merged(rule, &Place::bank(module, "scale"))?,
            router: None,
            ..self.clone()
        })
    }
}

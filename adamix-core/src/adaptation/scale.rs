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
                // What is mixed is how far the vectors are from 1: weights need not add up to 1.
                let rest = 1.0 - mixed.weights.clone().sum_dim(2);
                self.scale.mixed(ones(batch, tokens), mixed.weights.clone()) + rest
            }
        }
    }

    /// The single scaling that `rule` makes of the bank. A rule sees how far the vectors are from 1, where they
    /// started: what prunes or thins drops changes, not the channel.
    ///
    /// # Errors
    /// If the rule cannot merge it.
    pub fn merged(&self, rule: &dyn MergeRule, module: &str) -> Result<Self, MergeError> {
        if self.scale.len() == 1 {
            return Ok(self.clone());
        }
        let changes = Bank {
            experts: (self.scale.experts.iter())
                .map(|vector| moved(vector, -1.0))
                .collect(),
        };
        let merged = changes.merged(rule, &Place::bank(module, "scale"))?;
        Ok(Self {
            scale: Bank::of(moved(&merged.experts[0], 1.0)),
            router: None,
            ..self.clone()
        })
    }
}

/// A vector with `by` added to each of its values.
fn moved(vector: &Linear, by: f32) -> Linear {
    let values = vector.weight_values().into_iter().map(|value| value + by);
    vector.with_values(vector.shape(), values.collect(), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merging::Magnitude;
    use crate::routing::Mix;

    /// A token whose weights add up to 0.4, as top-1 routing leaves them: 1 + 0.4 (3 - 1) where one vector is trained.
    #[test]
    fn what_is_mixed_is_the_change() {
        let device = Device::flex();
        let mut mixture = ScaleConfig::new().with_experts(2).init([2, 2], &device);
        let weights = Tensor::<3>::from_data([[[0.4, 0.0]]], &device);
        let decision = Decision::mixed(weights, Mix::Outputs);
        let values = |mixture: &Scale| {
            let factors = mixture.factors(&decision).into_data();
            factors.convert::<f32>().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(values(&mixture), [1.0, 1.0]);
        let first = &mut mixture.scale.experts[0];
        *first = first.with_values([1, 2], vec![3.0, 1.0], None);
        let found = values(&mixture);
        assert!(
            (found[0] - 1.8).abs() < 1e-6 && (found[1] - 1.0).abs() < 1e-6,
            "{found:?}"
        );
    }

    /// Changes 0, 0, 2 and 0.25, 0, 0.5, of which a third stays: 0, 0, 2 and 0, 0, 0.5, with the mean 0, 0, 1.25.
    #[test]
    fn what_is_pruned_is_the_change() {
        let device = Device::flex();
        let mut mixture = ScaleConfig::new().with_experts(2).init([3, 3], &device);
        for (vector, values) in
            (mixture.scale.experts.iter_mut()).zip([[1.0, 1.0, 3.0], [1.25, 1.0, 1.5]])
        {
            *vector = vector.with_values([1, 3], values.to_vec(), None);
        }
        let rule = Magnitude { density: 0.34 };
        let merged = mixture.merged(&rule, "adamix").unwrap();
        assert_eq!(merged.scale.experts[0].weight_values(), [1.0, 1.0, 2.25]);
    }
}

//! What a policy decided for one mixture in one pass.

use burn::tensor::Tensor;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde::{Deserialize, Serialize as DeriveSerialize};

use super::Choice;

/// What a policy decided for one mixture in one pass.
#[derive(Clone, Debug, DeriveSerialize, Deserialize)]
#[serde(untagged)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one a site, for one pass"
)]
pub enum Decision {
    /// Experts by number, one choice a side.
    Experts {
        /// Among the down-projections.
        down: Choice,
        /// Among the up-projections.
        up: Choice,
    },
    /// All experts by weight.
    #[serde(skip_deserializing)]
    Mixed(Mixed),
}

/// What weights mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, DeriveSerialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mix {
    /// The projections of each side, before they run (SMEAR, Polytropon): the cost of one expert and of the
    /// mixing.
    Parameters,
    /// The outputs of whole experts (mixtures of experts): the cost of all of them.
    Outputs,
}

/// Experts by weight.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// `[batch or 1, tokens or 1, experts]`; a shared side takes part in every expert.
    pub weights: Tensor<3>,
    /// What the weights mix.
    pub mix: Mix,
    /// Added to the loss of a training step, its factor included: `[1]`.
    pub auxiliary: Option<Tensor<1>>,
    /// 1 for a token, 0 for padding, `[batch, tokens]`, for what counts tokens; `None` without padding.
    pub mask: Option<Tensor<2>>,
}

impl Decision {
    /// The decision that runs a merged or single module.
    pub const SINGLE: Self = Self::Experts {
        down: Choice::One(0),
        up: Choice::One(0),
    };

    /// One expert a side for the whole batch.
    pub const fn one(down: usize, up: usize) -> Self {
        Self::Experts {
            down: Choice::One(down),
            up: Choice::One(up),
        }
    }

    /// The same expert on both sides (a shared side has only expert 0).
    pub fn diagonal(expert: usize, down: usize, up: usize) -> Self {
        Self::one(expert.min(down - 1), expert.min(up - 1))
    }

    /// Experts by weight: `[batch or 1, tokens or 1, experts]`.
    pub fn mixed(weights: Tensor<3>, mix: Mix) -> Self {
        Self::Mixed(Mixed {
            weights,
            mix,
            auxiliary: None,
            mask: None,
        })
    }

    /// The same with a term for the loss, of shape `[1]`, if it mixes at all.
    pub fn with_auxiliary(mut self, term: Option<Tensor<1>>) -> Self {
        if let Self::Mixed(mixed) = &mut self {
            mixed.auxiliary = term;
        }
        self
    }
}

/// In a trace a mixed decision is what it mixes and its mean weights; parameters and inputs give the rest.
impl Serialize for Mixed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Mixed", 2)?;
        out.serialize_field("mix", &self.mix)?;
        out.serialize_field("weights", &self.mean_weights())?;
        out.end()
    }
}

impl Mixed {
    /// The mean weight of each expert over examples and tokens, padding left out.
    pub fn mean_weights(&self) -> Vec<f32> {
        let [batch, tokens, experts] = self.weights.dims();
        let rows = self.weights.clone().without_autodiff();
        let rows = rows.reshape([batch * tokens, experts]);
        let mask = self.mask.as_ref().filter(|m| m.dims() == [batch, tokens]);
        let mean = match mask {
            None => rows.mean_dim(0),
            Some(mask) => {
                let counted = mask.clone().reshape([batch * tokens, 1]);
                (rows * counted.clone()).sum_dim(0) / counted.sum_dim(0)
            }
        };
        mean.into_data()
            .convert::<f32>()
            .try_into_vec()
            .expect("f32 values")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn padding_has_no_weight() {
        let device = Device::flex();
        let weights = [[[0.75f32, 0.25], [0.25, 0.75]], [[0.5, 0.5], [0.0, 1.0]]];
        let Decision::Mixed(mut mixed) =
            Decision::mixed(Tensor::from_data(weights, &device), Mix::Outputs)
        else {
            unreachable!("it mixes");
        };
        assert_eq!(mixed.mean_weights(), [0.375, 0.625]);
        mixed.mask = Some(Tensor::from_data([[1.0f32, 1.0], [1.0, 0.0]], &device));
        assert_eq!(mixed.mean_weights(), [0.5, 0.5]);
    }
}

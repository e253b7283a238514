//! Which expert of a bank runs.

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Which expert of a bank runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Choice {
    /// One for the whole batch: the others cost neither time nor memory.
    One(usize),
    /// One for each example, in batch order.
    PerExample(Vec<usize>),
    /// One for each token of each example, padding included.
    PerToken(Vec<Vec<usize>>),
}

impl Choice {
    /// The choice as weights, 1 for the chosen and 0 for all else.
    ///
    /// # Shapes
    /// - output: `[batch or 1, tokens or 1, experts]`
    pub fn one_hot(&self, experts: usize, device: &Device) -> Tensor<3> {
        let (shape, chosen): ([usize; 2], Vec<usize>) = match self {
            Self::One(expert) => ([1, 1], vec![*expert]),
            Self::PerExample(chosen) => ([chosen.len(), 1], chosen.clone()),
            Self::PerToken(chosen) => {
                let tokens = chosen.first().map_or(0, Vec::len);
                ([chosen.len(), tokens], chosen.concat())
            }
        };
        let mut values = vec![0f32; chosen.len() * experts];
        for (i, expert) in chosen.into_iter().enumerate() {
            values[i * experts + expert] = 1.0;
        }
        Tensor::from_data(
            TensorData::new(values, [shape[0], shape[1], experts]),
            device,
        )
    }

    /// The indices of a choice per example.
    ///
    /// # Shapes
    /// - output: `[batch]`
    pub(crate) fn indices(experts: &[usize], device: &Device) -> Tensor<1, Int> {
        let indices: Vec<i32> = experts.iter().map(|e| *e as i32).collect();
        Tensor::from_data(indices.as_slice(), device)
    }
}

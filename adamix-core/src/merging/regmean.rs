//! RegMean: the projection that best reproduces every expert on that expert's own inputs (Jin et al. 2023).

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

use super::{MergeError, MergeRule, Place, weighted_sum};
use crate::linear::Linear;

/// `X^T X` of the inputs that a projection saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram {
    /// Width of the input.
    pub width: usize,
    /// Row-major `[width, width]`.
    pub values: Vec<f64>,
}

impl Gram {
    /// Without inputs yet.
    pub fn zeros(width: usize) -> Self {
        Self {
            width,
            values: vec![0.0; width * width],
        }
    }

    /// Adds row-major `X^T X` of further inputs.
    ///
    /// # Panics
    /// If the width differs.
    pub fn add(&mut self, values: &[f32]) {
        assert_eq!(values.len(), self.values.len(), "one width for all inputs");
        for (sum, value) in self.values.iter_mut().zip(values) {
            *sum += f64::from(*value);
        }
    }

    /// With all but the diagonal multiplied by `shrink`.
    fn shrunk(&self, shrink: f64) -> DMatrix<f64> {
        DMatrix::from_fn(self.width, self.width, |i, j| {
            let value = self.values[i * self.width + j];
            if i == j { value } else { shrink * value }
        })
    }
}

/// Minimises the summed squared distance `|X_i W - X_i W_i|²` over the experts: `(Σ G_i)^-1 Σ G_i W_i`, where
/// `G_i` is the [`Gram`] of the inputs of expert `i`, off-diagonals shrunk. Biases are averaged.
///
/// Permuting experts and their inputs together changes nothing; the identity for one expert; the mean where
/// all experts saw the same inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct RegMean {
    /// By side and expert: `<module>.down.0`.
    pub inputs: BTreeMap<String, Gram>,
    /// The factor of the off-diagonals; 0.9 in the paper for most models.
    pub shrink: f64,
}

impl MergeRule for RegMean {
    fn name(&self) -> &str {
        "regmean"
    }

    /// Of biases, and of anything that is no matrix: the mean.
    fn combine(&self, experts: &[&[f32]], _place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        Ok(weighted_sum(experts, |_| 1.0 / experts.len() as f64))
    }

    fn merge(&self, experts: &[Linear], place: &Place<'_>) -> Result<Linear, MergeError> {
        let [input, output] = experts[0].shape();
        let mut left = DMatrix::<f64>::zeros(input, input);
        let mut right = DMatrix::<f64>::zeros(input, output);
        for (i, expert) in experts.iter().enumerate() {
            let name = format!("{place}.{i}");
            let gram = self.inputs.get(&name).filter(|g| g.width == input);
            let gram = gram.ok_or_else(|| MergeError::NotGathered {
                rule: self.name().to_owned(),
                name,
            })?;
            let gram = gram.shrunk(self.shrink);
            let values = expert.weight_values().into_iter().map(f64::from);
            right += &gram * DMatrix::from_row_iterator(input, output, values);
            left += gram;
        }
        // A breath on the diagonal, relative to it: directions that no input has keep the mean of nothing.
        let ridge = 1e-9 * left.diagonal().mean().max(f64::MIN_POSITIVE);
        left += DMatrix::from_diagonal(&DVector::from_element(input, ridge));
        let solved = left.cholesky().map(|c| c.solve(&right));
        let solved = solved.ok_or_else(|| MergeError::Singular(place.to_string()))?;
        let weight = solved.transpose().iter().map(|v| *v as f32).collect();
        let biases: Option<Vec<Vec<f32>>> = experts.iter().map(Linear::bias_values).collect();
        let bias = biases.map(|biases| {
            let biases: Vec<&[f32]> = biases.iter().map(Vec::as_slice).collect();
            self.combine(&biases, &place.of("bias"))
        });
        Ok(experts[0].with_values([input, output], weight, bias.transpose()?))
    }
}

//! All experts side by side: exact, and M times as wide.

use serde::Deserialize;

use super::{MergeError, MergeRule, Pair, Place};
use crate::linear::Linear;

/// One module whose bottleneck (or rank) is that of all experts together: its output is the mean of the
/// experts' outputs, exactly, whatever acts on the bottleneck value by value (`cat` of Python's `peft` with
/// weights `1 / M`).
///
/// What it computes is invariant to the experts' order, and the identity for one expert. The yardstick for
/// rules that keep the size of one expert.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Concatenation {}

impl MergeRule for Concatenation {
    fn name(&self) -> &str {
        "concatenation"
    }

    fn combine(&self, _experts: &[&[f32]], place: &Place<'_>) -> Result<Vec<f32>, MergeError> {
        Err(MergeError::BothSides {
            rule: self.name().to_owned(),
            module: place.module.to_owned(),
        })
    }

    fn merge_pair(&self, pair: &Pair<'_>) -> Result<[Linear; 2], MergeError> {
        let count = pair.experts();
        let [input, width] = pair.down[0].shape();
        let output = pair.up[0].shape()[1];
        // Down: the columns of all experts next to each other; up: their rows below each other.
        let mut down = Vec::with_capacity(input * width * count);
        let downs: Vec<Vec<f32>> = (0..count)
            .map(|i| pair.expert(i).0.weight_values())
            .collect();
        for row in 0..input {
            for values in &downs {
                down.extend_from_slice(&values[row * width..(row + 1) * width]);
            }
        }
        let scale = 1.0 / count as f32;
        let scaled = |values: Vec<f32>| values.into_iter().map(move |v| v * scale);
        let up = (0..count).flat_map(|i| scaled(pair.expert(i).1.weight_values()));
        let down_bias: Option<Vec<Vec<f32>>> =
            (0..count).map(|i| pair.expert(i).0.bias_values()).collect();
        let up_biases: Option<Vec<Vec<f32>>> = pair.up.iter().map(Linear::bias_values).collect();
        let up_bias = up_biases.map(|biases| {
            let biases: Vec<&[f32]> = biases.iter().map(Vec::as_slice).collect();
            super::weighted_sum(&biases, |_| 1.0 / biases.len() as f64)
        });
        let shape = [input, width * count];
        Ok([
            pair.down[0].with_values(shape, down, down_bias.map(|b| b.concat())),
            pair.up[0].with_values([width * count, output], up.collect(), up_bias),
        ])
    }
}

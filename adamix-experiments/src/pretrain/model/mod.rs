//! The models that can be pretrained: one file an objective.

mod causal;
mod masked;

use adamix_core::parameter::{HostTensor, Named};
use adamix_keys::Key;
use adamix_models::hub::{HubError, Weights};
use anyhow::Result;
use burn::tensor::{Device, Tensor};
use serde_json::Value;
use std::path::Path;

use super::batch::Batch;
use super::config::{ModelConfig, Trained};
use super::vocabulary::Vocabulary;

/// A model with the head that its objective trains.
pub(super) trait LanguageModel: Named {
    /// The dimensions that `config.json` holds.
    type Dimensions;

    /// The dimensions of a fresh model for rows of `tokens`.
    fn dimensions(model: &ModelConfig, vocabulary: &Vocabulary, tokens: usize) -> Self::Dimensions;

    /// The dimensions of a model folder.
    fn read_dimensions(folder: &Path) -> Result<Self::Dimensions, HubError>;

    /// Token ids, and the longest input.
    fn limits(dimensions: &Self::Dimensions) -> [usize; 2];

    /// `config.json`, with the ids that Python wants to find there.
    fn config_file(dimensions: &Self::Dimensions, vocabulary: &Vocabulary) -> Result<Value>;

    /// A fresh model; `log_frequencies` has one value a token id.
    fn fresh(
        dimensions: &Self::Dimensions,
        key: Key,
        log_frequencies: Vec<f32>,
        device: &Device,
    ) -> Result<Self>;

    /// A base model; what its files lack is made as in a fresh one.
    fn on_base(
        dimensions: &Self::Dimensions,
        weights: &Weights,
        trained: Trained,
        key: Key,
        log_frequencies: Vec<f32>,
        device: &Device,
    ) -> Result<Self>;

    /// The finished model, frozen.
    fn load(
        dimensions: &Self::Dimensions,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, HubError>;

    /// Vocabulary logits at the places of a batch with rows of `tokens`. There is no dropout: so small a
    /// model underfits what it reads.
    ///
    /// # Shapes
    /// - output: `[places, vocabulary]`
    fn logits(
        &self,
        dimensions: &Self::Dimensions,
        batch: &Batch,
        tokens: usize,
        device: &Device,
    ) -> Tensor<2>;
}

/// The longest wave, in positions.
const LONGEST: f64 = 10_000.0;

/// Positions as sines and cosines (Vaswani et al. 2017), with the root mean square that random values would
/// have. From noise, attention has to learn one by one that 17 stands beside 18; in waves, a step to the next
/// position is one linear map for all of them. From there on they are trained as everything else.
fn waves(rows: usize, width: usize, deviation: f64) -> HostTensor {
    let amplitude = deviation * std::f64::consts::SQRT_2;
    let wave = |position: usize, unit: usize| {
        let rate = LONGEST.powf(-((unit / 2 * 2) as f64) / width as f64);
        let phase = if unit.is_multiple_of(2) {
            0.0
        } else {
            std::f64::consts::FRAC_PI_2
        };
        (amplitude * (position as f64 * rate + phase).sin()) as f32
    };
    let values = (0..rows)
        .flat_map(|position| (0..width).map(move |unit| (position, unit)))
        .map(|(position, unit)| wave(position, unit))
        .collect();
    HostTensor {
        shape: vec![rows, width],
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inner product of two positions depends on their distance alone, and falls with it at first.
    #[test]
    fn neighbours_are_alike_wherever_they_stand() {
        let table = waves(18, 16, 0.05);
        let row = |i: usize| &table.values[i * 16..(i + 1) * 16];
        let product =
            |i: usize, j: usize| -> f32 { row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum() };
        for i in 0..16 {
            assert!(
                (product(i, i) - 16.0 * 0.05 * 0.05).abs() < 1e-6,
                "{}",
                product(i, i)
            );
            assert!((product(i, i + 1) - product(0, 1)).abs() < 1e-6);
            assert!(product(i, i + 1) < product(i, i));
        }
    }
}

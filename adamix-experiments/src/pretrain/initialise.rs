//! What a short training is given beforehand: token frequencies, and the order of positions.
//!
//! The output bias starts at the log-frequencies of the corpus, where it would come to in some thousand steps.
//! Positions start as sines and cosines (Vaswani et al. 2017): from noise, attention has to learn one by one
//! that 17 stands beside 18; in waves, a step to the next position is one linear map for all of them.
//! From there on both are trained as everything else.

use std::collections::BTreeMap;

use adamix_core::parameter::{self, HostTensor, ParameterError};
use adamix_models::encoder::{EncoderConfig, MaskedLm};

const BIAS: &str = "lm_head.bias";
const POSITIONS: &str = "roberta.embeddings.position_embeddings.weight";

/// The longest wave, in positions.
const LONGEST: f64 = 10_000.0;

/// A fresh model with its output bias at `log_frequencies` (one a token id) and waves as positions.
pub(super) fn informed(
    model: MaskedLm,
    encoder: &EncoderConfig,
    log_frequencies: Vec<f32>,
) -> Result<MaskedLm, ParameterError> {
    let bias = HostTensor {
        shape: vec![encoder.vocab_size],
        values: log_frequencies,
    };
    let values = [
        (BIAS.to_owned(), bias),
        (POSITIONS.to_owned(), positions(encoder)),
    ];
    parameter::assign(model, BTreeMap::from(values))
}

/// Waves, with the root mean square that random values would have.
fn positions(encoder: &EncoderConfig) -> HostTensor {
    let (rows, width) = (encoder.max_position_embeddings, encoder.hidden_size);
    let amplitude = encoder.initializer_range * std::f64::consts::SQRT_2;
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
    use std::path::Path;

    use super::*;
    use crate::pretrain::tests::tiny;

    /// The inner product of two positions depends on their distance alone, and falls with it at first.
    #[test]
    fn neighbours_are_alike_wherever_they_stand() {
        let encoder = tiny(Path::new("none")).encoder(300);
        let table = positions(&encoder);
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

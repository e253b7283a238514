//! A batch of token sequences on the device.

use burn::tensor::{Device, Int, Tensor, TensorData};
use thiserror::Error;

use super::Gpt2Config;

/// What can be wrong with token sequences.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InputError {
    /// A sequence without a token has nothing to predict from.
    #[error("sequence {row} is empty; give at least one token")]
    Empty {
        /// Its place in the batch.
        row: usize,
    },
    /// A token is not in the vocabulary.
    #[error(
        "sequence {row}: token id {id} is not below the vocabulary's size {vocabulary}; the tokenizer is another model's"
    )]
    Token {
        /// The sequence's place in the batch.
        row: usize,
        /// The id at fault.
        id: u32,
        /// The number of ids.
        vocabulary: usize,
    },
    /// More tokens than the model has positions.
    #[error(
        "{tokens} tokens (new ones included) exceed the model's {positions} positions; shorten the input"
    )]
    Length {
        /// Tokens in all.
        tokens: usize,
        /// Rows of the position table.
        positions: usize,
    },
}

/// Token ids with their positions, and a mask where a row is padded on its left.
#[derive(Clone, Debug)]
pub struct DecoderInput {
    /// `[batch, tokens]`.
    pub ids: Tensor<2, Int>,
    /// `[batch, tokens]`.
    pub positions: Tensor<2, Int>,
    /// `[batch, tokens]`, 1 for a token and 0 for padding; `None` where nothing to the left of a token is
    /// padding (what is to its right cannot be seen).
    pub mask: Option<Tensor<2>>,
    /// `[batch, tokens]`, 1 for a token and 0 for padding on any side, for what counts tokens; `None` without
    /// padding.
    pub counted: Option<Tensor<2>>,
}

impl DecoderInput {
    /// From row-major ids of `batch * tokens`; rows may be padded on their right by any id.
    ///
    /// # Errors
    /// If an id is not in the vocabulary or the rows are longer than the position table.
    ///
    /// # Panics
    /// If the number of ids is no multiple of `tokens`.
    pub fn new(
        config: &Gpt2Config,
        ids: &[u32],
        tokens: usize,
        device: &Device,
    ) -> Result<Self, InputError> {
        assert!(
            tokens > 0 && ids.len().is_multiple_of(tokens),
            "{} ids are no rows of {tokens}",
            ids.len()
        );
        for (row, ids) in ids.chunks(tokens).enumerate() {
            check(config, row, ids, 0)?;
        }
        let positions = (0..ids.len()).map(|i| (i % tokens) as i32).collect();
        Ok(Self {
            ids: integers(ids.iter().map(|id| *id as i32).collect(), tokens, device),
            positions: integers(positions, tokens, device),
            mask: None,
            counted: None,
        })
    }

    /// The same where each row has this many tokens and the rest is padding on its right.
    pub fn with_lengths(mut self, lengths: &[usize]) -> Self {
        let [rows, tokens] = self.ids.dims();
        if lengths.iter().any(|length| *length < tokens) {
            let is_token = |i| f32::from(u8::from(i % tokens < lengths[i / tokens]));
            let counted: Vec<f32> = (0..rows * tokens).map(is_token).collect();
            let counted = TensorData::new(counted, [rows, tokens]);
            self.counted = Some(Tensor::from_data(counted, &self.ids.device()));
        }
        self
    }

    /// From sequences of any lengths, padded on their left to the longest, so that the last column holds
    /// the last token of each.
    ///
    /// # Errors
    /// If a sequence is empty, has an id that is not in the vocabulary, or with `reserve` tokens to come
    /// would be longer than the position table.
    pub fn left_padded(
        config: &Gpt2Config,
        sequences: &[&[u32]],
        reserve: usize,
        device: &Device,
    ) -> Result<Self, InputError> {
        let tokens = sequences.iter().map(|s| s.len()).max().unwrap_or(0);
        let (mut ids, mut positions, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        for (row, sequence) in sequences.iter().enumerate() {
            if sequence.is_empty() {
                return Err(InputError::Empty { row });
            }
            check(config, row, sequence, reserve)?;
            let padding = tokens - sequence.len();
            ids.resize(ids.len() + padding, 0);
            ids.extend(sequence.iter().map(|id| *id as i32));
            positions.extend((0..tokens).map(|t| t.saturating_sub(padding) as i32));
            mask.extend((0..tokens).map(|t| f32::from(u8::from(t >= padding))));
        }
        let padded = mask.contains(&0.0);
        let shape = [sequences.len(), tokens];
        let mask = padded.then(|| Tensor::from_data(TensorData::new(mask, shape), device));
        Ok(Self {
            ids: integers(ids, tokens, device),
            positions: integers(positions, tokens, device),
            counted: mask.clone(),
            mask,
        })
    }

    /// One further token a row, at the given positions.
    pub(super) fn next(ids: &[u32], positions: &[usize], device: &Device) -> Self {
        let integers = |values| integers(values, 1, device);
        Self {
            ids: integers(ids.iter().map(|id| *id as i32).collect()),
            positions: integers(positions.iter().map(|p| *p as i32).collect()),
            mask: None,
            counted: None,
        }
    }
}

fn integers(values: Vec<i32>, tokens: usize, device: &Device) -> Tensor<2, Int> {
    let shape = [values.len() / tokens.max(1), tokens];
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn check(config: &Gpt2Config, row: usize, ids: &[u32], reserve: usize) -> Result<(), InputError> {
    let tokens = ids.len() + reserve;
    if tokens > config.n_positions {
        return Err(InputError::Length {
            tokens,
            positions: config.n_positions,
        });
    }
    match ids.iter().find(|id| **id as usize >= config.vocab_size) {
        None => Ok(()),
        Some(id) => Err(InputError::Token {
            row,
            id: *id,
            vocabulary: config.vocab_size,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_sequences_are_refused() {
        let config = Gpt2Config::new(10, 4, 8, 1, 2);
        let device = Device::flex();
        let error = |sequence: &[u32], reserve| {
            DecoderInput::left_padded(&config, &[&[1], sequence], reserve, &device).unwrap_err()
        };
        assert_eq!(error(&[], 0), InputError::Empty { row: 1 });
        assert!(matches!(
            error(&[3, 10], 0),
            InputError::Token { row: 1, id: 10, .. }
        ));
        assert!(matches!(
            error(&[3, 3], 3),
            InputError::Length { tokens: 5, .. }
        ));
        assert!(DecoderInput::new(&config, &[1; 10], 5, &device).is_err());
    }
}

//! Decoding: greedy, sampling, and beam search in two named forms.
//!
//! Every search takes a batch of prompts of any lengths and gives the tokens that follow each. It runs the
//! model as it serves: a plain or merged one, outside autodiff. Rows that are finished leave the batch.

mod beam_huggingface;
mod beam_released;
mod candidates;
mod distinct;
mod greedy;
mod ngram;
mod sample;
mod served;
mod session;

pub use beam_huggingface::{EarlyStopping, HuggingFaceBeam};
pub use beam_released::ReleasedBeam;
pub use distinct::once_each;
pub use greedy::Greedy;
pub use sample::Sample;
pub use served::Served;

use thiserror::Error;

use super::InputError;

/// What a search found to follow a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The new tokens; the last is an end token, or the limit was reached.
    pub tokens: Vec<u32>,
    /// What the search ranked it by: the sum of log-probabilities over a power of the length in a beam
    /// search, the plain sum in the others.
    pub score: f32,
}

/// What can be wrong with a search.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum GenerateError {
    /// A prompt does not fit the model.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The model gives something that is no number.
    #[error(
        "sequence {sequence}: after {tokens} new tokens the model's output is not finite; its training or its merging went wrong"
    )]
    NotFinite {
        /// The sequence's place in the batch.
        sequence: usize,
        /// How many tokens follow it so far.
        tokens: usize,
    },
    /// A setting is out of its range.
    #[error("`{key}` is {found}, expected {expected}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
}

/// An error unless the setting holds.
fn require(
    holds: bool,
    key: &'static str,
    found: impl ToString,
    expected: &'static str,
) -> Result<(), GenerateError> {
    if holds {
        return Ok(());
    }
    Err(GenerateError::Setting {
        key,
        found: found.to_string(),
        expected,
    })
}

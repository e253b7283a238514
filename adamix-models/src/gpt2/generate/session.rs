//! The model's side of a search: a batch of rows, each with its cached past.

use burn::tensor::{Device, Tensor};

use crate::gpt2::{Cache, DecoderInput, Gpt2, InputError};
use crate::pass::Pass;

/// Rows that are being continued.
pub(super) struct Session<'a> {
    model: &'a Gpt2,
    device: Device,
    cache: Cache,
    /// The position of each row's next token.
    positions: Vec<usize>,
}

/// The logits of every row's next token, on the host.
pub(super) struct Logits {
    values: Vec<f32>,
    vocabulary: usize,
}

impl Logits {
    fn new(logits: Tensor<3>) -> Self {
        let vocabulary = logits.dims()[2];
        let data = logits.into_data().convert::<f32>();
        Self {
            values: data.try_into_vec().expect("f32 values"),
            vocabulary,
        }
    }

    /// The logits of one row.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.vocabulary..(row + 1) * self.vocabulary]
    }

    /// The same, to be changed.
    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.vocabulary..(row + 1) * self.vocabulary]
    }
}

impl<'a> Session<'a> {
    /// Reads the prompts, one row each, with room for `new_tokens` more.
    pub(super) fn start(
        model: &'a Gpt2,
        prompts: &[&[u32]],
        new_tokens: usize,
    ) -> Result<(Self, Logits), InputError> {
        let device = model.transformer.wte.weight.val().device();
        // The last new token is never read.
        let reserve = new_tokens.saturating_sub(1);
        let input = DecoderInput::left_padded(model.config(), prompts, reserve, &device)?;
        let mut session = Self {
            model,
            device,
            cache: Cache::new(),
            positions: prompts.iter().map(|prompt| prompt.len()).collect(),
        };
        let logits = session.run(&input);
        Ok((session, logits))
    }

    /// Makes row `i` the continuation of the old row `parents[i]` by `tokens[i]`.
    pub(super) fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Logits {
        self.cache.select(parents);
        let positions: Vec<usize> = parents.iter().map(|row| self.positions[*row]).collect();
        let input = DecoderInput::next(tokens, &positions, &self.device);
        self.positions = positions.into_iter().map(|position| position + 1).collect();
        self.run(&input)
    }

    fn run(&mut self, input: &DecoderInput) -> Logits {
        let decoder = &self.model.transformer;
        let hidden = decoder.forward(input, Some(&mut self.cache), &Pass::EVALUATION);
        let last = hidden.dims()[1] - 1;
        Logits::new(self.model.logits(hidden.narrow(1, last, 1)))
    }
}

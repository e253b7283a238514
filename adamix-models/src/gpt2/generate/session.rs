//! The model's side of a search: a batch of rows, each with its cached past.

use adamix_keys::Key;
use burn::tensor::{Device, Tensor};

use super::Served;
use crate::gpt2::{Cache, DecoderInput, InputError};
use crate::pass::Pass;

/// Rows that are being continued.
pub(super) struct Session<'a> {
    served: &'a Served<'a>,
    device: Device,
    /// What each path has read.
    caches: Vec<Cache>,
    /// The position of each row's next token.
    positions: Vec<usize>,
    /// What each row's prompt is called.
    names: Vec<u32>,
}

/// A number that stands for a prompt, so that what is drawn for it depends on nothing else.
pub(super) fn name_of(prompt: &[u32]) -> u32 {
    let key = Key::new(0).purpose("prompt");
    let key = prompt.iter().fold(key, |key, id| key.fold(u64::from(*id)));
    key.word32()
}

/// The logits of every row's next token, on the host.
pub(super) struct Logits {
    values: Vec<f32>,
    vocabulary: usize,
}

impl Logits {
    /// # Shapes
    /// - `logits`: `[rows, vocabulary]`
    fn new(logits: Tensor<2>) -> Self {
        let vocabulary = logits.dims()[1];
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
        served: &'a Served<'a>,
        prompts: &[&[u32]],
        new_tokens: usize,
    ) -> Result<(Self, Logits), InputError> {
        let model = served.model;
        let device = model.transformer.wte.weight.val().device();
        // The last new token is never read.
        let reserve = new_tokens.saturating_sub(1);
        let input = DecoderInput::left_padded(&model.for_texts(), prompts, reserve, &device)?;
        let mut session = Self {
            served,
            device,
            caches: vec![Cache::new(); served.paths.len()],
            positions: prompts.iter().map(|prompt| prompt.len()).collect(),
            names: prompts.iter().map(|prompt| name_of(prompt)).collect(),
        };
        let tokens = input.ids.dims()[1] as i64;
        let starts = prompts.iter().map(|prompt| prompt.len() as i64 - tokens);
        let logits = session.run(&input, &starts.collect::<Vec<_>>());
        Ok((session, logits))
    }

    /// Makes row `i` the continuation of the old row `parents[i]` by `tokens[i]`.
    pub(super) fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Logits {
        for cache in &mut self.caches {
            cache.select(parents);
        }
        self.names = parents.iter().map(|row| self.names[*row]).collect();
        let positions: Vec<usize> = parents.iter().map(|row| self.positions[*row]).collect();
        let input = DecoderInput::next(tokens, &positions, &self.device);
        let starts: Vec<i64> = positions.iter().map(|position| *position as i64).collect();
        self.positions = positions.into_iter().map(|position| position + 1).collect();
        self.run(&input, &starts)
    }

    /// Reads tokens from these positions on, one a row.
    fn run(&mut self, input: &DecoderInput, starts: &[i64]) -> Logits {
        let model = self.served.model;
        let paths = self.served.paths.iter().zip(&mut self.caches);
        let logits = paths.map(|(path, cache)| {
            let routed = path.pass(&self.names).starting_at(starts);
            let pass = Pass::routed(&routed);
            let hidden = model.transformer.forward(input, Some(cache), &pass);
            let last = hidden.dims()[1] - 1;
            model.logits(hidden.narrow(1, last, 1)).squeeze_dim::<2>(1)
        });
        Logits::new(self.served.inference.combined(logits.collect()))
    }
}

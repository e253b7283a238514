//! The model's side of a search: a batch of rows, each with its cached past.

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
        served: &'a Served<'a>,
        prompts: &[&[u32]],
        new_tokens: usize,
    ) -> Result<(Self, Logits), InputError> {
        let model = served.model;
        let device = model.transformer.wte.weight.val().device();
        // The last new token is never read.
        let reserve = new_tokens.saturating_sub(1);
        let input = DecoderInput::left_padded(model.config(), prompts, reserve, &device)?;
        let mut session = Self {
            served,
            device,
            caches: vec![Cache::new(); served.paths.len()],
            positions: prompts.iter().map(|prompt| prompt.len()).collect(),
        };
        let logits = session.run(&input);
        Ok((session, logits))
    }

    /// Makes row `i` the continuation of the old row `parents[i]` by `tokens[i]`.
    pub(super) fn step(&mut self, parents: &[usize], tokens: &[u32]) -> Logits {
        for cache in &mut self.caches {
            cache.select(parents);
        }
        let positions: Vec<usize> = parents.iter().map(|row| self.positions[*row]).collect();
        let input = DecoderInput::next(tokens, &positions, &self.device);
        self.positions = positions.into_iter().map(|position| position + 1).collect();
        self.run(&input)
    }

    fn run(&mut self, input: &DecoderInput) -> Logits {
        let model = self.served.model;
        let mut sum: Option<Tensor<3>> = None;
        for (routes, cache) in self.served.paths.iter().zip(&mut self.caches) {
            let pass = Pass::along(routes);
            let hidden = model.transformer.forward(input, Some(cache), &pass);
            let last = hidden.dims()[1] - 1;
            let logits = model.logits(hidden.narrow(1, last, 1));
            sum = Some(match sum {
                Some(sum) => sum + logits,
                None => logits,
            });
        }
        let sum = sum.expect("a served model has a path");
        Logits::new(match self.caches.len() {
            1 => sum,
            paths => sum / paths as f64,
        })
    }
}

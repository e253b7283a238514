//! Beam search of a decoder, from prompts of random tokens to the limit.

use adamix_keys::Key;
use adamix_models::gpt2::generate::{EarlyStopping, HuggingFaceBeam};
use adamix_models::gpt2::{Gpt2, Gpt2Config};
use adamix_models::hub::Source;
use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::Device;

use super::{Times, repeat};

/// What is timed.
#[derive(Clone, Debug)]
pub struct Generation {
    /// The decoder's shape; its weights are random.
    pub decoder: Gpt2Config,
    /// Prompts a batch.
    pub prompts: usize,
    /// Tokens a prompt.
    pub tokens: usize,
    /// Beams a prompt.
    pub beams: usize,
    /// Tokens that follow each prompt; no end token cuts them short.
    pub new_tokens: usize,
    /// Repetitions after the one that warms up.
    pub repeats: usize,
}

impl Generation {
    /// The shape of a published decoder, or of the one that the program carries.
    pub fn decoder(name: &str) -> Option<Gpt2Config> {
        match name {
            "gpt2-mini" => Some(Gpt2Config::new(8192, 512, 256, 4, 4)),
            other => Gpt2Config::named(other),
        }
    }

    /// Products and sums of the maps and of the head, two a weight and token; attention's own, which is small here, is
    /// left out.
    fn flops(&self) -> f64 {
        let c = &self.decoder;
        let width = c.n_embd as f64;
        let layers = c.n_layer as f64 * (4.0 * width * width + 2.0 * width * c.inner() as f64);
        let head = width * c.vocab_size as f64;
        // The first step reads the prompt once for all beams; the others one token a beam.
        let rows = (self.prompts * self.beams * (self.new_tokens - 1)) as f64;
        let read = (self.prompts * self.tokens) as f64;
        2.0 * ((read + rows) * layers + (self.prompts as f64 + rows) * head)
    }

    /// Times the search, as `transformers` defines it, on a device.
    ///
    /// # Errors
    /// If the texts are longer than the decoder's positions.
    pub fn run(&self, device: &Device) -> Result<Times> {
        let longest = self.tokens + self.new_tokens;
        let positions = self.decoder.n_positions;
        ensure!(
            longest <= positions,
            "--tokens and --new-tokens make {longest} together; this decoder has {positions} positions"
        );
        let model = Gpt2::build(&self.decoder, &Source::random(Key::new(1), device))?.no_grad();
        let token = |prompt: usize, i: usize| {
            let key = Key::new(3).fold(prompt as u64).fold(i as u64);
            key.below(self.decoder.vocab_size) as u32
        };
        let prompts: Vec<Vec<u32>> = (0..self.prompts)
            .map(|prompt| (0..self.tokens).map(|i| token(prompt, i)).collect())
            .collect();
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let search = HuggingFaceBeam {
            beams: self.beams,
            length_penalty: 0.8,
            no_repeat_ngram: 4,
            new_tokens: self.new_tokens,
            end: Vec::new(),
            early_stopping: EarlyStopping::Heuristic,
        };
        let seconds = repeat(self.repeats, || {
            search.search(&model, &prompts)?;
            Ok(())
        })?;
        Ok(Times {
            seconds,
            flops: self.flops(),
            tokens: self.prompts * self.new_tokens,
            examples: self.prompts,
        })
    }
}

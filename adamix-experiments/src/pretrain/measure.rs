//! How well a masked language model guesses rows it was not trained on, and how well frequencies alone do.

use adamix_core::objective::Targets;
use adamix_keys::Key;
use adamix_models::encoder::{EncoderConfig, EncoderInput, MaskedLm};
use adamix_models::pass::Pass;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use super::config::Masking;
use super::corpus::Rows;
use super::masking::Masked;
use super::record::HeldOut;
use super::tokenizer::SPECIAL;

/// Rows a batch: bounds the memory of the logits.
const BATCH: usize = 16;

/// Vocabulary logits at the places that are asked for.
///
/// # Shapes
/// - output: `[places, vocabulary]`
pub(super) fn logits(
    model: &MaskedLm,
    encoder: &EncoderConfig,
    masked: &Masked,
    tokens: usize,
    device: &Device,
) -> Tensor<2> {
    let length = masked.ids.len();
    let input = EncoderInput::new(
        encoder,
        &masked.ids,
        &vec![0; length],
        &vec![1.0; length],
        tokens,
        device,
    );
    let places = Tensor::<1, Int>::from_data(masked.places.as_slice(), device);
    // No dropout: so small a model underfits what it reads.
    model.forward(&input, places, &Pass::EVALUATION)
}

/// Negative log-likelihoods by token frequency, one added to each count.
#[derive(Clone, Debug)]
pub(super) struct Unigram(Vec<f64>);

impl Unigram {
    /// Counts the ordinary tokens of rows.
    pub(super) fn new(rows: &Rows, indices: &[u32], vocab_size: usize) -> Self {
        let mut counts = vec![1f64; vocab_size];
        for id in indices.iter().flat_map(|row| rows.row(*row)) {
            if *id as usize >= SPECIAL.len() {
                counts[*id as usize] += 1.0;
            }
        }
        let all: f64 = counts.iter().sum();
        Self(counts.iter().map(|count| (all / count).ln()).collect())
    }

    /// The logarithms of the frequencies; special tokens count as one occurrence.
    pub(super) fn log_frequencies(&self) -> Vec<f32> {
        self.0.iter().map(|loss| -*loss as f32).collect()
    }

    /// The sum over labels.
    fn loss(&self, labels: &[u32]) -> f64 {
        labels.iter().map(|id| self.0[*id as usize]).sum()
    }
}

/// How every measurement hides tokens, whatever a training does: so that figures compare.
const BERT: Masking = Masking {
    rate: 0.15,
    masked: 0.8,
    random: 0.1,
};

/// Rows with what a measurement of them needs.
#[derive(Debug)]
pub(super) struct Measure<'a> {
    pub encoder: &'a EncoderConfig,
    pub unigram: &'a Unigram,
    /// Masks are drawn from it: the same in every measurement.
    pub key: Key,
    pub device: &'a Device,
}

impl Measure<'_> {
    /// Measures a model on rows.
    pub(super) fn run(
        &self,
        name: &str,
        model: &MaskedLm,
        rows: &Rows,
        indices: &[u32],
    ) -> HeldOut {
        let model = model.valid();
        let device = self.device.clone().without_autodiff();
        let (mut loss, mut unigram, mut places) = (0.0, 0.0, 0);
        for batch in indices.chunks(BATCH) {
            let mut masked = Masked::default();
            for row in batch {
                let key = self.key.fold(u64::from(*row));
                masked.push(rows.row(*row), self.encoder.vocab_size, &BERT, key);
            }
            if masked.places.is_empty() {
                continue;
            }
            let logits = logits(&model, self.encoder, &masked, rows.tokens(), &device);
            unigram += self.unigram.loss(&masked.labels);
            let count = masked.labels.len();
            let mean = Targets::Classes(masked.labels).loss(logits);
            loss += f64::from(mean.into_scalar::<f32>()) * count as f64;
            places += count;
        }
        let mean = |sum: f64| sum / places.max(1) as f64;
        HeldOut {
            name: name.to_owned(),
            rows: indices.len(),
            places,
            loss: mean(loss),
            perplexity: mean(loss).exp(),
            unigram_perplexity: mean(unigram).exp(),
        }
    }
}

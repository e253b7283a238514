//! How well a language model predicts rows it was not trained on, and how well frequencies alone do.

use adamix_core::objective::Targets;
use adamix_keys::Key;
use burn::tensor::Device;

use super::batch::Batch;
use super::config::Masking;
use super::corpus::Rows;
use super::model::LanguageModel;
use super::objective::Objective;
use super::record::HeldOut;
use super::vocabulary::Vocabulary;

/// Rows a batch: bounds the memory of the logits.
const BATCH: usize = 16;

/// Negative log-likelihoods by token frequency, one added to each count.
#[derive(Clone, Debug)]
pub(super) struct Unigram(Vec<f64>);

impl Unigram {
    /// Counts the tokens of rows that a model of `size` token ids is asked for.
    pub(super) fn new(rows: &Rows, indices: &[u32], vocabulary: &Vocabulary, size: usize) -> Self {
        let mut counts = vec![1f64; size];
        for id in indices.iter().flat_map(|row| rows.row(*row)) {
            counts[*id as usize] += 1.0;
        }
        for (id, count) in counts.iter_mut().enumerate() {
            if vocabulary.predicted.binary_search(&(id as u32)).is_err() {
                *count = 1.0;
            }
        }
        let all: f64 = counts.iter().sum();
        Self(counts.iter().map(|count| (all / count).ln()).collect())
    }

    /// The logarithms of the frequencies; tokens that are never asked for count as one occurrence.
    pub(super) fn log_frequencies(&self) -> Vec<f32> {
        self.0.iter().map(|loss| -*loss as f32).collect()
    }

    /// The sum over labels.
    fn loss(&self, labels: &[u32]) -> f64 {
        labels.iter().map(|id| self.0[*id as usize]).sum()
    }
}

/// Rows with what a measurement of them needs.
#[derive(Debug)]
pub(super) struct Measure<'a, M: LanguageModel> {
    pub dimensions: &'a M::Dimensions,
    pub objective: Objective,
    pub vocabulary: &'a Vocabulary,
    pub unigram: &'a Unigram,
    /// Masks are drawn from it: the same in every measurement.
    pub key: Key,
    pub device: &'a Device,
}

impl<M: LanguageModel> Measure<'_, M> {
    /// Measures a model on rows.
    pub(super) fn run(&self, name: &str, model: &M, rows: &Rows, indices: &[u32]) -> HeldOut {
        let model = model.valid();
        let device = self.device.clone().without_autodiff();
        let masking = (self.objective == Objective::Masked).then_some(Masking::BERT);
        let (mut loss, mut unigram, mut places) = (0.0, 0.0, 0);
        for indices in indices.chunks(BATCH) {
            let mut batch = Batch::default();
            for row in indices {
                let key = self.key.fold(u64::from(*row));
                (self.vocabulary).ask(&mut batch, rows.row(*row), masking, key);
            }
            if batch.places.is_empty() {
                continue;
            }
            let logits = model.logits(self.dimensions, &batch, rows.tokens(), &device);
            unigram += self.unigram.loss(&batch.labels);
            let count = batch.labels.len();
            let mean = Targets::Classes(batch.labels).loss(logits);
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

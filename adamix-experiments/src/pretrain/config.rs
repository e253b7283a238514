//! What a pretraining reads: a TOML file, complete and without defaults, so that it is its own record.

use std::path::Path;

use adamix_models::encoder::{EncoderConfig, ModelType};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::tokenizer::{ALPHABET, SPECIAL};

/// A pretraining of a RoBERTa encoder from nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// All draws come from it.
    pub seed: u64,
    /// What is read.
    pub corpus: CorpusConfig,
    /// The encoder's dimensions.
    pub model: ModelConfig,
    /// What is hidden from the model.
    pub masking: Masking,
    /// How it learns.
    pub training: TrainingConfig,
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusConfig {
    /// Text files, or folders of `.md` and `.txt` files. A path may start with an environment variable, as in
    /// `$ADAMIX_SHARED/data/corpus/books`.
    pub paths: Vec<String>,
    /// Rows of the corpus, evenly spread over it, that are measured and not trained on.
    pub held_out_rows: usize,
    /// A text of another kind to be measured on at the end; never trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_file: Option<String>,
}

/// The encoder's dimensions, by the keys of `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Token ids: 5 special tokens, 256 bytes, the rest learned.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads; divides the hidden size.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
}

/// What is hidden from the model, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masking {
    /// Share of the tokens that are to be predicted; 0.15 in BERT.
    pub rate: f64,
    /// Share of these that are replaced by `<mask>`; 0.8 in BERT.
    pub masked: f64,
    /// Share of these that are replaced by a random token; 0.1 in BERT. The rest stay as they are.
    pub random: f64,
}

/// How the model learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Rows a step.
    pub batch_size: usize,
    /// Tokens a row, `<s>` and `</s>` included; the longest input of the finished model.
    pub tokens: usize,
    /// The rate at the end of the warm-up; it falls to zero linearly from there.
    pub learning_rate: f64,
    /// Share of the steps over which the rate rises from zero.
    pub warmup_ratio: f64,
    /// Decoupled weight decay; none on biases and LayerNorms.
    pub weight_decay: f64,
    /// Decay of the second moment; 0.98 in RoBERTa.
    pub beta2: f64,
    /// Bound on the norm of all gradients together.
    pub max_grad_norm: f64,
    /// Steps between two checkpoints; each is a point of the curve.
    pub checkpoint_steps: usize,
}

impl PretrainConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// If it is absent, no TOML, has an unknown key, lacks one, or has a value that cannot be.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{}: cannot be read", path.display()))?;
        let config: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        config.check().with_context(|| path.display().to_string())?;
        Ok(config)
    }

    /// What the types alone do not say.
    pub fn check(&self) -> Result<()> {
        let Self {
            model,
            masking,
            training,
            ..
        } = self;
        ensure!(
            !self.corpus.paths.is_empty(),
            "`corpus.paths` is empty; name a file or folder of text"
        );
        for (key, value, least) in [
            ("corpus.held_out_rows", self.corpus.held_out_rows, 1),
            (
                "model.vocab_size",
                model.vocab_size,
                SPECIAL.len() + ALPHABET,
            ),
            ("model.hidden_size", model.hidden_size, 1),
            ("model.num_hidden_layers", model.num_hidden_layers, 1),
            ("model.num_attention_heads", model.num_attention_heads, 1),
            ("model.intermediate_size", model.intermediate_size, 1),
            ("training.steps", training.steps, 1),
            ("training.batch_size", training.batch_size, 1),
            ("training.tokens", training.tokens, 3),
            ("training.checkpoint_steps", training.checkpoint_steps, 1),
        ] {
            ensure!(
                (least..1 << 24).contains(&value),
                "`{key}` is {value}; it must be at least {least} and below 16777216"
            );
        }
        ensure!(
            model.hidden_size.is_multiple_of(model.num_attention_heads),
            "`model.num_attention_heads` is {}; it must divide `model.hidden_size`, {}",
            model.num_attention_heads,
            model.hidden_size
        );
        for (key, value) in [
            ("masking.rate", masking.rate),
            ("masking.masked", masking.masked),
            ("masking.random", masking.random),
            (
                "masking.masked + masking.random",
                masking.masked + masking.random,
            ),
            ("training.warmup_ratio", training.warmup_ratio),
        ] {
            ensure!(
                (0.0..=1.0).contains(&value),
                "`{key}` is {value}; it must be between 0 and 1"
            );
        }
        ensure!(
            (0.0..1.0).contains(&training.beta2),
            "`training.beta2` is {}; it must be at least 0 and below 1",
            training.beta2
        );
        for (key, value) in [
            ("model.initializer_range", model.initializer_range),
            ("training.learning_rate", training.learning_rate),
            ("training.max_grad_norm", training.max_grad_norm),
        ] {
            ensure!(
                value.is_finite() && value > 0.0,
                "`{key}` is {value}; it must be a number above 0"
            );
        }
        ensure!(
            training.weight_decay.is_finite() && training.weight_decay >= 0.0,
            "`training.weight_decay` is {}; it must be a number of at least 0",
            training.weight_decay
        );
        Ok(())
    }

    /// The encoder that is trained, for a vocabulary of this size.
    pub fn encoder(&self, vocab_size: usize) -> EncoderConfig {
        let pad = SPECIAL.iter().position(|t| *t == "<pad>").unwrap_or(1) as u32;
        EncoderConfig {
            model_type: ModelType::Roberta,
            vocab_size,
            hidden_size: self.model.hidden_size,
            num_hidden_layers: self.model.num_hidden_layers,
            num_attention_heads: self.model.num_attention_heads,
            intermediate_size: self.model.intermediate_size,
            hidden_act: "gelu".to_owned(),
            max_position_embeddings: self.training.tokens + pad as usize + 1,
            type_vocab_size: 1,
            layer_norm_eps: 1e-5,
            initializer_range: self.model.initializer_range,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            classifier_dropout: None,
            pad_token_id: Some(pad),
            // Said, not left out: `transformers` adds no positions at all if the key is null.
            position_embedding_type: Some("absolute".to_owned()),
            architectures: vec!["RobertaForMaskedLM".to_owned()],
            id2label: Default::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrain::tests::tiny;

    #[test]
    fn a_written_config_reads_back() {
        let config = tiny(Path::new("corpus"));
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<PretrainConfig>(&text).unwrap(), config);
    }

    #[test]
    fn faults_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pretrain.toml");
        let good = toml::to_string(&tiny(Path::new("corpus"))).unwrap();
        let fault = |from: &str, to: &str| {
            assert!(good.contains(from), "{from} in {good}");
            std::fs::write(&path, good.replace(from, to)).unwrap();
            format!("{:#}", PretrainConfig::read(&path).unwrap_err())
        };
        for (from, to, expected) in [
            ("steps = 6", "stepz = 6", "unknown field `stepz`"),
            (
                "hidden_size = 16",
                "hidden_size = 15",
                "model.num_attention_heads",
            ),
            ("rate = 0.15", "rate = 1.5", "masking.rate"),
            ("vocab_size = 300", "vocab_size = 200", "at least 261"),
            ("seed = 1", "", "missing field `seed`"),
        ] {
            let error = fault(from, to);
            assert!(
                error.contains(expected) && error.contains("pretrain.toml"),
                "{error}"
            );
        }
    }
}

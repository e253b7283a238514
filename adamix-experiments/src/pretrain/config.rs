//! What a pretraining reads: a TOML file, complete and without defaults, so that it is its own record.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::objective::Objective;
use super::tokenizer;
use crate::config::{read_table, typed};

/// A pretraining: of a small model from nothing, or of more of a model that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainConfig {
    /// All draws come from it.
    pub seed: u64,
    /// What the model learns to predict.
    pub objective: Objective,
    /// What is read.
    pub corpus: CorpusConfig,
    /// The dimensions of a fresh model; absent where there is a `base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelConfig>,
    /// The model that is trained further; absent where a `model` is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseConfig>,
    /// What is hidden from the model; of the masked objective alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
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

/// The dimensions of a fresh model, by RoBERTa's keys of `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Token ids: special tokens, 256 bytes, the rest learned.
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
    /// The longest input of the finished model, where it is longer than a row: positions beyond a row keep
    /// their first values, the waves that all positions start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positions: Option<usize>,
}

/// A model that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseConfig {
    /// Its Hugging Face folder. The path may start with an environment variable.
    pub folder: String,
    /// What of it is trained.
    pub trained: Trained,
}

/// What of a base model is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trained {
    /// The language-model head alone, made anew if the folder has none; not its table of words, which is
    /// the encoder's.
    Head,
    /// Everything.
    All,
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

impl Masking {
    /// As in BERT: what every masked model is measured with, whatever it was trained with.
    pub const BERT: Self = Self {
        rate: 0.15,
        masked: 0.8,
        random: 0.1,
    };
}

/// How the model learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Rows a step.
    pub batch_size: usize,
    /// Tokens a row, special tokens included.
    pub tokens: usize,
    /// The rate between warm-up and cool-down.
    pub learning_rate: f64,
    /// First steps, over which the rate rises from zero.
    pub warmup_steps: usize,
    /// Last steps, over which it falls to zero.
    pub cooldown_steps: usize,
    /// Decoupled weight decay; none on biases and LayerNorms.
    pub weight_decay: f64,
    /// Decay of the second moment; 0.98 in RoBERTa.
    pub beta2: f64,
    /// Bound on the norm of all gradients together.
    pub max_grad_norm: f64,
    /// Steps between two checkpoints; each is a point of the curve.
    pub checkpoint_steps: usize,
}

impl TrainingConfig {
    /// The learning rate of a step (from 1): up in a line, level, down in a line; never zero.
    pub fn rate(&self, step: usize) -> f64 {
        let share = |part: usize, whole: usize| (part as f64 / whole as f64).min(1.0);
        let up = share(step, self.warmup_steps.max(1));
        let down = share(self.steps + 1 - step, self.cooldown_steps + 1);
        self.learning_rate * up.min(down)
    }
}

impl PretrainConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// If it is absent, no TOML, has an unknown key, lacks one, or has a value that cannot be.
    pub fn read(path: &Path) -> Result<Self> {
        let config: Self = typed(read_table(path)?).with_context(|| path.display().to_string())?;
        config.check().with_context(|| path.display().to_string())?;
        Ok(config)
    }

    /// What the types alone do not say.
    pub fn check(&self) -> Result<()> {
        ensure!(
            !self.corpus.paths.is_empty(),
            "`corpus.paths` is empty; name a file or folder of text"
        );
        ensure!(
            self.model.is_some() != self.base.is_some(),
            "give either `[model]`, the dimensions of a fresh model, or `[base]`, the folder of one"
        );
        match self.objective {
            Objective::Masked => ensure!(
                self.masking.is_some(),
                "the masked objective needs `[masking]`"
            ),
            Objective::Causal => {
                ensure!(
                    self.masking.is_none(),
                    "`[masking]` belongs to the masked objective"
                );
                let trained = self.base.as_ref().map(|base| base.trained);
                ensure!(
                    trained != Some(Trained::Head),
                    "`base.trained` is `head`; a decoder's head is its table of words, so train `all`"
                );
            }
        }
        self.check_training()?;
        if let Some(model) = &self.model {
            self.check_model(model)?;
        }
        if let Some(masking) = &self.masking {
            for (key, value) in [
                ("masking.rate", masking.rate),
                ("masking.masked", masking.masked),
                ("masking.random", masking.random),
                (
                    "masking.masked + masking.random",
                    masking.masked + masking.random,
                ),
            ] {
                ensure!(
                    (0.0..=1.0).contains(&value),
                    "`{key}` is {value}; it must be between 0 and 1"
                );
            }
        }
        Ok(())
    }

    fn check_model(&self, model: &ModelConfig) -> Result<()> {
        let tokens = self.training.tokens;
        for (key, value, least) in [
            (
                "model.vocab_size",
                model.vocab_size,
                tokenizer::special(self.objective).len() + tokenizer::ALPHABET,
            ),
            ("model.hidden_size", model.hidden_size, 1),
            ("model.num_hidden_layers", model.num_hidden_layers, 1),
            ("model.num_attention_heads", model.num_attention_heads, 1),
            ("model.intermediate_size", model.intermediate_size, 1),
            ("model.positions", model.positions.unwrap_or(tokens), tokens),
        ] {
            at_least(key, value, least)?;
        }
        ensure!(
            model.hidden_size.is_multiple_of(model.num_attention_heads),
            "`model.num_attention_heads` is {}; it must divide `model.hidden_size`, {}",
            model.num_attention_heads,
            model.hidden_size
        );
        above_zero("model.initializer_range", model.initializer_range)
    }

    fn check_training(&self) -> Result<()> {
        let training = &self.training;
        for (key, value, least) in [
            ("corpus.held_out_rows", self.corpus.held_out_rows, 1),
            ("training.steps", training.steps, 1),
            ("training.batch_size", training.batch_size, 1),
            ("training.tokens", training.tokens, 3),
            ("training.checkpoint_steps", training.checkpoint_steps, 1),
        ] {
            at_least(key, value, least)?;
        }
        let (up, down) = (training.warmup_steps, training.cooldown_steps);
        ensure!(
            up.saturating_add(down) <= training.steps,
            "`training.warmup_steps` and `training.cooldown_steps` are {up} and {down}; together they must not exceed `training.steps`, {}",
            training.steps
        );
        ensure!(
            (0.0..1.0).contains(&training.beta2),
            "`training.beta2` is {}; it must be at least 0 and below 1",
            training.beta2
        );
        above_zero("training.learning_rate", training.learning_rate)?;
        above_zero("training.max_grad_norm", training.max_grad_norm)?;
        ensure!(
            training.weight_decay.is_finite() && training.weight_decay >= 0.0,
            "`training.weight_decay` is {}; it must be a number of at least 0",
            training.weight_decay
        );
        Ok(())
    }
}

fn at_least(key: &str, value: usize, least: usize) -> Result<()> {
    ensure!(
        (least..1 << 24).contains(&value),
        "`{key}` is {value}; it must be at least {least} and below 16777216"
    );
    Ok(())
}

fn above_zero(key: &str, value: f64) -> Result<()> {
    ensure!(
        value.is_finite() && value > 0.0,
        "`{key}` is {value}; it must be a number above 0"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrain::tests::{tiny, tiny_causal};

    #[test]
    fn a_written_config_reads_back() {
        for config in [tiny(Path::new("corpus")), tiny_causal(Path::new("corpus"))] {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<PretrainConfig>(&text).unwrap(), config);
        }
    }

    #[test]
    fn the_rate_rises_stays_falls_and_is_never_zero() {
        let training = TrainingConfig {
            steps: 10,
            learning_rate: 8.0,
            warmup_steps: 2,
            cooldown_steps: 3,
            ..tiny(Path::new("none")).training
        };
        let rates: Vec<f64> = (1..=10).map(|step| training.rate(step)).collect();
        assert_eq!(rates, [4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 6.0, 4.0, 2.0]);
    }

    #[test]
    fn faults_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pretrain.toml");
        let fault = |config: &PretrainConfig, from: &str, to: &str| {
            let good = toml::to_string(config).unwrap();
            assert!(good.contains(from), "{from} in {good}");
            std::fs::write(&path, good.replace(from, to)).unwrap();
            format!("{:#}", PretrainConfig::read(&path).unwrap_err())
        };
        let masked = tiny(Path::new("corpus"));
        let mut based = tiny_causal(Path::new("corpus"));
        based.model = None;
        based.base = Some(BaseConfig {
            folder: "base".to_owned(),
            trained: Trained::All,
        });
        let whole_base = "[base]\nfolder = \"base\"\ntrained = \"all\"";
        for (config, from, to, expected) in [
            (&masked, "steps = 6", "stepz = 6", "unknown field `stepz`"),
            (
                &masked,
                "hidden_size = 16",
                "hidden_size = 15",
                "model.num_attention_heads",
            ),
            (&masked, "rate = 0.15", "rate = 1.5", "masking.rate"),
            (&masked, "size = 300", "size = 200", "at least 261"),
            (&masked, "seed = 1", "", "missing field `seed`"),
            (&masked, "\"masked\"", "\"causal\"", "belongs to the masked"),
            (
                &masked,
                "cooldown_steps = 4",
                "cooldown_steps = 6",
                "must not exceed `training.steps`",
            ),
            (&based, "\"causal\"", "\"masked\"", "needs `[masking]`"),
            (&based, "\"all\"", "\"head\"", "so train `all`"),
            (&based, whole_base, "", "either `[model]`"),
        ] {
            let error = fault(config, from, to);
            assert!(
                error.contains(expected) && error.contains("pretrain.toml"),
                "{error}"
            );
        }
    }
}

//! `config.json` of GPT-2, and what it leaves unsaid.

use std::path::Path;

use adamix_core::adaptation::{Activation, BottleneckConfig};
use serde::{Deserialize, Serialize};

use crate::hub::{HubError, check_products, dimensions};

/// One id or several, as `eos_token_id` may be given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// One id.
    One(u32),
    /// Several ids.
    Many(Vec<u32>),
}

/// GPT-2's dimensions, by the keys of `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gpt2Config {
    /// Always `gpt2`.
    pub model_type: String,
    /// Number of token ids.
    pub vocab_size: usize,
    /// Rows of the position table: the most tokens of a sequence.
    #[serde(alias = "n_ctx")]
    pub n_positions: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Number of layers.
    pub n_layer: usize,
    /// Number of attention heads; divides the width.
    pub n_head: usize,
    /// Width of the feed-forward layer; four times the residual stream if absent.
    #[serde(default)]
    pub n_inner: Option<usize>,
    /// `gelu_new` (the tanh approximation), another name of it, `gelu` or `relu`.
    #[serde(default = "gelu_new")]
    pub activation_function: String,
    /// Added to the variance in every LayerNorm.
    #[serde(default = "epsilon")]
    pub layer_norm_epsilon: f64,
    /// Standard deviation of fresh weights.
    #[serde(default = "range")]
    pub initializer_range: f64,
    /// Dropout on the sum of the embeddings.
    #[serde(default)]
    pub embd_pdrop: f64,
    /// Dropout on what attention and feed-forward add to the residual stream.
    #[serde(default)]
    pub resid_pdrop: f64,
    /// Dropout on attention probabilities.
    #[serde(default)]
    pub attn_pdrop: f64,
    /// Whether scores are divided by the square root of a head's width.
    #[serde(default = "yes")]
    pub scale_attn_weights: bool,
    /// Whether scores are further divided by the layer's number, counted from 1.
    #[serde(default)]
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Whether the head is the embedding table.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
    /// The id that starts a text.
    #[serde(default)]
    pub bos_token_id: Option<u32>,
    /// The id or ids that end a text.
    #[serde(default)]
    pub eos_token_id: Option<TokenIds>,
    /// What the checkpoint is, such as `GPT2LMHeadModel`.
    #[serde(default)]
    pub architectures: Vec<String>,
}

fn gelu_new() -> String {
    "gelu_new".to_owned()
}
fn epsilon() -> f64 {
    1e-5
}
fn range() -> f64 {
    0.02
}
fn yes() -> bool {
    true
}

impl Gpt2Config {
    /// The published sizes by name, with GPT-2's vocabulary, for counting without weights.
    pub fn named(name: &str) -> Option<Self> {
        let (n_embd, n_layer, n_head) = match name {
            "gpt2" | "gpt2-small" => (768, 12, 12),
            "gpt2-medium" => (1024, 24, 16),
            "gpt2-large" => (1280, 36, 20),
            "gpt2-xl" => (1600, 48, 25),
            _ => return None,
        };
        Some(Self {
            bos_token_id: Some(50256),
            eos_token_id: Some(TokenIds::One(50256)),
            ..Self::new(50257, 1024, n_embd, n_layer, n_head)
        })
    }

    /// A model of these dimensions, all else as in GPT-2, without dropout.
    pub fn new(
        vocab_size: usize,
        n_positions: usize,
        n_embd: usize,
        n_layer: usize,
        n_head: usize,
    ) -> Self {
        Self {
            model_type: "gpt2".to_owned(),
            vocab_size,
            n_positions,
            n_embd,
            n_layer,
            n_head,
            n_inner: None,
            activation_function: gelu_new(),
            layer_norm_epsilon: epsilon(),
            initializer_range: range(),
            embd_pdrop: 0.0,
            resid_pdrop: 0.0,
            attn_pdrop: 0.0,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            tie_word_embeddings: true,
            bos_token_id: None,
            eos_token_id: None,
            architectures: vec!["GPT2LMHeadModel".to_owned()],
        }
    }

    /// Reads and checks `config.json` of a folder. Dropout rates are set to zero: the released code has
    /// none in the backbone; [`Gpt2Config::with_dropout`] asks for some.
    pub fn from_folder(folder: &Path) -> Result<Self, HubError> {
        let path = folder.join("config.json");
        if !path.is_file() {
            return Err(HubError::Absent {
                path: folder.to_owned(),
                wanted: "config.json".to_owned(),
            });
        }
        let text = std::fs::read_to_string(&path).map_err(|source| HubError::Io {
            path: path.clone(),
            source,
        })?;
        let format = |message: String| HubError::Format {
            path: path.clone(),
            message,
        };
        let mut table: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).map_err(|e| format(e.to_string()))?;
        let fault = |key: &str, found: String, expected: String| HubError::Config {
            path: path.clone(),
            key: key.to_owned(),
            found,
            expected,
        };
        let family = table.get("model_type").and_then(|v| v.as_str());
        if family != Some("gpt2") {
            let found = format!("`{}`", family.unwrap_or("absent"));
            return Err(fault("model_type", found, "`gpt2`".to_owned()));
        }
        // Old files carry both names of the same number.
        if let Some(positions) = table.remove("n_ctx") {
            table.entry("n_positions").or_insert(positions);
        }
        let sound = Self::new(50257, 1024, 768, 12, 12);
        let config = dimensions(table, &sound, &path)?;
        config
            .check()
            .map_err(|(key, found, expected)| fault(&key, found, expected))?;
        Ok(config.with_dropout(0.0))
    }

    /// The key at fault, what it is and what would do.
    fn check(&self) -> Result<(), (String, String, String)> {
        let fault = |key: &str, found: String, expected: &str| {
            Err((key.to_owned(), found, expected.to_owned()))
        };
        if self.activation().is_none() {
            let found = format!("`{}`", self.activation_function);
            return fault("activation_function", found, "`gelu_new`, `gelu` or `relu`");
        }
        if self.n_head == 0 || !self.n_embd.is_multiple_of(self.n_head) {
            let expected = format!("a divisor of n_embd {}", self.n_embd);
            return fault("n_head", self.n_head.to_string(), &expected);
        }
        for (key, size) in [
            ("vocab_size", self.vocab_size),
            ("n_positions", self.n_positions),
            ("n_embd", self.n_embd),
            ("n_inner", self.inner()),
        ] {
            // A hostile size must fail here, not in an allocation.
            if size == 0 || size > 1 << 24 {
                return fault(key, size.to_string(), "between 1 and 16777216");
            }
        }
        check_products(
            "n_embd",
            self.n_embd,
            &[
                ("vocab_size", self.vocab_size),
                ("n_positions", self.n_positions),
                ("n_inner", self.inner()),
                ("3 x n_embd", 3 * self.n_embd),
            ],
        )?;
        if !self.layer_norm_epsilon.is_finite() || self.layer_norm_epsilon < 0.0 {
            let found = self.layer_norm_epsilon.to_string();
            return fault("layer_norm_epsilon", found, "a number of at least 0");
        }
        if self.n_layer > 1024 {
            return fault("n_layer", self.n_layer.to_string(), "at most 1024");
        }
        for (key, rate) in [
            ("embd_pdrop", self.embd_pdrop),
            ("resid_pdrop", self.resid_pdrop),
            ("attn_pdrop", self.attn_pdrop),
        ] {
            if !(0.0..1.0).contains(&rate) {
                return fault(key, rate.to_string(), "at least 0 and below 1");
            }
        }
        Ok(())
    }

    /// Every dropout of the backbone set to one rate.
    pub fn with_dropout(mut self, rate: f64) -> Self {
        self.embd_pdrop = rate;
        self.resid_pdrop = rate;
        self.attn_pdrop = rate;
        self
    }

    /// Width of the feed-forward layer.
    pub fn inner(&self) -> usize {
        self.n_inner.unwrap_or(self.n_embd.saturating_mul(4))
    }

    /// The feed-forward layer's activation, or `None` for one that is not known.
    pub fn activation(&self) -> Option<Activation> {
        Some(match self.activation_function.as_str() {
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
            "gelu" => Activation::Gelu,
            "relu" => Activation::Relu,
            _ => return None,
        })
    }

    /// What a head's scores are multiplied by beside `1 / sqrt(head width)`.
    pub(super) fn score_factor(&self, layer: usize) -> f64 {
        let mut factor = 1.0;
        if !self.scale_attn_weights {
            factor *= ((self.n_embd / self.n_head) as f64).sqrt();
        }
        if self.scale_attn_by_inverse_layer_idx {
            factor /= (layer + 1) as f64;
        }
        factor
    }

    /// The ids that end a text.
    pub fn end_ids(&self) -> Vec<u32> {
        match &self.eos_token_id {
            None => Vec::new(),
            Some(TokenIds::One(id)) => vec![*id],
            Some(TokenIds::Many(ids)) => ids.clone(),
        }
    }

    /// A bottleneck adapter of this width with the tanh GELU that GPT-2's adapters have; the released code
    /// always has bottleneck 8 and 8 experts.
    pub fn adapter(&self, bottleneck: usize) -> BottleneckConfig {
        BottleneckConfig::new(bottleneck)
            .with_activation(Activation::GeluTanh)
            .with_experts(8)
    }

    /// The names that [`Gpt2Config::named`] knows.
    pub const NAMES: [&'static str; 4] = ["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Gpt2Config, HubError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        Gpt2Config::from_folder(folder.path())
    }

    #[test]
    fn old_and_sparse_files_are_read() {
        let config = read(
            r#"{"model_type": "gpt2", "vocab_size": 10, "n_positions": 8, "n_ctx": 8, "n_embd": 6,
            "n_layer": 1, "n_head": 2, "n_inner": null, "attn_pdrop": 0.1, "eos_token_id": [1, 2]}"#,
        )
        .unwrap();
        assert_eq!((config.inner(), config.attn_pdrop), (24, 0.0));
        assert_eq!(config.end_ids(), [1, 2]);
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(read(&written).unwrap(), config);
    }

    #[test]
    fn faults_name_the_key() {
        let fault = |from: &str, to: &str| {
            let text = r#"{"model_type": "gpt2", "vocab_size": 10, "n_positions": 8, "n_embd": 6,
                "n_layer": 1, "n_head": 2}"#;
            read(&text.replace(from, to)).unwrap_err().to_string()
        };
        assert!(
            fault(r#""gpt2""#, r#""bert""#).contains("`model_type` is `bert`, expected `gpt2`")
        );
        assert!(fault(r#""n_head": 2"#, r#""n_head": 4"#).contains("a divisor of n_embd 6"));
        assert!(fault(r#""vocab_size": 10"#, r#""vocab_size": 0"#).contains("vocab_size"));
        assert!(fault(r#""n_layer": 1, "#, "").contains("n_layer"));
        let error = fault(r#""n_embd": 6"#, r#""n_embd": "6""#);
        assert!(error.contains("`n_embd`: invalid type"), "{error}");
        let error = fault(r#""n_layer""#, r#""layer_norm_epsilon": -1, "n_layer""#);
        assert!(error.contains("`layer_norm_epsilon` is -1"), "{error}");
        let error = fault(r#""n_embd": 6"#, r#""n_embd": 20000"#);
        assert!(error.contains("`n_embd x n_inner`"), "{error}");
        let error = fault(r#""n_embd": 6"#, r#""n_inner": 8, "n_embd": 20000"#);
        assert!(error.contains("`n_embd x 3 x n_embd`"), "{error}");
        let error = fault(r#""n_positions": 8"#, r#""n_ctx": 8.5"#);
        assert!(error.contains("`n_positions`: invalid type"), "{error}");
    }
}

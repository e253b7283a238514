//! `config.json` of BERT and RoBERTa, and what it leaves unsaid.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::hub::{HubError, check_products, dimensions};

/// The two families that this encoder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelType {
    /// Positions from 0, two token types, a pooler.
    Bert,
    /// Positions from the padding id + 1, no pooler.
    Roberta,
}

impl ModelType {
    /// The prefix of the backbone's names in a model with a head.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
        }
    }
}

/// An encoder's dimensions, by the keys of `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// The family.
    pub model_type: ModelType,
    /// Number of token ids.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of attention heads; divides the hidden size.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Its activation; only the exact GELU is known.
    #[serde(default = "gelu")]
    pub hidden_act: String,
    /// Rows of the position table; RoBERTa counts its offset in.
    pub max_position_embeddings: usize,
    /// Rows of the token-type table.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// Added to the variance in every LayerNorm.
    #[serde(default = "tiny")]
    pub layer_norm_eps: f64,
    /// Standard deviation of fresh weights.
    #[serde(default = "range")]
    pub initializer_range: f64,
    /// Dropout after embeddings, attention and feed-forward.
    #[serde(default = "tenth")]
    pub hidden_dropout_prob: f64,
    /// Dropout on attention probabilities.
    #[serde(default = "tenth")]
    pub attention_probs_dropout_prob: f64,
    /// Dropout before the classifier; the hidden dropout if absent.
    #[serde(default)]
    pub classifier_dropout: Option<f64>,
    /// The id of padding; BERT's is 0, RoBERTa's is 1.
    #[serde(default)]
    pub pad_token_id: Option<u32>,
    /// Absolute positions are the only kind that is known.
    #[serde(default)]
    pub position_embedding_type: Option<String>,
    /// Whether a token sees only those before it; no such encoder is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_decoder: bool,
    /// What the checkpoint is, such as `RobertaForMaskedLM`.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// Class names by index.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub id2label: std::collections::BTreeMap<String, String>,
}

fn gelu() -> String {
    "gelu".to_owned()
}
fn two() -> usize {
    2
}
fn tiny() -> f64 {
    1e-12
}
fn range() -> f64 {
    0.02
}
fn tenth() -> f64 {
    0.1
}

impl EncoderConfig {
    /// Reads and checks `config.json` of a folder.
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
        let table: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).map_err(|e| format(e.to_string()))?;
        let family = table
            .get("model_type")
            .and_then(|v| v.as_str())
            .unwrap_or("absent");
        if !["bert", "roberta"].contains(&family) {
            return Err(HubError::Config {
                path,
                key: "model_type".to_owned(),
                found: format!("`{family}`"),
                expected: "`bert` or `roberta`".to_owned(),
            });
        }
        let sound = Self::named(Self::NAMES[0]).expect("a known name");
        let config = dimensions(table, &sound, &path)?;
        config
            .check()
            .map_err(|(key, found, expected)| HubError::Config {
                path,
                key,
                found,
                expected,
            })?;
        Ok(config)
    }

    /// The key at fault, what it is and what would do.
    fn check(&self) -> Result<(), (String, String, String)> {
        let fault = |key: &str, found: String, expected: &str| {
            Err((key.to_owned(), found, expected.to_owned()))
        };
        if self.hidden_act != "gelu" {
            return fault("hidden_act", format!("`{}`", self.hidden_act), "`gelu`");
        }
        if self
            .position_embedding_type
            .as_deref()
            .is_some_and(|kind| kind != "absolute")
        {
            let found = format!("{:?}", self.position_embedding_type);
            return fault("position_embedding_type", found, "`absolute`");
        }
        if self.is_decoder {
            return fault("is_decoder", "true".to_owned(), "false: an encoder");
        }
        if self.num_attention_heads == 0
            || !self.hidden_size.is_multiple_of(self.num_attention_heads)
        {
            let found = self.num_attention_heads.to_string();
            return fault(
                "num_attention_heads",
                found,
                &format!("a divisor of hidden_size {}", self.hidden_size),
            );
        }
        for (key, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ] {
            // A hostile size must fail here, not in an allocation.
            if size == 0 || size > 1 << 24 {
                return fault(key, size.to_string(), "between 1 and 16777216");
            }
        }
        check_products(
            "hidden_size",
            self.hidden_size,
            &[
                ("vocab_size", self.vocab_size),
                ("intermediate_size", self.intermediate_size),
                ("max_position_embeddings", self.max_position_embeddings),
                ("type_vocab_size", self.type_vocab_size),
                ("3 x hidden_size", 3 * self.hidden_size),
            ],
        )?;
        if !self.layer_norm_eps.is_finite() || self.layer_norm_eps < 0.0 {
            let found = self.layer_norm_eps.to_string();
            return fault("layer_norm_eps", found, "a number of at least 0");
        }
        if self.num_hidden_layers > 1024 {
            return fault(
                "num_hidden_layers",
                self.num_hidden_layers.to_string(),
                "at most 1024",
            );
        }
        for (key, rate) in [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            (
                "attention_probs_dropout_prob",
                self.attention_probs_dropout_prob,
            ),
            ("classifier_dropout", self.classifier_dropout.unwrap_or(0.0)),
        ] {
            if !(0.0..1.0).contains(&rate) {
                return fault(key, rate.to_string(), "at least 0 and below 1");
            }
        }
        Ok(())
    }

    /// Every dropout of the backbone and head set to one rate.
    pub fn with_dropout(mut self, rate: f64) -> Self {
        self.hidden_dropout_prob = rate;
        self.attention_probs_dropout_prob = rate;
        self.classifier_dropout = None;
        self
    }

    /// The id of padding.
    pub fn pad_id(&self) -> u32 {
        self.pad_token_id.unwrap_or(match self.model_type {
            ModelType::Bert => 0,
            ModelType::Roberta => 1,
        })
    }

    /// The most tokens that an input may have.
    pub fn max_length(&self) -> usize {
        match self.model_type {
            ModelType::Bert => self.max_position_embeddings,
            ModelType::Roberta => self
                .max_position_embeddings
                .saturating_sub(self.pad_id() as usize + 1),
        }
    }

    /// The position of every token: 0, 1, … for BERT; for RoBERTa counted from the padding id + 1 over
    /// tokens that are no padding, which themselves have the padding id (as `transformers` computes it).
    pub fn positions(&self, ids: &[i32], tokens: usize) -> Vec<i32> {
        match self.model_type {
            ModelType::Bert => (0..ids.len()).map(|i| (i % tokens) as i32).collect(),
            ModelType::Roberta => {
                let pad = self.pad_id() as i32;
                let mut positions = Vec::with_capacity(ids.len());
                for row in ids.chunks(tokens) {
                    let mut next = pad;
                    positions.extend(row.iter().map(|id| {
                        if *id == pad {
                            pad
                        } else {
                            next += 1;
                            next
                        }
                    }));
                }
                positions
            }
        }
    }

    /// Whether the checkpoint is a masked language model.
    pub fn is_masked_lm(&self) -> bool {
        self.architectures
            .iter()
            .any(|name| name.ends_with("ForMaskedLM"))
    }

    /// Published architectures by name, for counting without weights.
    pub fn named(name: &str) -> Option<Self> {
        let roberta = name.starts_with("roberta");
        let (layers, hidden, heads, vocab) = match name {
            "bert-base-uncased" => (12, 768, 12, 30522),
            "bert-large-uncased" => (24, 1024, 16, 30522),
            "roberta-base" => (12, 768, 12, 50265),
            "roberta-large" => (24, 1024, 16, 50265),
            "minilm-l6" => (6, 384, 12, 30522),
            _ => return None,
        };
        Some(Self {
            model_type: if roberta {
                ModelType::Roberta
            } else {
                ModelType::Bert
            },
            vocab_size: vocab,
            hidden_size: hidden,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            intermediate_size: 4 * hidden,
            hidden_act: gelu(),
            max_position_embeddings: if roberta { 514 } else { 512 },
            type_vocab_size: if roberta { 1 } else { 2 },
            layer_norm_eps: if roberta { 1e-5 } else { 1e-12 },
            initializer_range: 0.02,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            classifier_dropout: None,
            pad_token_id: Some(u32::from(roberta)),
            position_embedding_type: None,
            is_decoder: false,
            architectures: Vec::new(),
            id2label: Default::default(),
        })
    }

    /// The names that [`EncoderConfig::named`] knows.
    pub const NAMES: [&'static str; 5] = [
        "bert-base-uncased",
        "bert-large-uncased",
        "roberta-base",
        "roberta-large",
        "minilm-l6",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EncoderConfig, HubError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        EncoderConfig::from_folder(folder.path())
    }

    const SMALL: &str = r#"{"model_type": "bert", "vocab_size": 16, "hidden_size": 4, "num_hidden_layers": 1,
        "num_attention_heads": 1, "intermediate_size": 8, "max_position_embeddings": 16, "layer_norm_eps": 1e-5}"#;

    #[test]
    fn a_null_is_as_good_as_absent() {
        let nulls = r#""architectures": null, "hidden_act": null, "id2label": null, "vocab_size""#;
        let text = SMALL.replace(r#""vocab_size""#, nulls);
        assert_eq!(read(&text).unwrap(), read(SMALL).unwrap());
    }

    #[test]
    fn faults_name_the_key() {
        let fault = |from: &str, to: &str| {
            let text = SMALL.replace(from, to);
            assert_ne!(text, SMALL);
            read(&text).unwrap_err().to_string()
        };
        let error = fault(r#""hidden_size": 4"#, r#""hidden_size": "768""#);
        assert!(error.contains("`hidden_size`: invalid type"), "{error}");
        let error = fault(r#""vocab_size": 16, "#, "");
        assert!(error.contains("missing field `vocab_size`"), "{error}");
        let error = fault("1e-5", "-1e-5");
        assert!(error.contains("`layer_norm_eps` is -0.00001"), "{error}");
        let error = fault(r#""hidden_size": 4"#, r#""hidden_size": 16777216"#);
        assert!(error.contains("`hidden_size x 3 x hidden_size`"), "{error}");
        let sizes = r#""vocab_size": 16777216, "hidden_size": 1024"#;
        let error = fault(r#""vocab_size": 16, "hidden_size": 4"#, sizes);
        assert!(error.contains("`hidden_size x vocab_size`"), "{error}");
    }

    #[test]
    fn roberta_positions_skip_padding_wherever_it_stands() {
        let config = EncoderConfig::named("roberta-base").unwrap();
        assert_eq!(
            config.positions(&[0, 5, 2, 1, 0, 1, 7, 2], 4),
            [2, 3, 4, 1, 2, 1, 3, 4]
        );
        assert_eq!(config.max_length(), 512);
    }

    #[test]
    fn bert_positions_count_everything() {
        let config = EncoderConfig::named("bert-base-uncased").unwrap();
        assert_eq!(config.positions(&[9, 9, 0, 9, 9, 0], 3), [0, 1, 2, 0, 1, 2]);
    }
}

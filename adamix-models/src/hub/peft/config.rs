//! `adapter_config.json`: what is read of it, what may stand in it, and what is refused.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::OWN_KIND;
use super::target::{NamesOrPattern, Targets, pattern_value};
use crate::hub::HubError;

/// The configuration's file.
pub const CONFIG: &str = "adapter_config.json";

/// A PEFT adapter's configuration.
#[derive(Debug)]
pub enum PeftConfig {
    /// Low-rank updates.
    Lora(LoraConfig),
    /// Learned factors of activations, (IA)³.
    Ia3(Ia3Config),
    /// Learned keys and values before the sequence's own.
    Prefix(PrefixConfig),
}

/// What a `LORA` config says.
#[derive(Debug)]
pub struct LoraConfig {
    path: PathBuf,
    rank: usize,
    alpha: f64,
    rank_pattern: Vec<(String, f64)>,
    alpha_pattern: Vec<(String, f64)>,
    rank_stabilised: bool,
    /// Whether trained biases of the base belong to the adapter.
    pub biases: bool,
    /// The adapted modules.
    pub targets: Targets,
}

/// What an `IA3` config says.
#[derive(Debug)]
pub struct Ia3Config {
    /// The adapted modules.
    pub targets: Targets,
}

/// What a `PREFIX_TUNING` config says.
#[derive(Debug)]
pub struct PrefixConfig {
    /// Positions of the prefix.
    pub tokens: usize,
    /// Layers that have one.
    pub layers: usize,
    /// The model's width.
    pub width: usize,
}

/// Fields that say nothing about what an adapter computes, whatever they hold.
const FREE: [&str; 20] = [
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "encoder_hidden_size",
    "ensure_weight_tying",
    "eva_config",
    "fan_in_fan_out",
    "inference_mode",
    "init_ia3_weights",
    "init_weights",
    "loftq_config",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "prefix_projection",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];

/// Initialisations that leave the base as it is; the others replace its weights, which no adapter file
/// holds.
const PLAIN_STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// Whether a folder's adapter is of this program's own kind, in PEFT's file shape only.
pub fn is_own_kind(folder: &Path) -> Result<bool, HubError> {
    Ok(File::open(folder)?.fields.peft_type.as_deref() == Some(OWN_KIND))
}

impl PeftConfig {
    /// Reads and checks the file of a folder.
    ///
    /// # Errors
    /// Names the field that is missing, of a wrong kind, or that asks for what is not supported.
    pub fn open(folder: &Path) -> Result<Self, HubError> {
        let file = File::open(folder)?;
        let kind = file.fields.peft_type.clone().unwrap_or_default();
        match kind.as_str() {
            "LORA" => file.lora().map(Self::Lora),
            "IA3" => file.ia3().map(Self::Ia3),
            "PREFIX_TUNING" => file.prefix().map(Self::Prefix),
            _ => Err(file.fault(
                "peft_type",
                &format!("`{kind}`"),
                "`LORA`, `IA3` or `PREFIX_TUNING`",
            )),
        }
    }
}

impl LoraConfig {
    /// The rank of a module's update.
    pub fn rank(&self, module: &str) -> Result<usize, HubError> {
        let own = pattern_value(&self.rank_pattern, module);
        let own = own.map_err(|e| self.bad_pattern("rank_pattern", &e))?;
        Ok(own.map_or(self.rank, |rank| rank as usize))
    }

    /// What a module's update is multiplied by: `alpha / r`, or `alpha / sqrt(r)` if rank-stabilised.
    pub fn scale(&self, module: &str) -> Result<f64, HubError> {
        let own = pattern_value(&self.alpha_pattern, module);
        let own = own.map_err(|e| self.bad_pattern("alpha_pattern", &e))?;
        let rank = self.rank(module)? as f64;
        let divisor = if self.rank_stabilised {
            rank.sqrt()
        } else {
            rank
        };
        Ok(own.unwrap_or(self.alpha) / divisor)
    }

    fn bad_pattern(&self, key: &str, error: &regex::Error) -> HubError {
        HubError::Config {
            path: self.path.clone(),
            key: key.to_owned(),
            found: error.to_string(),
            expected: "a regular expression without look-around".to_owned(),
        }
    }
}

/// The fields that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    peft_type: Option<String>,
    r: Option<usize>,
    lora_alpha: Option<f64>,
    rank_pattern: Option<Patterns>,
    alpha_pattern: Option<Patterns>,
    use_rslora: Option<bool>,
    bias: Option<String>,
    init_lora_weights: Value,
    target_modules: Option<OneOrMany<String>>,
    exclude_modules: Option<OneOrMany<String>>,
    layers_to_transform: Option<OneOrMany<usize>>,
    layers_pattern: Option<OneOrMany<String>>,
    modules_to_save: Option<Vec<String>>,
    /// The shapes of the vectors say which modules these are.
    #[serde(rename = "feedforward_modules")]
    _feedforward_modules: Value,
    num_virtual_tokens: Option<usize>,
    num_layers: Option<usize>,
    token_dim: Option<usize>,
    #[serde(rename = "num_attention_heads")]
    _num_attention_heads: Value,
    num_transformer_submodules: Option<usize>,
}

const READ: [&str; 18] = [
    "alpha_pattern",
    "bias",
    "exclude_modules",
    "feedforward_modules",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "modules_to_save",
    "num_attention_heads",
    "num_layers",
    "num_transformer_submodules",
    "num_virtual_tokens",
    "r",
    "rank_pattern",
    "target_modules",
    "token_dim",
    "use_rslora",
];

/// A file that parsed, with no field in it that is not understood.
struct File {
    path: PathBuf,
    fields: Fields,
}

impl File {
    fn open(folder: &Path) -> Result<Self, HubError> {
        let path = folder.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(|source| HubError::Io {
            path: path.clone(),
            source,
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: PathBuf, text: &str) -> Result<Self, HubError> {
        let bad = |e: serde_json::Error| HubError::Format {
            path: path.clone(),
            message: e.to_string(),
        };
        let all: serde_json::Map<String, Value> = serde_json::from_str(text).map_err(bad)?;
        let fields: Fields = serde_json::from_str(text).map_err(bad)?;
        let file = Self { path, fields };
        let known = |name: &str| FREE.contains(&name) || READ.contains(&name);
        match all
            .iter()
            .find(|(name, value)| !known(name) && !is_unset(value))
        {
            Some((name, value)) => {
                let expected = "unset: what it asks for cannot be represented here";
                Err(file.fault(name, &value.to_string(), expected))
            }
            None => Ok(file),
        }
    }

    fn lora(self) -> Result<LoraConfig, HubError> {
        let fields = &self.fields;
        let plain = match &fields.init_lora_weights {
            Value::Null | Value::Bool(_) => true,
            Value::String(name) => PLAIN_STARTS.contains(&name.as_str()),
            _ => false,
        };
        if !plain {
            let found = fields.init_lora_weights.to_string();
            let expected = "a start that leaves the base's weights as they are (convert the adapter to \
                plain LoRA in PEFT)";
            return Err(self.fault("init_lora_weights", &found, expected));
        }
        let bias = fields.bias.as_deref().unwrap_or("none");
        if !["none", "all", "lora_only"].contains(&bias) {
            return Err(self.fault("bias", &format!("`{bias}`"), "`none`, `all` or `lora_only`"));
        }
        let rank = fields.r.unwrap_or(8);
        if rank == 0 {
            return Err(self.fault("r", "0", "a positive rank"));
        }
        let ranks = fields.rank_pattern.clone().unwrap_or_default().0;
        if let Some((key, rank)) = ranks.iter().find(|(_, r)| *r < 1.0 || r.fract() != 0.0) {
            let found = format!("{rank} for `{key}`");
            return Err(self.fault("rank_pattern", &found, "positive whole ranks"));
        }
        Ok(LoraConfig {
            rank,
            alpha: fields.lora_alpha.unwrap_or(8.0),
            rank_pattern: ranks,
            alpha_pattern: fields.alpha_pattern.clone().unwrap_or_default().0,
            rank_stabilised: fields.use_rslora.unwrap_or(false),
            biases: bias != "none",
            targets: self.targets()?,
            path: self.path,
        })
    }

    fn ia3(self) -> Result<Ia3Config, HubError> {
        Ok(Ia3Config {
            targets: self.targets()?,
        })
    }

    fn prefix(self) -> Result<PrefixConfig, HubError> {
        let fields = &self.fields;
        if let Some(halves) = fields.num_transformer_submodules.filter(|n| *n != 1) {
            let expected = "1: an encoder or a decoder alone";
            return Err(self.fault("num_transformer_submodules", &halves.to_string(), expected));
        }
        let size = |name: &str, value: Option<usize>| match value {
            Some(value) if value > 0 => Ok(value),
            Some(_) => Err(self.fault(name, "0", "a positive number")),
            None => Err(self.fault(name, "absent", "a positive number")),
        };
        Ok(PrefixConfig {
            tokens: size("num_virtual_tokens", fields.num_virtual_tokens)?,
            layers: size("num_layers", fields.num_layers)?,
            width: size("token_dim", fields.token_dim)?,
        })
    }

    fn targets(&self) -> Result<Targets, HubError> {
        let fields = &self.fields;
        let Some(targets) = &fields.target_modules else {
            let expected = "the adapted modules, by name or pattern";
            return Err(self.fault("target_modules", "absent", expected));
        };
        let many =
            |value: &Option<OneOrMany<String>>| value.clone().map_or(vec![], OneOrMany::into_vec);
        let targets = Targets::new(
            &targets.clone().into(),
            fields.exclude_modules.clone().map(Into::into).as_ref(),
            fields.layers_to_transform.clone().map(OneOrMany::into_vec),
            many(&fields.layers_pattern),
            fields.modules_to_save.clone().unwrap_or_default(),
        );
        targets.map_err(|e| {
            let expected = "a regular expression without look-around";
            self.fault("target_modules", &e.to_string(), expected)
        })
    }

    fn fault(&self, key: &str, found: &str, expected: &str) -> HubError {
        HubError::Config {
            path: self.path.clone(),
            key: key.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        }
    }
}

/// Whether a field asks for nothing.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl From<OneOrMany<String>> for NamesOrPattern {
    fn from(value: OneOrMany<String>) -> Self {
        match value {
            OneOrMany::One(pattern) => Self::Pattern(pattern),
            OneOrMany::Many(names) => Self::Names(names),
        }
    }
}

/// A table from patterns to numbers, in the order of the file: the first that matches counts.
#[derive(Clone, Debug, Default)]
struct Patterns(Vec<(String, f64)>);

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Patterns;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of numbers by module pattern")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Patterns, A::Error> {
                let mut patterns = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    patterns.push(entry);
                }
                Ok(Patterns(patterns))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PeftConfig, HubError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CONFIG), text).unwrap();
        PeftConfig::open(folder.path())
    }

    fn lora(further: &str) -> Result<LoraConfig, HubError> {
        let text = format!(
            r#"{{"peft_type": "LORA", "r": 4, "lora_alpha": 16, "target_modules": ["query"]{further}}}"#
        );
        match read(&text)? {
            PeftConfig::Lora(config) => Ok(config),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn patterns_are_tried_in_the_files_order() {
        let config = lora(
            r#", "rank_pattern": {"layer.1.attention.self.query": 2, "query": 8},
            "alpha_pattern": {"query": 4}, "use_rslora": false"#,
        )
        .unwrap();
        let query = |i: usize| format!("bert.encoder.layer.{i}.attention.self.query");
        assert_eq!(config.rank(&query(1)).unwrap(), 2);
        assert_eq!(config.rank(&query(0)).unwrap(), 8);
        assert_eq!(config.rank("key").unwrap(), 4);
        assert_eq!(config.scale(&query(0)).unwrap(), 0.5);
        assert_eq!(config.scale("key").unwrap(), 4.0);
        let stabilised = lora(r#", "use_rslora": true"#).unwrap();
        assert_eq!(stabilised.scale("key").unwrap(), 8.0);
    }

    #[test]
    fn what_cannot_be_represented_is_refused_by_its_field() {
        for (field, value) in [
            ("use_dora", "true"),
            ("lora_bias", "true"),
            ("layer_replication", "[[0, 2], [1, 3]]"),
            ("trainable_token_indices", "[1]"),
            ("target_parameters", r#"["w"]"#),
            ("init_lora_weights", r#""pissa""#),
            ("bias", r#""some""#),
            ("rank_pattern", r#"{"query": 0}"#),
            ("target_modules", r#""(?!x)""#),
            ("a_field_of_tomorrow", "3"),
        ] {
            let text = format!(r#", "{field}": {value}"#);
            let text = if field == "target_modules" {
                format!(r#"{{"peft_type": "LORA"{text}}}"#)
            } else {
                format!(r#"{{"peft_type": "LORA", "target_modules": ["query"]{text}}}"#)
            };
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{field}`")), "{error}");
        }
        assert!(lora(r#", "use_dora": false, "a_field_of_tomorrow": null"#).is_ok());
        let error = read(r#"{"peft_type": "LOHA"}"#).unwrap_err().to_string();
        assert!(error.contains("`LOHA`"), "{error}");
    }
}

//! Whole models as Hugging Face folders, which `transformers` and this program load alike.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::parameter::HostTensor;
use serde_json::{Map, Value, json};

use super::HubError;
use super::write::{self, Precision};

/// Files beside the weights that a model is not whole without: its tokenizer, and how it generates.
const COMPANIONS: [&str; 9] = [
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
];

/// What a folder's `config.json` says beyond the base's.
#[derive(Clone, Debug)]
pub struct ModelCard<'a> {
    /// The class that `transformers` makes of it, such as `RobertaForSequenceClassification`.
    pub architecture: &'a str,
    /// Outputs of a classification head; 0 for none.
    pub outputs: usize,
    /// Class names in the order of the logits; empty for a regression.
    pub labels: &'a [String],
}

/// Writes a model on the pattern of its base's folder: the same `config.json` but for the head, the same
/// tokenizer, and these tensors. `config.json` goes last, so a folder with one is whole.
pub fn save(
    folder: &Path,
    base: &Path,
    card: &ModelCard<'_>,
    tensors: &BTreeMap<String, HostTensor>,
) -> Result<(), HubError> {
    let path = base.join("config.json");
    let text = std::fs::read_to_string(&path).map_err(|source| HubError::Io {
        path: path.clone(),
        source,
    })?;
    let mut config: Map<String, Value> =
        serde_json::from_str(&text).map_err(|e| HubError::Format {
            path,
            message: e.to_string(),
        })?;
    describe(&mut config, card);
    write::safetensors(&folder.join("model.safetensors"), tensors, Precision::F32)?;
    for name in COMPANIONS {
        let from = base.join(name);
        if from.is_file() {
            let bytes =
                std::fs::read(&from).map_err(|source| HubError::Io { path: from, source })?;
            write::atomic(&folder.join(name), &bytes)?;
        }
    }
    let json = serde_json::to_string_pretty(&Value::Object(config)).expect("a table serialises");
    write::atomic(&folder.join("config.json"), (json + "\n").as_bytes())
}

fn describe(config: &mut Map<String, Value>, card: &ModelCard<'_>) {
    config.insert("architectures".to_owned(), json!([card.architecture]));
    // Tensors are written as f32, whatever the base's files hold.
    for name in ["torch_dtype", "dtype"] {
        if config.contains_key(name) {
            config.insert(name.to_owned(), json!("float32"));
        }
    }
    if card.outputs == 0 {
        return;
    }
    let kind = if card.outputs == 1 {
        "regression"
    } else {
        "single_label_classification"
    };
    config.insert("problem_type".to_owned(), json!(kind));
    let name = |i: usize| card.labels.get(i).cloned().unwrap_or(format!("LABEL_{i}"));
    let names: Map<String, Value> = (0..card.outputs)
        .map(|i| (i.to_string(), json!(name(i))))
        .collect();
    let numbers: Map<String, Value> = (0..card.outputs).map(|i| (name(i), json!(i))).collect();
    config.insert("id2label".to_owned(), Value::Object(names));
    config.insert("label2id".to_owned(), Value::Object(numbers));
    config.insert("num_labels".to_owned(), json!(card.outputs));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_is_the_bases_but_for_the_head() {
        let (base, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let text = r#"{"model_type": "bert", "hidden_size": 4, "dtype": "float16", "id2label": {"0": "x"}}"#;
        std::fs::write(base.path().join("config.json"), text).unwrap();
        std::fs::write(base.path().join("vocab.txt"), "[PAD]\n").unwrap();
        let labels = ["no".to_owned(), "yes".to_owned()];
        let card = ModelCard {
            architecture: "BertForSequenceClassification",
            outputs: 2,
            labels: &labels,
        };
        save(out.path(), base.path(), &card, &BTreeMap::new()).unwrap();
        let written = std::fs::read_to_string(out.path().join("config.json")).unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(written["hidden_size"], 4);
        assert_eq!(written["dtype"], "float32");
        assert_eq!(written["id2label"], json!({"0": "no", "1": "yes"}));
        assert_eq!(written["label2id"], json!({"no": 0, "yes": 1}));
        assert_eq!(
            written["architectures"],
            json!(["BertForSequenceClassification"])
        );
        assert!(out.path().join("vocab.txt").is_file());
    }
}

//! `adamix predict` on the checkpoints of `golden/hf`: token ids equal, logits within 1e-4.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

fn shared(what: &str) -> Option<PathBuf> {
    let given = std::env::var_os("ADAMIX_SHARED").map(PathBuf::from);
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = given.clone().unwrap_or(default).join(what);
    if path.exists() {
        return Some(path);
    }
    assert!(
        given.is_none(),
        "{} is missing although ADAMIX_SHARED is set",
        path.display()
    );
    println!("skipped: {} is not here", path.display());
    None
}

/// Predicts texts or pairs with a folder's own head, or with an adapter on it.
fn predict(model: &Path, adapter: Option<&Path>, texts: &[Value]) -> Vec<Value> {
    let folder = tempfile::TempDir::new().unwrap();
    let line = |text: &Value| match text {
        Value::Array(pair) => {
            serde_json::json!({"sentence1": pair[0], "sentence2": pair[1]}).to_string()
        }
        text => serde_json::json!({"sentence1": text}).to_string(),
    };
    let lines: Vec<String> = texts.iter().map(line).collect();
    let (input, output) = (
        folder.path().join("in.jsonl"),
        folder.path().join("out.jsonl"),
    );
    std::fs::write(&input, lines.join("\n")).unwrap();
    let mut command = Command::cargo_bin("adamix").unwrap();
    command
        .arg("predict")
        .arg("--model")
        .arg(model)
        .arg("--input")
        .arg(&input)
        .arg("--output")
        .arg(&output);
    if let Some(adapter) = adapter {
        command.arg("--adapter").arg(adapter);
    }
    command.assert().success();
    let text = std::fs::read_to_string(output).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() < 1e-4, "{f} instead of {e}");
    }
}

fn golden(folder: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join("golden.json")).unwrap()).unwrap()
}

#[test]
fn classifiers_agree_with_transformers() {
    for name in ["golden/hf/bert-tiny", "golden/hf/roberta-tiny"] {
        let Some(folder) = shared(name) else { continue };
        for case in golden(&folder)["cases"].as_array().unwrap() {
            let rows = predict(&folder, None, case["texts"].as_array().unwrap());
            let found: Vec<f64> = rows
                .iter()
                .flat_map(|row| numbers(&row["logits"]))
                .collect();
            close(&found, &numbers(&case["logits"]));
            for (i, row) in rows.iter().enumerate() {
                let mask = numbers(&case["inputs"]["attention_mask"][i]);
                let ids = numbers(&case["inputs"]["input_ids"][i])
                    .into_iter()
                    .zip(mask)
                    .filter(|(_, m)| *m == 1.0);
                assert_eq!(
                    numbers(&row["input_ids"]),
                    ids.map(|(id, _)| id).collect::<Vec<_>>()
                );
            }
        }
    }
}

#[test]
fn the_masked_language_model_agrees_with_transformers() {
    let Some(folder) = shared("golden/hf/roberta-tiny-mlm") else {
        return;
    };
    let golden = golden(&folder);
    let row = &predict(&folder, None, &[golden["text"].clone()])[0];
    assert_eq!(row["input_ids"], golden["input_ids"][0]);
    assert_eq!(row["mask_positions"][0], golden["mask_position"]);
    close(&numbers(&row["logits"]), &numbers(&golden["mask_logits"]));
}

#[test]
fn adapters_of_peft_agree_with_it() {
    let Some(adapter) = shared("golden/hf/roberta-tiny-lora") else {
        return;
    };
    let base = adapter.parent().unwrap().join("roberta-tiny");
    for case in golden(&adapter)["cases"].as_array().unwrap() {
        let rows = predict(&base, Some(&adapter), case["texts"].as_array().unwrap());
        let found: Vec<f64> = rows
            .iter()
            .flat_map(|row| numbers(&row["logits"]))
            .collect();
        close(&found, &numbers(&case["logits"]));
    }
}

#[test]
fn a_decoders_adapter_of_peft_agrees_with_it() {
    let Some(adapter) = shared("golden/hf/gpt2-tiny-lora") else {
        return;
    };
    let base = adapter.parent().unwrap().join("gpt2-tiny");
    for case in golden(&adapter)["cases"].as_array().unwrap() {
        let row = &predict(&base, Some(&adapter), &[case["prompt"].clone()])[0];
        assert_eq!(row["input_ids"], case["input_ids"]);
        close(&numbers(&row["logits"]), &numbers(&case["logits_last"]));
    }
}

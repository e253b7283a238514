//! Adapters and models out of runs and in again, by the real program.

mod fixture;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use fixture::Fixture;
use serde_json::{Value, json};

fn adamix(words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("adamix").unwrap();
    command.args(words);
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Trains a method with large steps; returns the run's folder.
fn train(fixture: &Fixture, method: &str, further: &[&str]) -> PathBuf {
    let out = fixture.path(&format!("run-{method}"));
    let config = fixture.config();
    let method = format!("adaptation.method={method}");
    let mut words = vec!["train", "--config", text(&config), "--out", text(&out)];
    for setting in [&[method.as_str(), "optimizer.learning_rate=0.01"], further].concat() {
        words.extend(["--set", setting]);
    }
    adamix(&words).assert().success();
    out
}

/// The predictions of the development rows; `further` says with what.
fn predict(fixture: &Fixture, model: &Path, further: &[&str]) -> Vec<Value> {
    let input = fixture.data().join("dev.tsv");
    let output = fixture.path("predictions.jsonl");
    let mut words = vec!["predict", "--model", text(model), "--task", "rte"];
    words.extend(["--input", text(&input), "--output", text(&output)]);
    words.extend(further);
    adamix(&words).assert().success();
    lines(&output)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The largest difference of two files' logits.
fn distance(one: &[Value], other: &[Value]) -> f64 {
    assert_eq!(one.len(), other.len());
    let logits = |row: &Value| -> Vec<f64> {
        row["logits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| l.as_f64().unwrap())
            .collect()
    };
    let rows = one.iter().zip(other).flat_map(|(a, b)| {
        logits(a)
            .into_iter()
            .zip(logits(b))
            .map(|(x, y)| (x - y).abs())
            .collect::<Vec<_>>()
    });
    rows.fold(0.0, f64::max)
}

fn export(source: &Path, to: &str, out: &Path, further: &[&str]) -> Command {
    let mut command = adamix(&["export", text(source), "--to", to, "--out", text(out)]);
    command.args(further);
    command
}

fn refused(command: &mut Command) -> String {
    let output = command.assert().failure().get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

fn config(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("adapter_config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_low_rank_mixture_goes_out_merged_or_by_one_expert_and_folded() {
    let fixture = Fixture::new();
    let run = train(
        &fixture,
        "adamix-lora",
        &["adaptation.rank=2", "adaptation.share=none"],
    );
    let measured = lines(&run.join("predictions/best.jsonl"));
    assert_eq!(config(&run.join("merged/best"))["peft_type"], "LORA");

    let adapter = fixture.path("adapter");
    export(&run, "peft", &adapter, &[]).assert().success();
    let written = config(&adapter);
    assert_eq!(written["target_modules"], json!(["query", "value"]));
    assert_eq!(
        (&written["r"], &written["lora_alpha"]),
        (&json!(2), &json!(32))
    );
    assert_eq!(written["modules_to_save"], json!(["classifier"]));
    assert!(
        std::fs::read_to_string(adapter.join("README.md"))
            .unwrap()
            .contains("library_name: peft")
    );
    let found = predict(&fixture, &fixture.model(), &["--adapter", text(&adapter)]);
    assert!(distance(&found, &measured) < 1e-5);

    let whole = fixture.path("whole");
    export(&run, "transformers", &whole, &[]).assert().success();
    assert!(distance(&predict(&fixture, &whole, &[]), &measured) < 1e-5);

    let experts: Vec<Vec<Value>> = ["0", "2"]
        .map(|expert| {
            let out = fixture.path(&format!("expert-{expert}"));
            export(&run, "peft", &out, &["--expert", expert])
                .assert()
                .success();
            predict(&fixture, &fixture.model(), &["--adapter", text(&out)])
        })
        .into();
    assert!(distance(&experts[0], &experts[1]) > 1e-4 && distance(&experts[0], &found) > 1e-4);
    let error = refused(&mut export(
        &run,
        "peft",
        &fixture.path("none"),
        &["--expert", "3"],
    ));
    assert!(error.contains("3 experts"), "{error}");
    let error = refused(&mut export(&run, "peft", &adapter, &[]));
    assert!(error.contains("not empty"), "{error}");
}

#[test]
fn what_has_no_place_elsewhere_is_refused_by_its_name() {
    let fixture = Fixture::new();
    let run = train(&fixture, "adamix", &[]);
    let out = fixture.path("whole");
    let error = refused(&mut export(&run, "transformers", &out, &[]));
    assert!(
        error.contains("bottleneck") && error.contains("activation"),
        "{error}"
    );
    assert!(!out.exists());

    // In PEFT's file shape under own names, which this program reads.
    let own = fixture.path("own");
    export(&run, "peft", &own, &[]).assert().success();
    assert_eq!(config(&own)["peft_type"], "ADAMIX");
    let found = predict(&fixture, &fixture.model(), &["--adapter", text(&own)]);
    assert!(distance(&found, &lines(&run.join("predictions/best.jsonl"))) < 1e-5);

    let mean = train(&fixture, "lora", &["backbone.pooling=mean"]);
    let error = refused(&mut export(&mean, "transformers", &out, &[]));
    assert!(error.contains("backbone.pooling"), "{error}");
}

#[test]
fn every_method_that_can_be_folded_is_the_same_model() {
    let fixture = Fixture::new();
    for method in ["adamix-ia3", "bitfit", "full", "head"] {
        let run = train(&fixture, method, &[]);
        let out = fixture.path(&format!("whole-{method}"));
        export(&run, "transformers", &out, &[]).assert().success();
        let measured = lines(&run.join("predictions/best.jsonl"));
        let distance = distance(&predict(&fixture, &out, &[]), &measured);
        assert!(distance < 1e-5, "{method}: {distance}");
    }
}

#[test]
fn several_adapters_answer_on_one_base_and_their_cost_is_told() {
    let fixture = Fixture::new();
    let lora = train(&fixture, "adamix-lora", &["adaptation.rank=2"]).join("merged/best");
    let prefix = train(&fixture, "prefix", &["adaptation.length=3"]).join("merged/best");
    let own = train(&fixture, "adamix", &[]).join("merged/best");
    assert_eq!(config(&prefix)["peft_type"], "PREFIX_TUNING");
    let adapters = [lora, prefix, own];
    let mut words = Vec::new();
    for adapter in &adapters {
        words.extend(["--adapter", text(adapter)]);
    }
    let together = predict(&fixture, &fixture.model(), &words);
    for adapter in &adapters {
        let alone = predict(&fixture, &fixture.model(), &["--adapter", text(adapter)]);
        let of_it = together
            .iter()
            .filter(|row| row["adapter"] == text(adapter));
        let of_it: Vec<Value> = of_it.cloned().collect();
        assert!(distance(&of_it, &alone) == 0.0);
    }

    // The three tokens in front take positions that a text then lacks: of the model's 32, 29 are left.
    let long = fixture.path("long.jsonl");
    let row = json!({"sentence1": "the dog ".repeat(40), "sentence2": "the dog"});
    std::fs::write(&long, row.to_string()).unwrap();
    let out = fixture.path("long-out.jsonl");
    let model = fixture.model();
    adamix(&[
        "predict",
        "--model",
        text(&model),
        "--adapter",
        text(&adapters[1]),
    ])
    .args([
        "--max-length",
        "512",
        "--input",
        text(&long),
        "--output",
        text(&out),
    ])
    .assert()
    .success();
    assert_eq!(lines(&out)[0]["input_ids"].as_array().unwrap().len(), 29);

    let mut words = vec!["inspect", "--json", "--model", text(&model)];
    words.extend(adapters.iter().map(|adapter| text(adapter)));
    let output = adamix(&words)
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let told: Value = serde_json::from_slice(&output).unwrap();
    // Two layers, queries and values of width 16, rank 2; a head of 16 x 2 + 2.
    assert_eq!(
        (&told["tasks"][0]["values"], &told["tasks"][0]["head"]),
        (&json!(256), &json!(34))
    );
    // Two layers of keys and values, three tokens.
    assert_eq!(told["tasks"][1]["values"], json!(192));
    let bytes = adapters[0]
        .join("adapter_model.safetensors")
        .metadata()
        .unwrap()
        .len();
    assert_eq!(told["tasks"][0]["bytes"], json!(bytes));
}

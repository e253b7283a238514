//! Training by a prompt on the carried encoder: the masked-LM head answers, at the mask, for the label words.

mod fixture;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use fixture::Fixture;
use serde_json::Value;

fn adamix() -> Command {
    Command::cargo_bin("adamix").expect("the program is built with its tests")
}

fn succeeds(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn refused(out: &Path, settings: &[&str]) -> String {
    let mut command = adamix();
    command.arg("train").arg("--out").arg(out);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.assert().failure().get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    error
}

/// A few steps of the synthetic task, asked by a prompt.
fn train(out: &Path, further: &[&str]) {
    let settings = [
        "prompt.template={first} It was{mask}.",
        "prompt.words=[\"bad\", \"good\"]",
        "few_shot.per_class=6",
        "evaluation.after=last",
        "schedule.epochs=3",
        "schedule.batch_size=4",
        "adaptation.bottleneck=4",
        "adaptation.experts=2",
        "optimizer.learning_rate=1e-3",
    ];
    let mut command = adamix();
    command.arg("train").arg("--out").arg(out);
    for setting in settings.iter().chain(further) {
        command.args(["--set", setting]);
    }
    succeeds(&mut command);
}

fn json(path: PathBuf) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn lines(path: PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn a_prompted_run_is_measured_once_and_serves_what_it_measured() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run, &[]);
    let result = json(run.join("result.json"));
    assert_eq!(result["rows"]["train"], 12);
    // Three epochs, and one measurement: there is no set to choose by.
    assert_eq!(result["last"]["epoch"], 3);
    assert_eq!(result["best"], result["last"]);
    let measured = lines(run.join("metrics.jsonl"));
    let measured = measured
        .iter()
        .filter(|line| line["split"] == "dev")
        .count();
    assert_eq!(measured, 1);
    // The head is the masked-LM head less its decoder: a square map, a norm, a bias for each of the tokens.
    let config = json(PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/embedded/roberta-mini/config.json"
    )));
    let [hidden, tokens] = ["hidden_size", "vocab_size"].map(|key| config[key].as_u64().unwrap());
    assert_eq!(
        result["parameters"]["head"].as_u64(),
        Some(hidden * hidden + 3 * hidden + tokens)
    );

    // Measured again from its adapter, and served by `predict` from the merged one: the same rows, the same logits.
    let again = succeeds(
        adamix()
            .arg("evaluate")
            .arg(&run)
            .args(["--json", "--state", "last"]),
    );
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["metrics"], result["last"]["metrics"]);
    let sentences = [
        "the old captain was happy with the storm .",
        "the busy judge was not amused by the supper .",
    ];
    let rows: Vec<String> = sentences
        .iter()
        .map(|text| serde_json::json!({ "sentence1": text }).to_string())
        .collect();
    let input = folder.path().join("rows.jsonl");
    std::fs::write(&input, rows.join("\n")).unwrap();
    let predicted = |adapter: &str, name: &str| {
        let output = folder.path().join(name);
        let mut command = adamix();
        command.args(["predict", "--model", "embedded", "--adapter"]);
        command.arg(run.join(adapter)).arg("--input").arg(&input);
        succeeds(command.arg("--output").arg(&output));
        lines(output)
    };
    let (merged, experts) = (
        predicted("merged/last", "merged.jsonl"),
        predicted("adapter/last", "experts.jsonl"),
    );
    for (a, b) in merged.iter().zip(&experts) {
        for (x, y) in a["logits"]
            .as_array()
            .unwrap()
            .iter()
            .zip(b["logits"].as_array().unwrap())
        {
            let difference = (x.as_f64().unwrap() - y.as_f64().unwrap()).abs();
            assert!(difference < 1e-4, "{a} {b}");
        }
        assert!(["negative", "positive"].contains(&a["label"].as_str().unwrap()));
    }
}

#[test]
fn every_method_moves_the_head_and_the_head_alone_moves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for method in ["head", "bitfit", "full"] {
        let run = folder.path().join(method);
        train(&run, &[&format!("adaptation.method={method}")]);
        let parameters = json(run.join("result.json"))["parameters"].clone();
        let [head, trained] = ["head", "trained"].map(|key| parameters[key].as_u64().unwrap());
        match method {
            "head" => assert_eq!(trained, head),
            _ => assert!(trained > head, "{parameters}"),
        }
    }
}

#[test]
fn what_a_prompt_lacks_is_named() {
    let fixture = Fixture::new();
    let prompt = "prompt.template={first} It was{mask}.";
    let words = "prompt.words=[\"bad\", \"good\"]";
    let model = format!("model={}", fixture.model().display());
    let out = fixture.path("refused");
    for (settings, expected) in [
        (vec!["prompt.template=manual"], "has no manual prompt"),
        (vec![prompt], "has 0 words"),
        (vec!["prompt.template={first} It was", words], "0 masks"),
        (
            vec![prompt, "prompt.words=[\"good\", \"good\"]"],
            "same token",
        ),
        (
            vec![prompt, "prompt.words=[\"red\", \"old\"]", &model],
            "adamix pretrain",
        ),
        (vec!["few_shot.split=6"], "1 to 5"),
        (
            vec!["few_shot.split=1", "few_shot.per_class=16"],
            "two protocols",
        ),
    ] {
        let error = refused(&out, &settings);
        assert!(error.contains(expected), "{settings:?}: {error}");
    }
}

//! The real program on a tiny decoder: policies that are not merged, every inference mode, an average over the steps.

mod fixture;

use std::path::Path;

use assert_cmd::Command;
use fixture::decoder::DecoderFixture;
use serde_json::Value;

fn adamix(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("adamix").expect("the program is built with its tests");
    command.args(arguments);
    command
}

/// `adamix train` on the fixture.
fn training(fixture: &DecoderFixture, out: &Path, settings: &[&str]) -> Command {
    let mut command = adamix(&["train", "--config"]);
    command.arg(fixture.config()).arg("--out").arg(out);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What `adamix evaluate` says of the last state.
fn evaluated(run: &Path, further: &[&str]) -> Value {
    let mut command = adamix(&["evaluate", "--state", "last", "--json"]);
    let output = command.arg(run).args(further).assert().success();
    json(core::str::from_utf8(&output.get_output().stdout).unwrap())
}

#[test]
fn a_routed_run_is_measured_decoded_and_measured_again() {
    let fixture = DecoderFixture::new();
    let inputs = fixture.path("inputs.jsonl");
    let texts = fixture.path("texts.txt");
    for policy in ["fixed", "dense", "top-k"] {
        let run = fixture.path(policy);
        let policy = format!("routing.policy={policy}");
        let settings = ["schedule.max_steps=4", &policy];
        training(&fixture, &run, &settings).assert().success();
        let result = json(&read(&run.join("result.json")));
        assert_eq!(result["inference"], "routed");

        let again = evaluated(&run, &["--test"]);
        assert_eq!(again["inference"], "routed");
        assert_eq!(again["metrics"], result["last"]["metrics"]);
        assert_eq!(again["test"]["scores"], result["test"]["last"]["scores"]);

        let lines = read(&run.join("predictions/last.jsonl"));
        let context = |line| serde_json::json!({"context": json(line)["context"]}).to_string();
        let contexts: Vec<String> = lines.lines().map(context).collect();
        std::fs::write(&inputs, contexts.join("\n") + "\n").unwrap();
        let mut generate = adamix(&["generate", "--state", "last", "--run"]);
        generate.arg(&run).arg("--input").arg(&inputs);
        generate.arg("--output").arg(&texts).assert().success();
        assert_eq!(read(&texts), read(&run.join("predictions/last.txt")));
    }
}

#[test]
fn every_mode_answers() {
    let fixture = DecoderFixture::new();
    let run = fixture.path("run");
    let settings = ["schedule.max_steps=4", "optimizer.learning_rate=0.1"];
    training(&fixture, &run, &settings).assert().success();
    let loss = |mode: &str, further: &[&str]| {
        let asked = [&["--inference", mode], further].concat();
        let found = evaluated(&run, &asked);
        assert_eq!(found["inference"], mode);
        found["metrics"]["loss"].as_f64().unwrap()
    };
    let found = [
        loss("merged", &[]),
        loss("fixed", &[]),
        loss("random", &[]),
        loss("ensemble", &[]),
        loss("random-ensemble", &["--paths", "2"]),
        loss("random-ensemble", &["--paths", "3"]),
        loss("monte-carlo", &["--paths", "2"]),
    ];
    for (i, one) in found.iter().enumerate() {
        assert!(one.is_finite() && !found[..i].contains(one), "{found:?}");
    }
    assert_ne!(loss("random", &["--draw", "1"]), found[2]);
    // As stochastic routing is trained, its policy is a random path for all.
    assert_eq!(
        loss("routed", &[]),
        loss("random-ensemble", &["--paths", "1"])
    );
}

#[test]
fn a_policy_that_reads_later_tokens_is_refused_before_a_folder_is_begun() {
    let fixture = DecoderFixture::new();
    for policy in ["smear", "gumbel"] {
        let run = fixture.path("run");
        let setting = format!("routing.policy={policy}");
        let output = training(&fixture, &run, &[&setting]).assert().failure();
        let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(error.contains(policy), "{error}");
        assert!(error.contains("later tokens"), "{error}");
        assert!(!run.exists());
    }
}

#[test]
fn the_average_over_the_steps_is_what_is_measured_and_kept() {
    let fixture = DecoderFixture::new();
    let run = |name: &str, ema: &str| {
        let out = fixture.path(name);
        let settings = ["schedule.max_steps=4", "generation.test_inputs=1", ema];
        training(&fixture, &out, &settings).assert().success();
        let metrics = read(&out.join("metrics.jsonl"));
        let losses = metrics.lines().filter_map(|l| json(l)["loss"].as_f64());
        let result = json(&read(&out.join("result.json")));
        (losses.collect::<Vec<f64>>(), result["last"].clone(), out)
    };
    let (losses, last, _) = run("plain", "merging.ema=0");
    let (same, averaged, out) = run("averaged", "merging.ema=0.9");
    assert_eq!(losses, same, "the steps are the same");
    assert_ne!(last["metrics"], averaged["metrics"]);
    assert_eq!(evaluated(&out, &[])["metrics"], averaged["metrics"]);
}

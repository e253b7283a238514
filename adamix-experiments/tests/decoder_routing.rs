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
    // What is predicted is what greedy decoding takes.
    let (run, prompts, rows) = (
        fixture.path("top-k"),
        fixture.path("prompts.txt"),
        fixture.path("rows.jsonl"),
    );
    std::fs::write(&prompts, "a pub\nZizzi is\n").unwrap();
    std::fs::write(
        &rows,
        "{\"sentence1\": \"a pub\"}\n{\"sentence1\": \"Zizzi is\"}\n",
    )
    .unwrap();
    let (predicted, generated) = (fixture.path("p.jsonl"), fixture.path("g.jsonl"));
    let mut predict = adamix(&["predict", "--model"]);
    predict.arg(fixture.model()).arg("--run").arg(&run);
    predict.arg("--input").arg(&rows);
    predict.arg("--output").arg(&predicted).assert().success();
    let greedy = ["--set", "generation.search=greedy", "--lines", "prompts"];
    let mut generate = adamix(&["generate", "--run"]);
    generate.arg(&run).args(greedy).arg("--input").arg(&prompts);
    generate.arg("--output").arg(&generated).assert().success();
    let (predicted, generated) = (read(&predicted), read(&generated));
    for (one, other) in predicted.lines().zip(generated.lines()) {
        let logits = json(one)["logits"].as_array().unwrap().clone();
        let logit = |i: &usize| logits[*i].as_f64().unwrap();
        let best = (0..logits.len()).max_by(|a, b| logit(a).total_cmp(&logit(b)));
        assert_eq!(json(other)["tokens"][0], best.unwrap());
    }
}

#[test]
fn queries_and_values_are_drawn_apart_where_asked() {
    let fixture = DecoderFixture::new();
    let routes = |apart: bool| {
        let run = fixture.path(&format!("apart-{apart}"));
        let apart = format!("adaptation.parts_apart={apart}");
        let settings = [
            "adaptation.method=adamix-lora",
            "adaptation.experts=4",
            "schedule.max_steps=4",
            "generation.test_inputs=1",
            &apart,
        ];
        let mut command = training(&fixture, &run, &settings);
        command.arg("--trace").assert().success();
        let result = json(&read(&run.join("result.json")));
        assert_eq!(evaluated(&run, &[])["metrics"], result["last"]["metrics"]);
        let lines = read(&run.join("trace.jsonl"));
        let passes = |line: &str| json(line)["micro"][0]["passes"].as_array().unwrap().clone();
        lines.lines().flat_map(passes).collect::<Vec<Value>>()
    };
    let together = routes(false);
    let apart = routes(true);
    assert_eq!((together.len(), apart.len()), (8, 8));
    let names = |pass: &Value| {
        pass.as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let sites = names(&together[0]);
    assert!(
        sites.iter().all(|site| site.ends_with("c_attn")),
        "{sites:?}"
    );
    assert_eq!(names(&apart[0]).len(), 2 * sites.len());
    let differ = |site: &String| {
        let of = |pass: &Value, part| pass[format!("{site}.{part}")]["down"].clone();
        assert!(!of(&apart[0], "q").is_null(), "{:?}", apart[0]);
        apart.iter().any(|pass| of(pass, "q") != of(pass, "v"))
    };
    assert!(sites.iter().all(differ));
}

#[test]
fn what_a_trained_model_cannot_take_is_refused() {
    let fixture = DecoderFixture::new();
    let run = fixture.path("run");
    let settings = ["schedule.max_steps=1", "generation.test_inputs=1"];
    training(&fixture, &run, &settings).assert().success();
    let mut generate = adamix(&["generate", "--set", "routing.policy=top-k", "--run"]);
    generate.arg(&run).arg("--input").arg(fixture.config());
    let output = generate.arg("--output").arg(fixture.path("x.txt"));
    let error = String::from_utf8(output.assert().failure().get_output().stderr.clone()).unwrap();
    assert!(error.contains("can be set here"), "{error}");
    let mut again = training(&fixture, &run, &settings);
    let output = again.arg("--trace").assert().failure();
    let error = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(error.contains("without a trace"), "{error}");
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

#[test]
fn a_sweep_of_a_loss_takes_the_least() {
    let fixture = DecoderFixture::new();
    let (file, runs) = (fixture.path("rates.toml"), fixture.path("runs"));
    let grid = "[grid]\noptimizer.learning_rate = [1e-6, 3e-2]\n";
    let base = format!("base = {:?}\n", fixture.config());
    let quick = "[config]\nschedule.max_steps = 6\ngeneration.test_inputs = 1\n";
    std::fs::write(&file, [&base, quick, grid].concat()).unwrap();
    let mut sweep = adamix(&["sweep", "run"]);
    sweep.arg(&file).arg("--runs").arg(&runs).assert().success();
    let folder = runs.join("sweeps/rates");
    let mut choose = adamix(&["sweep", "choose"]);
    choose.arg(&folder).assert().success();
    let chosen = read(&folder.join("chosen.toml"));
    // The one that learned.
    assert!(chosen.contains("learning_rate = 0.03"), "{chosen}");
}

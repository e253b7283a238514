//! The real program on a tiny model and task that this test makes itself.

mod fixture;

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::parameter::HostTensor;
use adamix_models::hub::Weights;
use adamix_models::hub::write::{self, Precision};
use assert_cmd::Command;
use fixture::Fixture;

fn adamix() -> Command {
    Command::cargo_bin("adamix").expect("the program is built with its tests")
}

/// Trains the fixture with further arguments; returns standard output.
fn train(fixture: &Fixture, out: &Path, further: &[&str]) -> String {
    let mut command = adamix();
    command
        .arg("train")
        .arg("--config")
        .arg(fixture.config())
        .arg("--out")
        .arg(out)
        .args(further);
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

/// Runs a command that must fail; returns its one line of error.
fn refused(command: &mut Command) -> String {
    let output = command.assert().failure().get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

#[test]
fn a_run_leaves_its_whole_folder_and_is_not_run_twice() {
    let fixture = Fixture::new();
    let out = fixture.path("run");
    train(&fixture, &out, &["--trace"]);
    for file in [
        "run.toml",
        "metrics.jsonl",
        "timings.jsonl",
        "trace.jsonl",
        "curve.svg",
        "result.json",
        "adapter/initial/adamix.safetensors",
        "adapter/best/adamix_config.json",
        "adapter/last/adamix.safetensors",
        "merged/best/adapter_model.safetensors",
        "merged/last/adamix_config.json",
        "predictions/best.jsonl",
        "predictions/last.jsonl",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let before = std::fs::metadata(out.join("metrics.jsonl"))
        .unwrap()
        .modified()
        .unwrap();
    assert!(train(&fixture, &out, &[]).contains("already run"));
    assert_eq!(
        before,
        std::fs::metadata(out.join("metrics.jsonl"))
            .unwrap()
            .modified()
            .unwrap()
    );
    let error = refused(
        adamix()
            .args(["train", "--set", "seed=9", "--config"])
            .arg(fixture.config())
            .arg("--out")
            .arg(&out),
    );
    assert!(error.contains("another run"), "{error}");
}

#[test]
fn two_runs_give_the_same_bytes_with_any_number_of_threads() {
    let fixture = Fixture::new();
    let files = [
        "metrics.jsonl",
        "trace.jsonl",
        "adapter/best/adamix.safetensors",
        "adapter/last/adamix.safetensors",
        "predictions/last.jsonl",
    ];
    let mut runs = Vec::new();
    for (name, threads) in [("one", "2"), ("two", "2"), ("three", "1")] {
        let out = fixture.path(name);
        let mut command = adamix();
        command
            .env("RAYON_NUM_THREADS", threads)
            .arg("train")
            .arg("--trace")
            .arg("--config")
            .arg(fixture.config())
            .arg("--out")
            .arg(&out);
        command.assert().success();
        runs.push(files.map(|file| std::fs::read(out.join(file)).unwrap()));
    }
    for (i, file) in files.iter().enumerate() {
        assert!(runs[0][i] == runs[1][i], "{file} differs between two runs");
        assert!(runs[0][i] == runs[2][i], "{file} differs with one thread");
    }
}

#[test]
fn every_method_trains_and_every_inference_mode_measures() {
    let fixture = Fixture::new();
    for method in ["adamix", "adapter", "head", "full"] {
        let out = fixture.path(method);
        train(
            &fixture,
            &out,
            &["--set", &format!("adaptation.method={method}")],
        );
        for inference in ["native", "merged", "random", "fixed", "ensemble"] {
            adamix()
                .arg("evaluate")
                .arg(&out)
                .args(["--inference", inference, "--json"])
                .assert()
                .success();
        }
    }
    let trained = |method: &str| {
        let text = std::fs::read_to_string(fixture.path(method).join("result.json")).unwrap();
        let result: serde_json::Value = serde_json::from_str(&text).unwrap();
        result["parameters"]["trained"].as_u64().unwrap()
    };
    assert!(
        trained("head") < trained("adapter")
            && trained("adapter") < trained("adamix")
            && trained("adamix") < trained("full")
    );
}

#[test]
fn evaluation_and_prediction_agree_with_the_run() {
    let fixture = Fixture::new();
    let out = fixture.path("run");
    train(&fixture, &out, &[]);
    let output = adamix()
        .arg("evaluate")
        .arg(&out)
        .arg("--json")
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let measured: serde_json::Value = serde_json::from_slice(&output).unwrap();
    let result: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("result.json")).unwrap()).unwrap();
    assert_eq!(measured["metrics"], result["best"]["metrics"]);

    let predictions = fixture.path("predictions.jsonl");
    let mut command = adamix();
    command
        .arg("predict")
        .arg("--model")
        .arg(fixture.model())
        .arg("--run")
        .arg(&out);
    command
        .arg("--input")
        .arg(fixture.data().join("dev.tsv"))
        .args(["--task", "rte", "--output"])
        .arg(&predictions);
    command.assert().success();
    let read = |path: &Path| -> Vec<serde_json::Value> {
        std::fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (ours, theirs) = (
        read(&predictions),
        read(&out.join("predictions/best.jsonl")),
    );
    assert_eq!(ours.len(), theirs.len());
    for (a, b) in ours.iter().zip(&theirs) {
        assert_eq!(a["label"], b["label"]);
        let logits = |v: &serde_json::Value| {
            v["logits"]
                .as_array()
                .unwrap()
                .iter()
                .map(|l| l.as_f64().unwrap())
                .collect::<Vec<_>>()
        };
        assert!(
            logits(a)
                .iter()
                .zip(logits(b))
                .all(|(x, y)| (x - y).abs() < 1e-5),
            "{a} {b}"
        );
    }
}

#[test]
fn bad_input_is_one_line_that_names_the_culprit() {
    let fixture = Fixture::new();
    let train = |settings: &[String]| {
        let mut command = adamix();
        command
            .arg("train")
            .arg("--config")
            .arg(fixture.config())
            .arg("--out")
            .arg(fixture.path("bad"));
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        let error = refused(&mut command);
        assert!(!fixture.path("bad").join("result.json").exists());
        error
    };
    assert!(train(&["optimizer.lerning_rate=1".into()]).contains("`optimizer.learning_rate`"));

    let model = |name: &str, change: &dyn Fn(&Path)| {
        let folder = fixture.copy_model(name);
        change(&folder);
        train(&[format!("model={}", folder.display())])
    };
    let truncated = model("truncated", &|folder| {
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        std::fs::write(folder.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(
        truncated.contains("model.safetensors") && truncated.contains("truncated"),
        "{truncated}"
    );
    let hostile = model("hostile", &|folder| {
        std::fs::write(folder.join("model.safetensors"), [255u8; 64]).unwrap()
    });
    assert!(hostile.contains("header claims"), "{hostile}");
    let other = model("other", &|folder| {
        std::fs::write(folder.join("config.json"), r#"{"model_type": "t5"}"#).unwrap()
    });
    assert!(
        other.contains("model_type") && other.contains("t5"),
        "{other}"
    );
    let narrow = model("narrow", &|folder| {
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        std::fs::write(
            folder.join("config.json"),
            text.replace("\"intermediate_size\":32", "\"intermediate_size\":48"),
        )
        .unwrap();
    });
    assert!(narrow.contains("intermediate.dense.weight"), "{narrow}");

    let data = |name: &str, file: &str, text: &str| {
        let folder = fixture.copy_data(name);
        std::fs::write(folder.join(file), text).unwrap();
        train(&[format!("data={}", folder.display())])
    };
    let column = data(
        "column",
        "train.tsv",
        "index\tsentence1\tlabel\n0\ta\tentailment\n",
    );
    assert!(
        column.contains("train.tsv") && column.contains("sentence2"),
        "{column}"
    );
    let label = data(
        "label",
        "dev.tsv",
        "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tperhaps\n",
    );
    assert!(
        label.contains("dev.tsv") && label.contains("perhaps"),
        "{label}"
    );
    let empty = data("empty", "train.tsv", "");
    assert!(empty.contains("train.tsv"), "{empty}");

    let file = fixture.path("a-file");
    std::fs::write(&file, "").unwrap();
    let unwritable = refused(
        adamix()
            .arg("train")
            .arg("--config")
            .arg(fixture.config())
            .arg("--out")
            .arg(file.join("run")),
    );
    assert!(unwritable.contains("a-file"), "{unwritable}");
}

#[test]
fn files_of_others_are_left_alone() {
    let fixture = Fixture::new();
    // A config by hand where a run would put its own.
    let own = fixture.path("own");
    std::fs::create_dir(&own).unwrap();
    let config = own.join("run.toml");
    let text = format!(
        "# by hand\n{}",
        std::fs::read_to_string(fixture.config()).unwrap()
    );
    std::fs::write(&config, &text).unwrap();
    let mut command = adamix();
    command.arg("train").arg("--config").arg(&config);
    let error = refused(command.arg("--out").arg(&own));
    assert!(error.contains("no run wrote this file"), "{error}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), text);
    // A folder that no run wrote into is not removed as one, nor is one that a run is at.
    let error = refused(adamix().args(["runs", "remove"]).arg(&own));
    assert!(error.contains("no run wrote into it"), "{error}");
    let run = fixture.path("run");
    train(&fixture, &run, &[]);
    let lock = std::fs::File::open(run.join(".lock")).unwrap();
    lock.lock().unwrap();
    let error = refused(adamix().args(["runs", "remove"]).arg(&run));
    assert!(error.contains("another program is at work"), "{error}");
    drop(lock);
    // Predictions do not take the place of a device, or of what they are made with.
    let adapter = run.join("merged/last/adapter_model.safetensors");
    for (output, expected) in [
        (Path::new("/dev/null"), "is no plain file"),
        (&adapter, "is the input"),
    ] {
        let mut command = adamix();
        command.arg("predict").arg("--model").arg(fixture.model());
        command
            .arg("--adapter")
            .arg(&adapter)
            .args(["--lora-alpha", "16", "--task", "rte"]);
        command.arg("--input").arg(fixture.data().join("dev.tsv"));
        let error = refused(command.arg("--output").arg(output));
        assert!(error.contains(expected), "{error}");
    }
    adamix()
        .args(["runs", "remove"])
        .arg(&run)
        .assert()
        .success();
    assert!(!run.exists());
}

#[test]
fn a_head_that_is_not_in_the_file_is_told() {
    let fixture = Fixture::new();
    let out = fixture.path("run");
    train(&fixture, &out, &[]);
    let folder = out.join("merged/last");
    let path = folder.join("adapter_model.safetensors");
    let weights = Weights::from_files(&folder, vec![path.clone()]).unwrap();
    let kept = weights.names().filter(|name| !name.contains("classifier"));
    let kept: BTreeMap<String, HostTensor> = kept
        .map(|name| (name.to_owned(), weights.tensor(name).unwrap()))
        .collect();
    write::safetensors(&path, &kept, Precision::F32).unwrap();
    let mut command = adamix();
    command.arg("predict").arg("--model").arg(fixture.model());
    command
        .arg("--adapter")
        .arg(&folder)
        .args(["--task", "rte"]);
    command.arg("--input").arg(fixture.data().join("dev.tsv"));
    let error = refused(command.arg("--output").arg(fixture.path("p.jsonl")));
    assert!(
        error.contains("`classifier.") && error.contains("is missing"),
        "{error}"
    );
}

#[test]
fn an_adapter_answers_its_own_task_alone() {
    let fixture = Fixture::new();
    let out = fixture.path("run");
    train(&fixture, &out, &[]);
    let mut command = adamix();
    command.arg("predict").arg("--model").arg(fixture.model());
    command.arg("--run").arg(&out).args(["--task", "mnli"]);
    command.arg("--input").arg(fixture.data().join("dev.tsv"));
    let error = refused(command.arg("--output").arg(fixture.path("p.jsonl")));
    assert!(
        error.contains("`mnli`") && error.contains("another task"),
        "{error}"
    );
}

#[test]
fn more_layers_than_there_are_cannot_be_adapted() {
    let fixture = Fixture::new();
    let mut command = adamix();
    command.args(["train", "--config"]).arg(fixture.config());
    command.args(["--set", "adaptation.layers=99", "--out"]);
    let error = refused(command.arg(fixture.path("run")));
    assert!(error.contains("`adaptation.layers` is 99"), "{error}");
}

#[test]
fn an_adapter_is_refused_on_another_base() {
    let fixture = Fixture::new();
    let out = fixture.path("run");
    train(&fixture, &out, &[]);
    let other = Fixture::with_seed(2);
    let mut command = adamix();
    command
        .arg("predict")
        .arg("--model")
        .arg(other.model())
        .arg("--run")
        .arg(&out);
    command
        .arg("--input")
        .arg(fixture.data().join("dev.tsv"))
        .args(["--task", "rte", "--output"])
        .arg(fixture.path("p.jsonl"));
    let error = refused(&mut command);
    assert!(error.contains("hash"), "{error}");
    assert!(!fixture.path("p.jsonl").exists());
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    let fixture = Fixture::new();
    let mut command = adamix();
    command
        .arg("train")
        .arg("--config")
        .arg(fixture.config())
        .arg("--out")
        .arg(fixture.path("run"));
    let error = refused(command.args(["--set", "optimizer.learning_rate=1e30"]));
    assert!(
        error.contains("step") && error.contains("not finite") || error.contains("NaN"),
        "{error}"
    );
    assert!(!fixture.path("run").join("result.json").exists());
}

#[test]
fn a_bench_times_steps_and_searches_that_have_room() {
    let bench = |words: &[&str]| {
        let mut command = adamix();
        command.args(["bench", "--repeats", "1", "--batch", "1", "--json"]);
        command.args(words);
        command
    };
    let step = ["--architecture", "minilm-l6", "--tokens", "8"];
    let search = [
        "--architecture",
        "gpt2-mini",
        "--tokens",
        "8",
        "--beams",
        "2",
    ];
    for (words, work, tokens) in [
        (&step[..], "step", 8.0),
        (
            &[&search[..], &["--new-tokens", "4"]].concat(),
            "search",
            4.0,
        ),
    ] {
        let output = bench(words).output().unwrap();
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["work"], work);
        let [rate, seconds] =
            ["tokens_per_second", "median_seconds"].map(|name| found[name].as_f64().unwrap());
        assert!((rate * seconds - tokens).abs() < 1e-6, "{found}");
        assert!(found["gflops"].as_f64() > Some(0.0));
    }
    for (words, culprit) in [
        (
            ["--architecture", "minilm-l6", "--tokens", "600"],
            "512 positions",
        ),
        (
            ["--architecture", "gpt2-mini", "--tokens", "500"],
            "512 positions",
        ),
        (
            ["--architecture", "gpt2-nano", "--tokens", "5"],
            "gpt2-mini",
        ),
    ] {
        let line = refused(&mut bench(&words));
        assert!(line.contains(culprit), "{line}");
    }
}

//! What a step of training does, told by the trace of the real program.

mod fixture;
mod process;

use std::collections::BTreeSet;
use std::path::Path;

use fixture::Fixture;
use process::adamix;
use serde_json::Value;

/// Trains a config with further settings; returns the lines of a file of the run.
fn lines(config: &Path, out: &Path, file: &str, settings: &[&str]) -> Vec<Value> {
    let mut command = adamix();
    command.args(["train", "--trace", "--config"]).arg(config);
    command.arg("--out").arg(out);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = std::fs::read_to_string(out.join(file)).unwrap();
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

fn trace(fixture: &Fixture, name: &str, settings: &[&str]) -> Vec<Value> {
    let out = fixture.path(name);
    lines(&fixture.config(), &out, "trace.jsonl", settings)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn two_passes_are_made_where_they_differ_and_their_distance_is_in_the_loss() {
    let fixture = Fixture::new();
    let micro = |step: &Value| step["micro"][0].clone();
    let passes = |step: &Value| micro(step)["passes"].as_array().unwrap().clone();

    let weighted = ["consistency.weight=2.5", "backbone.dropout=0.0"];
    let steps = trace(&fixture, "mixture", &weighted);
    assert!(steps.iter().all(|step| passes(step).len() == 2));
    let differ = steps
        .iter()
        .filter(|step| passes(step)[0] != passes(step)[1]);
    assert!(differ.count() > 0, "both passes draw the same experts");
    let mut largest: f64 = 0.0;
    for step in &steps {
        let term = number(&micro(step)["consistency_loss"]);
        let whole = number(&micro(step)["task_loss"]) + 2.5 * term;
        assert!((number(&step["loss"]) - whole).abs() < 1e-5, "{step}");
        largest = largest.max(term);
    }
    assert!(largest > 0.0);

    // One adapter: the passes differ by their dropout alone, and without any there is no second one.
    let single = ["adaptation.method=adapter", "consistency.weight=1.0"];
    let steps = trace(&fixture, "dropout", &single);
    for step in &steps {
        assert_eq!(passes(step).len(), 2);
        assert!(number(&micro(step)["consistency_loss"]) > 0.0, "{step}");
    }
    let still = [&single[..], &["backbone.dropout=0.0"]].concat();
    for step in trace(&fixture, "still", &still) {
        assert_eq!(passes(&step).len(), 1);
        assert_eq!(micro(&step)["consistency_loss"], Value::Null);
    }
}

#[test]
fn micro_batches_are_averaged_and_their_gradient_is_clipped() {
    let fixture = Fixture::new();
    // All rows in one update, whatever their order.
    let base = [
        "adaptation.method=adapter",
        "backbone.dropout=0.0",
        "input.train_rows=8",
        "schedule.epochs=3",
        "schedule.warmup_ratio=0.0",
        "schedule.first_rate=step",
        // So large that an update is not the same for every length of its gradient.
        "optimizer.epsilon=1.0",
        "optimizer.learning_rate=1.0",
        "optimizer.weight_decay=0.0",
        "optimizer.max_grad_norm=0.0",
    ];
    let run = |name: &str, further: &[&str]| {
        let steps = trace(&fixture, name, &[&base, further].concat());
        assert_eq!(steps.len(), 3);
        steps
    };
    let whole = run("whole", &["schedule.batch_size=8"]);
    let halves = run(
        "halves",
        &["schedule.batch_size=4", "schedule.accumulation=2"],
    );
    assert_eq!(halves[0]["micro"].as_array().unwrap().len(), 2);
    for (a, b) in whole.iter().zip(&halves) {
        for key in ["loss", "grad_norm"] {
            let (a, b) = (number(&a[key]), number(&b[key]));
            assert!((a / b - 1.0).abs() < 1e-4, "{key}: {a} {b}");
        }
    }
    // What is clipped to nearly nothing moves nothing.
    let losses = |steps: &[Value]| [0, 2].map(|i| number(&steps[i]["loss"]));
    let [first, third] = losses(&whole);
    assert!((first - third).abs() > 1e-4, "{first} {third}");
    let clipped = run(
        "clipped",
        &["schedule.batch_size=8", "optimizer.max_grad_norm=1e-9"],
    );
    let [first, third] = losses(&clipped);
    assert!((first - third).abs() < 1e-6, "{first} {third}");
}

#[test]
fn the_best_epoch_is_the_earliest_of_the_best() {
    let fixture = Fixture::new();
    let out = fixture.path("run");
    let settings = [
        "adaptation.method=full",
        "schedule.epochs=8",
        "optimizer.learning_rate=0.003",
    ];
    let metrics = lines(&fixture.config(), &out, "metrics.jsonl", &settings);
    let of_dev = metrics.iter().filter(|line| line["split"] == "dev");
    let score = |line: &Value| number(&line["metrics"]["accuracy"]);
    let scores: Vec<f64> = of_dev.map(score).collect();
    assert_eq!(scores.len(), 8);
    let top = scores.iter().copied().fold(f64::MIN, f64::max);
    let earliest = 1 + scores.iter().position(|s| *s == top).unwrap();
    let text = std::fs::read_to_string(out.join("result.json")).unwrap();
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["best"]["epoch"], earliest);
    assert_eq!(result["best"]["metrics"]["accuracy"], top);
    assert_eq!(result["last"]["metrics"]["accuracy"], scores[7]);
    // The case tells a best epoch from the worst, from the first and from the last.
    assert!(
        scores.iter().any(|s| *s < top) && scores[0] < top,
        "{scores:?}"
    );
    assert!(earliest < 8, "{scores:?}");
}

/// Pairs with a number, in a CSV of one's own.
fn own_task(folder: &Path, second: &str) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, rows) in [("train", 24), ("dev", 10)] {
        let row = |i: usize| {
            let word = ["dog", "cat", "house", "river"][i % 4];
            let second = second.replace('*', ["dog", "old", "red"][i % 3]);
            format!("a {word},{second},{}\n", (i * 7 % 11) as f64 / 2.0)
        };
        let rows: String = (0..rows).map(row).collect();
        let file = folder.join(format!("{name}.csv"));
        std::fs::write(file, format!("one,other,grade\n{rows}")).unwrap();
    }
}

#[test]
fn a_regression_of_ones_own_runs_from_its_columns_to_its_scores() {
    let fixture = Fixture::new();
    let run = |name: &str, second: &str| {
        let (data, out) = (fixture.path(&format!("{name}-data")), fixture.path(name));
        own_task(&data, second);
        let config = fixture.path(&format!("{name}.toml"));
        let text = format!(
            "task = \"custom\"\ndata = {data:?}\nmodel = {:?}\n[custom]\nfirst = \"one\"\nsecond = \"other\"\n\
             label = \"grade\"\n[schedule]\nepochs = 2\nbatch_size = 8\n[evaluation]\nregression_floor = \"zero\"\n",
            fixture.model(),
        );
        std::fs::write(&config, text).unwrap();
        lines(&config, &out, "metrics.jsonl", &[])
    };
    let losses = run("pairs", "the * runs");
    assert_ne!(losses, run("blank", ""), "the second text is read");

    let out = fixture.path("pairs");
    let text = std::fs::read_to_string(out.join("result.json")).unwrap();
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["rows"]["train"], 24);
    assert_eq!(result["rows"]["dev"], 10);
    let text = std::fs::read_to_string(out.join("predictions/last.jsonl")).unwrap();
    let rows: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let found: Vec<f64> = rows.iter().map(|row| number(&row["label"])).collect();
    let ids: BTreeSet<u64> = rows
        .iter()
        .map(|row| row["row"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, (0..10).collect());
    assert!(found.iter().all(|f| *f >= 0.0), "{found:?}");
    // Pearson's correlation with the grades of the file.
    let grades: Vec<f64> = (0..10).map(|i| (i * 7 % 11) as f64 / 2.0).collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (x, y) = (mean(&found), mean(&grades));
    let pairs = || found.iter().zip(&grades);
    let product: f64 = pairs().map(|(f, g)| (f - x) * (g - y)).sum();
    let square = |v: &[f64], m: f64| v.iter().map(|v| (v - m).powi(2)).sum::<f64>();
    let expected = product / (square(&found, x) * square(&grades, y)).sqrt();
    let told = number(&result["last"]["metrics"]["pearson"]);
    assert!((told - expected).abs() < 1e-6, "{told} {expected}");
}

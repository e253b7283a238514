//! Merging after training, by the real program: any rule, several runs, and what is exact.

mod doubts;
#[path = "../fixture/mod.rs"]
mod fixture;

use std::path::{Path, PathBuf};

use adamix_models::hub::{Weights, adapter};
use assert_cmd::Command;
use fixture::Fixture;
use fixture::decoder::DecoderFixture;
use serde_json::Value;

fn adamix(words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("adamix").unwrap();
    command.args(words);
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Trains with large steps, so that the experts differ.
fn train(config: &Path, out: PathBuf, further: &[&str]) -> PathBuf {
    let mut words = vec!["train", "--config", text(config), "--out", text(&out)];
    for setting in [&["optimizer.learning_rate=0.02"], further].concat() {
        words.extend(["--set", setting]);
    }
    adamix(&words).assert().success();
    out
}

fn json(words: &[&str]) -> Value {
    let output = adamix(words).arg("--json").assert().success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

fn merge(runs: &[&Path], rule: &str, out: &Path, further: &[&str]) -> Value {
    let runs: Vec<&str> = runs.iter().map(|run| text(run)).collect();
    let words = [
        &["merge"],
        &runs[..],
        &["--rule", rule, "--out", text(out)],
        further,
    ]
    .concat();
    json(&words)
}

fn refused(words: &[&str]) -> String {
    let output = adamix(words).assert().failure().get_output().clone();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

fn number(value: &Value, path: &[&str]) -> f64 {
    let found = path.iter().fold(value, |value, key| &value[*key]);
    found
        .as_f64()
        .unwrap_or_else(|| panic!("{path:?} of {value}"))
}

/// Logits of the development rows.
fn predict(fixture: &Fixture, adapter: &Path) -> Vec<f64> {
    let (input, output) = (fixture.data().join("dev.tsv"), fixture.path("out.jsonl"));
    let (model, input, output) = (fixture.model(), text(&input), text(&output));
    let words = [
        "predict",
        "--model",
        text(&model),
        "--task",
        "rte",
        "--input",
        input,
    ];
    let words = [
        &words[..],
        &["--output", output, "--adapter", text(adapter)],
    ]
    .concat();
    adamix(&words).assert().success();
    let text = std::fs::read_to_string(output).unwrap();
    let logits = |line: &str| -> Vec<f64> {
        let line: Value = serde_json::from_str(line).unwrap();
        let logits = line["logits"].as_array().unwrap();
        logits.iter().map(|l| l.as_f64().unwrap()).collect()
    };
    text.lines().flat_map(logits).collect()
}

fn largest(one: &[f64], other: &[f64]) -> f64 {
    assert_eq!(one.len(), other.len());
    let pairs = one.iter().zip(other);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn every_rule_merges_a_run_into_an_adapter_that_serves() {
    let fixture = Fixture::new();
    let run = train(
        &fixture.config(),
        fixture.path("run"),
        &[
            "input.kept_for_merging=0.25",
            "adaptation.initializer_range=0.5",
        ],
    );
    let own = predict(&fixture, &run.join("merged/best"));
    let expert_logits: Vec<Vec<f64>> = (0..3)
        .map(|i| {
            let folder = fixture.path(&format!("expert-{i}"));
            let number = i.to_string();
            let words = ["export", text(&run), "--to", "peft", "--expert", &number];
            adamix(&[&words[..], &["--out", text(&folder)]].concat())
                .assert()
                .success();
            predict(&fixture, &folder)
        })
        .collect();
    doubts::are_those_of_the_experts(&fixture, &run, &expert_logits);
    let rules = [
        "uniform",
        "ties",
        "dare",
        "magnitude",
        "concatenation",
        "fisher",
        "regmean",
    ];
    for rule in rules.into_iter().chain(["greedy-soup", "learned-soup"]) {
        let out = fixture.path(rule);
        let report = merge(&[&run], rule, &out, &[]);
        assert_eq!(report["experts"].as_array().unwrap().len(), 3);
        let gathers = ["fisher", "regmean", "greedy-soup", "learned-soup"].contains(&rule);
        assert_eq!(report["gathered"].is_object(), gathers, "{report}");
        if gathers {
            assert_eq!(report["gathered"]["trained_on"], false);
        }
        let merged = predict(&fixture, &out);
        // A soup may take all experts alike.
        let same = largest(&merged, &own) < 1e-6;
        assert!(
            same == (rule == "uniform") || rule.ends_with("-soup"),
            "{rule}"
        );
        // The report's distance from the ensemble, taken anew from the predictions of the experts.
        let mean = |j: usize| expert_logits.iter().map(|l| l[j]).sum::<f64>() / 3.0;
        let squares = (0..merged.len()).map(|j| (merged[j] - mean(j)).powi(2));
        let distance = (squares.sum::<f64>() / merged.len() as f64).sqrt();
        let told = number(&report, &["distance", "logits"]);
        assert!(
            (told - distance).abs() < 1e-4 * distance.max(1e-2),
            "{rule}: {told} {distance}"
        );
        let variance = (0..merged.len()).map(|j| {
            expert_logits
                .iter()
                .map(|l| (l[j] - mean(j)).powi(2))
                .sum::<f64>()
                / 3.0
        });
        let variance = variance.sum::<f64>() / merged.len() as f64;
        let told = number(&report, &["expert_variance"]);
        assert!(
            (told - variance).abs() < 1e-3 * variance,
            "{rule}: {told} {variance}"
        );
        // `evaluate` gives the scores that were reported, and `export` takes the folder.
        let measured = json(&["evaluate", text(&run), "--adapter", text(&out)]);
        assert_eq!(measured["metrics"], report["merged"], "{rule}");
        let exported = fixture.path(&format!("{rule}-exported"));
        let model = fixture.model();
        let words = ["export", text(&out), "--model", text(&model)];
        adamix(&[&words[..], &["--out", text(&exported)]].concat())
            .assert()
            .success();
        assert!(
            largest(&merged, &predict(&fixture, &exported)) < 1e-6,
            "{rule}"
        );
    }
    // Weights of a learned soup add up, and were learned.
    let report = std::fs::read_to_string(fixture.path("learned-soup").join("merge.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let places = report["found"][0]["learned-soup"].as_object().unwrap();
    assert_eq!(places.len(), 2, "{report}");
    for weights in places.values() {
        let sum: f64 = weights
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_f64().unwrap())
            .sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }
    let all = places.values().flat_map(|w| w.as_array().unwrap());
    let mut moved = all.map(|w| (w.as_f64().unwrap() - 1.0 / 3.0).abs());
    assert!(moved.any(|m| m > 1e-3), "{report}");
    // The same again is the same to the byte, and a folder with something in it is left alone.
    let again = fixture.path("again");
    merge(&[&run], "fisher", &again, &[]);
    let bytes = |folder: &Path| std::fs::read(folder.join("adapter_model.safetensors")).unwrap();
    assert_eq!(bytes(&again), bytes(&fixture.path("fisher")));
    let words = ["merge", text(&run), "--out", text(&again)];
    assert!(refused(&words).contains("not empty"));
}

#[test]
fn overrides_are_for_the_sites_that_they_name() {
    let fixture = Fixture::new();
    let run = train(
        &fixture.config(),
        fixture.path("run"),
        &["schedule.max_steps=4", "adaptation.initializer_range=0.5"],
    );
    let overrides = |what: &str| format!("merging.overrides=[{{{what}}}]");
    let out = fixture.path("mixed");
    let first = overrides("sites=\"layer.1.output\", bank=\"down\", rule=\"regmean\"");
    let report = merge(&[&run], "uniform", &out, &["--set", &first]);
    assert_eq!(report["gathered"]["trained_on"], true);
    let everywhere = fixture.path("everywhere");
    merge(&[&run], "regmean", &everywhere, &[]);
    let uniform = fixture.path("uniform");
    merge(&[&run], "uniform", &uniform, &[]);
    let [mixed, everywhere, uniform] =
        [out, everywhere, uniform].map(|folder| predict(&fixture, &folder));
    assert!(largest(&mixed, &everywhere) > 1e-7 && largest(&mixed, &uniform) > 1e-7);

    let never = fixture.path("never");
    let nowhere = overrides("sites=\"layer.7.output\", bank=\"up\", rule=\"ties\"");
    let words = [
        "merge",
        text(&run),
        "--out",
        text(&never),
        "--set",
        &nowhere,
    ];
    let line = refused(&words);
    assert!(line.contains("`layer.7.output`, bank `up`"), "{line}");
    let (config, failed) = (fixture.config(), fixture.path("failed"));
    let words = [
        "train",
        "--config",
        text(&config),
        "--out",
        text(&failed),
        "--set",
        &nowhere,
    ];
    assert!(refused(&words).contains("`layer.7.output`, bank `up`"));
    assert!(!failed.exists());
    let soup = overrides("sites=\"*\", rule=\"greedy-soup\"");
    let words = ["merge", text(&run), "--out", text(&never), "--set", &soup];
    assert!(refused(&words).contains("whole models"));
    for (set, found) in [
        ("merging.rule=psychic", "learned-soup"),
        ("merging.options.denstiy=1", "denstiy"),
        ("schedule.epochs=3", "only keys of `merging`"),
    ] {
        let words = ["merge", text(&run), "--out", text(&never), "--set", set];
        let line = refused(&words);
        assert!(line.contains(found), "{line}");
    }
    assert!(!never.exists());
}

#[test]
fn several_runs_become_one() {
    let fixture = Fixture::new();
    let seeds: Vec<PathBuf> = (1..=3)
        .map(|seed| {
            let set = format!("seed={seed}");
            train(
                &fixture.config(),
                fixture.path(&format!("seed-{seed}")),
                &[&set],
            )
        })
        .collect();
    let runs: Vec<&Path> = seeds.iter().map(PathBuf::as_path).collect();
    let own: Vec<Vec<f64>> = runs
        .iter()
        .map(|run| predict(&fixture, &run.join("merged/best")))
        .collect();
    // All weight on one run is that run, head included.
    let alone = fixture.path("alone");
    let set = ["--set", "merging.options.weights=[0.0, 1.0, 0.0]"];
    merge(&runs, "weighted", &alone, &set);
    assert!(largest(&predict(&fixture, &alone), &own[1]) < 1e-6);
    for rule in [
        "uniform",
        "ties",
        "fisher",
        "regmean",
        "greedy-soup",
        "learned-soup",
    ] {
        let out = fixture.path(rule);
        let report = merge(&runs, rule, &out, &[]);
        assert_eq!(report["experts"].as_array().unwrap().len(), 3);
        let measured = json(&["evaluate", text(runs[0]), "--adapter", text(&out)]);
        assert_eq!(measured["metrics"], report["merged"], "{rule}");
        let mean = |j: usize| own.iter().map(|l| l[j]).sum::<f64>() / 3.0;
        let merged = predict(&fixture, &out);
        let squares = (0..merged.len()).map(|j| (merged[j] - mean(j)).powi(2));
        let distance = (squares.sum::<f64>() / merged.len() as f64).sqrt();
        let told = number(&report, &["distance", "logits"]);
        assert!(
            (told - distance).abs() < 1e-4 * distance.max(1e-2),
            "{rule}: {told} {distance}"
        );
    }
    let other = train(
        &fixture.config(),
        fixture.path("wide"),
        &["adaptation.bottleneck=5"],
    );
    let never = fixture.path("never");
    let words = ["merge", text(runs[0]), text(&other), "--out", text(&never)];
    assert!(refused(&words).contains("did not train the same parameters"));
}

#[test]
fn of_the_base_the_changes_are_merged() {
    let fixture = Fixture::new();
    let runs = [1, 2].map(|seed| {
        let settings = [
            "adaptation.method=bitfit",
            "schedule.max_steps=2",
            &format!("seed={seed}"),
        ];
        train(
            &fixture.config(),
            fixture.path(&format!("{seed}")),
            &settings,
        )
    });
    // Nothing of the changes stays: what was trained of the base is the base, and the heads, which started apart, are
    // nothing.
    let out = fixture.path("none");
    let set = ["--set", "merging.options.density=0"];
    merge(&[&runs[0], &runs[1]], "magnitude", &out, &set);
    let base = Weights::open(&fixture.model()).unwrap();
    let (_, tensors) = adapter::load(&out).unwrap();
    let (heads, of_base): (Vec<_>, Vec<_>) =
        (tensors.into_iter()).partition(|(name, _)| name.starts_with("classifier"));
    assert!(heads.len() > 1 && of_base.len() > 10);
    for (name, tensor) in of_base {
        let own = base.tensor(&name).or(base.tensor(&name["bert.".len()..]));
        assert_eq!(tensor.values, own.unwrap().values, "{name}");
    }
    for (name, tensor) in heads {
        assert!(tensor.values.iter().all(|v| *v == 0.0), "{name}");
    }
}

#[test]
fn what_is_exact_is_told_from_what_is_not() {
    let fixture = Fixture::new();
    let lora = [
        "adaptation.method=adamix-lora",
        "adaptation.equal_start=false",
    ];
    for (name, further, exact) in [
        ("up", &["adaptation.share=up"][..], true),
        ("down", &["adaptation.share=down"], true),
        ("none", &["adaptation.share=none"], false),
    ] {
        let run = train(
            &fixture.config(),
            fixture.path(name),
            &[&lora[..], further].concat(),
        );
        let found = json(&["verify-merge", text(&run)]);
        assert!(number(&found, &["stored", "largest"]) < 1e-5, "{found}");
        assert!(number(&found, &["banks", "from_mean"]) < 1e-6);
        let sites = found["sites"].as_array().unwrap();
        assert_eq!(sites.len(), 4);
        for site in sites {
            assert_eq!(site["exact"], exact, "{site}");
            let gap = number(site, &["product_gap"]);
            assert_eq!(gap < 1e-5, exact, "{site}");
            assert_eq!(number(site, &["output_gap"]) < 1e-4, exact, "{site}");
        }
        // Layers are not linear: the logits differ all the same.
        assert!(number(&found, &["model", "distance", "logits"]) > 1e-7);
    }
    let run = train(&fixture.config(), fixture.path("bottleneck"), &[]);
    let found = json(&["verify-merge", text(&run)]);
    for site in found["sites"].as_array().unwrap() {
        assert_eq!(site["exact"], false);
        assert!(site["why"].as_str().unwrap().contains("activation"));
        assert!(site["product_gap"].is_null() && number(site, &["output_gap"]) > 1e-6);
    }
    // A rule that is not the mean is not called one.
    let set = ["--set", "merging.rule=magnitude"];
    let found = json(&[&["verify-merge", text(&run)], &set[..]].concat());
    assert!(number(&found, &["banks", "from_mean"]) > 1e-6 && found["stored"].is_null());
}

#[test]
fn a_gated_run_is_compared_with_its_own_policy_and_exported_without_it() {
    let fixture = Fixture::new();
    let further = ["routing.policy=smear", "adaptation.method=adamix-lora"];
    let run = train(&fixture.config(), fixture.path("run"), &further);
    let found = json(&["verify-merge", text(&run), "--rows", "0"]);
    let routed = found["model"]["routed"].as_array().unwrap();
    assert!(number(&routed[1], &["logits"]) > 0.0);
    let native = json(&["evaluate", text(&run)]);
    assert_eq!(native["inference"], "routed");
    assert_eq!(native["metrics"], routed[0]);
    let out = fixture.path("exported");
    let words = ["export", text(&run), "--to", "peft", "--out", text(&out)];
    let output = adamix(&words).assert().success().get_output().clone();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("`smear`"), "{told}");
    assert!(out.join("adapter_config.json").is_file());
    let merged = predict(&fixture, &run.join("merged/best"));
    assert!(largest(&merged, &predict(&fixture, &out)) < 1e-6);
}

#[test]
fn decoders_merge_too() {
    let fixture = DecoderFixture::new();
    let run = train(
        &fixture.config(),
        fixture.path("run"),
        &["generation.beams=1"],
    );
    let found = json(&["verify-merge", text(&run)]);
    assert!(number(&found, &["stored", "largest"]) < 1e-4, "{found}");
    for site in found["sites"].as_array().unwrap() {
        assert_eq!(site["exact"], true, "{site}");
        assert!(number(site, &["product_gap"]) < 1e-5);
    }
    for rule in [
        "uniform",
        "fisher",
        "regmean",
        "greedy-soup",
        "learned-soup",
    ] {
        let out = fixture.path(rule);
        let report = merge(&[&run], rule, &out, &["--rows", "6"]);
        let measured = json(&["evaluate", text(&run), "--adapter", text(&out)]);
        let far = number(&measured, &["metrics", "loss"]) - number(&report, &["merged", "loss"]);
        assert!(far.abs() < 1e-4, "{rule}: {measured} {report}");
    }
}

#[test]
fn rules_are_compared_side_by_side() {
    let fixture = Fixture::new();
    let run = train(
        &fixture.config(),
        fixture.path("run"),
        &["schedule.max_steps=4", "adaptation.initializer_range=0.5"],
    );
    let rules = ["uniform", "product-svd", "fisher"];
    let named = rules.iter().flat_map(|rule| ["--rule", rule]);
    let words: Vec<&str> = ["merge", text(&run)].into_iter().chain(named).collect();
    let all = json(&words);
    let [uniform, fisher, svd] = all.as_array().unwrap().as_slice() else {
        panic!("{all}");
    };
    // GELU stands between these modules' sides: there is no product to decompose.
    assert_eq!(svd["merging"]["rule"], "product-svd");
    assert!(svd["refused"].as_str().unwrap().contains("linear"), "{svd}");
    assert!(uniform.get("gathered").is_none());
    for (rule, beside) in [("uniform", uniform), ("fisher", fisher)] {
        let mut alone = merge(&[&run], rule, &fixture.path(rule), &[]);
        alone.as_object_mut().unwrap().remove("out");
        assert_eq!(&alone, beside);
    }
    let printed = adamix(&words).assert().success().get_output().clone();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("product-svd\n  refused: "), "{printed}");

    let out = fixture.path("never");
    let line = refused(&[&words[..], &["--out", text(&out)]].concat());
    assert!(line.contains("takes the result of one --rule"), "{line}");
    let svd = ["--rule", "product-svd", "--rule", "product-svd"];
    let none = json(&[&["merge", text(&run)], &svd[..]].concat());
    assert!(none[0]["refused"].is_string() && none[1]["refused"].is_string());
    let unknown = refused(&[&words[..], &["--rule", "psychic"]].concat());
    assert!(unknown.contains("psychic"), "{unknown}");
    assert!(!out.exists());
}

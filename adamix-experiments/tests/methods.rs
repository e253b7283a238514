//! Every method of the paper's tables through the real program: trained, saved, loaded and measured again.

mod fixture;

use assert_cmd::Command;
use fixture::Fixture;
use serde_json::Value;

fn adamix(arguments: &[&str]) -> String {
    let mut command = Command::cargo_bin("adamix").expect("the program is built with its tests");
    let output = command.args(arguments).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_method_trains_and_its_adapter_gives_the_same_predictions() {
    let fixture = Fixture::new();
    let config = fixture.config().display().to_string();
    let methods = adamix_experiments::config::KINDS.map(|(_, name)| name);
    let mixtures = ["adamix", "adamix-lora", "adamix-ia3", "adamix-prefix"];
    let mixtures = [&mixtures[..], &["adamix-houlsby", "adamix-prelayer"]].concat();
    for method in methods.into_iter().chain(mixtures) {
        let out = fixture.path(method).display().to_string();
        let set = format!("adaptation.method={method}");
        let settings = [
            "adaptation.length=3",
            "adaptation.lora_dropout=0.1",
            "backbone.dropout=0",
            "backbone.pooling=mean",
            "schedule.max_steps=2",
            &set,
        ];
        let mut arguments = vec!["train", "--config", &config, "--out", &out];
        for setting in settings {
            arguments.extend(["--set", setting]);
        }
        adamix(&arguments);
        let run = fixture.path(method);
        let result = json(&run.join("result.json"));
        assert_eq!(result["method"], method);
        let tuned = result["parameters"]["merged"].as_u64().unwrap()
            + result["parameters"]["unfrozen"].as_u64().unwrap();
        assert_eq!(tuned == 0, method == "head", "{method}");
        let measured: Value =
            serde_json::from_str(&adamix(&["evaluate", &out, "--state", "last", "--json"]))
                .unwrap();
        assert_eq!(
            measured["metrics"], result["last"]["metrics"],
            "{method}: {measured}"
        );
    }
}

#[test]
fn a_backbone_in_half_precision_trains_alike() {
    let fixture = Fixture::new();
    let config = fixture.config().display().to_string();
    let losses = ["f32", "bf16"].map(|precision| {
        let run = fixture.path(precision);
        let out = run.display().to_string();
        let set = format!("backbone.precision={precision}");
        let mut arguments = vec!["train", "--config", &config, "--out", &out];
        for setting in ["backbone.pooling=mean", "schedule.max_steps=4", &set] {
            arguments.extend(["--set", setting]);
        }
        adamix(&arguments);
        let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let losses: Vec<f64> = lines.filter_map(|line| line["loss"].as_f64()).collect();
        assert_eq!(losses.len(), 4);
        // Loaded again, its frozen maps are what they were: the same predictions to the last bit.
        let dev = fixture.data().join("dev.tsv").display().to_string();
        let again = fixture.path("again.jsonl").display().to_string();
        let model = fixture.model().display().to_string();
        let words = ["predict", "--model", &model, "--run", &out, "--task", "rte"];
        let words = [&words[..], &["--input", &dev]].concat();
        adamix(&[&words[..], &["--output", &again]].concat());
        let logits = |path: &std::path::Path| -> Vec<f32> {
            let text = std::fs::read_to_string(path).unwrap();
            let line = |line| {
                let line: Value = serde_json::from_str(line).unwrap();
                let logits = line["logits"].as_array().unwrap().clone();
                logits
                    .into_iter()
                    .map(|logit| logit.as_f64().unwrap() as f32)
            };
            text.lines().flat_map(line).collect()
        };
        let state = run.join("predictions/best.jsonl");
        assert_eq!(logits(&fixture.path("again.jsonl")), logits(&state));
        losses
    });
    let [full, half] = losses;
    assert_ne!(full, half);
    for (full, half) in full.iter().zip(&half) {
        // Weights are off by up to 1/256, random and of both signs.
        assert!((full - half).abs() < 0.02, "{full} {half}");
    }
}

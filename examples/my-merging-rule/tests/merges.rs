//! The rule by hand, in a run, and in `merge`, by the real program.

use std::path::Path;

use adamix_core::merging::{MergeRule, Place};
use assert_cmd::Command;
use my_merging_rule::Median;
use serde_json::Value;

#[test]
fn medians_by_hand() {
    let place = Place::bank("adamix", "down");
    let experts: [&[f32]; 3] = [&[1.0, -2.0], &[9.0, 0.0], &[2.0, 5.0]];
    assert_eq!(Median {}.combine(&experts, &place), Ok(vec![2.0, 0.0]));
    assert_eq!(
        Median {}.combine(&experts[..2], &place),
        Ok(vec![5.0, -1.0])
    );
    assert_eq!(
        Median {}.combine(&experts[..1], &place),
        Ok(vec![1.0, -2.0])
    );
}

fn json(words: &[&str]) -> Value {
    let mut command = Command::cargo_bin("my-merging-rule").unwrap();
    let output = command.args(words).arg("--json").assert().success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

#[test]
fn the_program_merges_by_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("run.toml");
    let (run, out) = (path("run"), path("merged"));
    let result = json(&["train", "--config", config.to_str().unwrap(), "--out", &run]);
    let again = json(&["merge", &run, "--rule", "median", "--out", &out]);
    // The run was measured merged by the median, so the same rule afterwards scores the same.
    assert_eq!(
        again["merged"], result["best"]["metrics"],
        "{again} {result}"
    );
    let mean = json(&["merge", &run, "--rule", "uniform", "--out", &path("mean")]);
    assert_ne!(mean["distance"], again["distance"]);
}

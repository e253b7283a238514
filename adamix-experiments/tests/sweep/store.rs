//! The store of runs, listed and compared.

use std::path::PathBuf;

use serde_json::Value;

use crate::fixture::Fixture;
use crate::process::adamix;
use crate::{fails, succeeds};

#[test]
fn runs_are_listed_compared_shown_and_removed() {
    let fixture = Fixture::new();
    let store = fixture.path("runs");
    for (name, settings) in [("one", "seed=1"), ("two", "adaptation.method=head")] {
        let mut train = adamix();
        train
            .args(["train", "--set", settings, "--config"])
            .arg(fixture.config());
        succeeds(train.arg("--out").arg(store.join(name)));
    }
    let runs = |words: &[&str]| {
        let mut command = adamix();
        command.args(["runs", "--runs"]).arg(&store).args(words);
        command
    };
    let listed = |words: &[&str]| -> Vec<String> {
        let all = succeeds(runs(&["list", "--json"]).args(words));
        let all: Value = serde_json::from_str(&all).unwrap();
        let name = |run: &Value| {
            let folder = PathBuf::from(run["folder"].as_str().unwrap());
            folder.file_name().unwrap().to_string_lossy().into_owned()
        };
        all.as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(listed(&[]), ["one", "two"]);
    assert_eq!(listed(&["--where", "adaptation.method!=adamix"]), ["two"]);
    assert_eq!(
        listed(&["--where", "state=done", "--where", "best.accuracy>1"]),
        [""; 0]
    );
    let error = fails(&mut runs(&["list", "--where", "speed=1"]));
    assert!(error.contains("no run says `speed`"), "{error}");
    let text = succeeds(&mut runs(&["list"]));
    assert!(text.contains("rte") && text.contains("accuracy"), "{text}");

    let text = succeeds(&mut runs(&["compare", "one", "two"]));
    assert!(
        text.contains("adaptation.method") && text.contains("consistency.weight"),
        "{text}"
    );
    assert!(!text.contains("schedule.epochs"), "{text}");
    let json: Value =
        serde_json::from_str(&succeeds(&mut runs(&["compare", "one", "two", "--json"]))).unwrap();
    assert_eq!(
        json["config"]["adaptation.method"],
        serde_json::json!(["adamix", "head"])
    );
    let text = succeeds(&mut runs(&["show", "tw"]));
    assert!(
        text.contains("method = \"head\"") && text.contains("best  epoch"),
        "{text}"
    );

    let error = fails(&mut runs(&["remove", "one", "three"]));
    assert!(error.contains("no run `three`"), "{error}");
    assert_eq!(listed(&[]), ["one", "two"], "all or none");
    succeeds(&mut runs(&["remove", "one"]));
    assert_eq!(listed(&[]), ["two"]);
}

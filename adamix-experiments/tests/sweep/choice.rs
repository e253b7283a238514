//! Successive halving, and what is chosen.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fixture::Fixture;
use crate::process::adamix;
use crate::{counts, fails, run, status, succeeds, sweep};

#[test]
fn halving_gives_more_to_the_better_and_the_choice_is_the_next_sweeps_case() {
    let fixture = Fixture::new();
    let text = "[grid]\nadaptation.method = [\"adapter\", \"head\"]\n[search]\ntrials = 4\nseed = 3\n\
                [search.space]\noptimizer.learning_rate = { low = 1e-4, high = 1e-1, scale = \"log\" }\n\
                [search.halving]\nkey = \"schedule.epochs\"\nvalues = [1, 2]\nfactor = 2\n\
                [choose]\nfor_each = [\"adaptation.method\"]\nepoch = \"last\"\n";
    let file = sweep(&fixture, "search", text);
    let store = fixture.path("runs");
    succeeds(&mut run(&file, &store, "2"));
    let folder = store.join("sweeps/search");
    assert_eq!(counts(&folder), BTreeMap::from([("done".to_owned(), 12)]));
    let status: Value = serde_json::from_str(&status(&folder, "--json")).unwrap();
    let runs = status["runs"].as_array().unwrap();
    // Of each method's four trials the two with the best last epoch go on.
    for method in ["adapter", "head"] {
        let of = |round: u64| -> Vec<(f64, f64)> {
            let mine = runs
                .iter()
                .filter(|r| r["settings"]["adaptation.method"] == method);
            let rate = |r: &Value| r["settings"]["optimizer.learning_rate"].as_f64().unwrap();
            let mine = mine.filter(|r| r["round"] == round);
            mine.map(|r| (r["value"].as_f64().unwrap(), rate(r)))
                .collect()
        };
        let (first, second) = (of(0), of(1));
        assert_eq!((first.len(), second.len()), (4, 2));
        let worst_kept = second
            .iter()
            .map(|(_, rate)| first.iter().find(|(_, r)| r == rate).unwrap().0)
            .fold(f64::INFINITY, f64::min);
        let better = first
            .iter()
            .filter(|(value, _)| *value > worst_kept)
            .count();
        assert!(better <= 1, "{first:?} {second:?}");
    }

    succeeds(adamix().args(["sweep", "choose"]).arg(&folder));
    // Elsewhere, the same cases; of several sweeps, one after the other.
    let (own, to) = (folder.join("chosen.toml"), fixture.path("both.toml"));
    let mut choose = adamix();
    choose.args(["sweep", "choose"]).args([&folder, &folder]);
    succeeds(choose.arg("--to").arg(&to));
    let own = std::fs::read_to_string(own).unwrap();
    assert_eq!(
        std::fs::read_to_string(to).unwrap(),
        format!("{own}\n{own}")
    );
    let chosen = std::fs::read_to_string(folder.join("chosen.toml")).unwrap();
    assert_eq!(chosen.matches("[[case]]").count(), 2, "{chosen}");
    let final_text = format!(
        "cases = {:?}\n[grid]\nseed = [1, 2]\n",
        folder.join("chosen.toml")
    );
    let file = sweep(&fixture, "final", &final_text);
    let plan = succeeds(
        adamix()
            .args(["sweep", "plan", "--runs"])
            .arg(&store)
            .arg(&file),
    );
    assert_eq!(plan.lines().count(), 4);
    // Its first seed was already run by the search.
    let done = plan
        .lines()
        .filter(|line| store.join(&line[..16]).join("result.json").is_file());
    assert_eq!(done.count(), 2);
}

#[test]
fn a_choice_that_no_run_could_give_is_refused_before_any_runs() {
    let fixture = Fixture::new();
    let store = fixture.path("runs");
    let refused = |text: &str| {
        let file = sweep(
            &fixture,
            "wrong",
            &format!("[grid]\nseed = [1, 2]\n[choose]\n{text}\n"),
        );
        let error = fails(
            adamix()
                .args(["sweep", "run", "--runs"])
                .arg(&store)
                .arg(&file),
        );
        assert!(!store.exists(), "{error}");
        error
    };
    let error = refused("metric = \"acuracy\"");
    assert!(error.contains("`acuracy`"), "{error}");
    assert!(error.contains("is measured by accuracy"), "{error}");
    let error = refused("for_each = [\"adaptation.method\"]");
    assert!(error.contains("which is on no axis"), "{error}");
}

//! Who does which run: the plan, several workers, failures, changed data.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::fixture::Fixture;
use crate::process::adamix;
use crate::{counts, done_lines, fails, run, status, succeeds, sweep};

#[test]
fn the_plan_is_the_same_every_time_and_names_each_run_once() {
    let fixture = Fixture::new();
    let text = "[[case]]\nadaptation.method = \"adapter\"\n[[case]]\nadaptation.method = \"adamix\"\nadaptation.experts = 2\n\
                [[zip]]\nschedule.epochs = [1, 2]\noptimizer.learning_rate = [1e-2, 1e-3]\n[grid]\nseed = [1, 2]\n";
    let file = sweep(&fixture, "plan", text);
    let plan = || {
        let mut command = adamix();
        command
            .args(["sweep", "plan", "--runs"])
            .arg(fixture.path("runs"))
            .arg(&file);
        command
    };
    let (once, twice) = (succeeds(&mut plan()), succeeds(&mut plan()));
    assert_eq!(once, twice);
    let (ids, settings): (Vec<&str>, Vec<&str>) = once
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .unzip();
    assert_eq!(
        settings,
        [
            "method=adapter learning_rate=0.01 epochs=1 seed=1",
            "method=adapter learning_rate=0.001 epochs=2 seed=1",
            "experts=2 method=adamix learning_rate=0.01 epochs=1 seed=1",
            "experts=2 method=adamix learning_rate=0.001 epochs=2 seed=1",
            "method=adapter learning_rate=0.01 epochs=1 seed=2",
            "method=adapter learning_rate=0.001 epochs=2 seed=2",
            "experts=2 method=adamix learning_rate=0.01 epochs=1 seed=2",
            "experts=2 method=adamix learning_rate=0.001 epochs=2 seed=2",
        ]
    );
    let json = succeeds(plan().arg("--json"));
    let spec: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(spec["id"], ids[0]);
    assert_eq!(spec["config"]["schedule"]["epochs"], 1);

    // The status says for every run where it stands on every axis, its default included.
    let status: Value =
        serde_json::from_str(&status(&fixture.path("runs/sweeps/plan"), "--json")).unwrap();
    let settings = |run: usize| status["runs"][run]["settings"]["adaptation.experts"].clone();
    assert_eq!((settings(0), settings(2)), (Value::from(3), Value::from(2)));

    // Two settings that are one run, and a key that is none.
    let file = sweep(&fixture, "same", "[grid]\nseed = [1, 1]\n");
    let mut same = adamix();
    same.args(["sweep", "plan", "--runs"])
        .arg(fixture.path("runs"))
        .arg(file);
    assert_eq!(succeeds(&mut same).lines().count(), 1);
    let file = sweep(&fixture, "wrong", "[grid]\noptimizer.lr = [1]\n");
    let mut wrong = adamix();
    wrong
        .args(["sweep", "plan", "--runs"])
        .arg(fixture.path("runs"))
        .arg(file);
    let error = fails(&mut wrong);
    assert!(error.contains("unknown key `optimizer.lr`"), "{error}");
    assert!(!fixture.path("runs/sweeps/wrong").exists());
}

#[test]
fn a_failed_run_is_listed_stops_no_other_and_is_tried_again() {
    let fixture = Fixture::new();
    let file = sweep(
        &fixture,
        "rates",
        "[grid]\noptimizer.learning_rate = [1e-3, 2e-3, 3e-3]\n",
    );
    let store = fixture.path("runs");
    let plan = succeeds(
        adamix()
            .args(["sweep", "plan", "--runs"])
            .arg(&store)
            .arg(&file),
    );
    let id = plan.lines().nth(1).unwrap().split('\t').next().unwrap();
    // Something lies where its folder would be.
    std::fs::write(store.join(id), "in the way").unwrap();

    let error = fails(&mut run(&file, &store, "2"));
    assert!(error.contains("1 of 3 runs failed"), "{error}");
    let folder = store.join("sweeps/rates");
    let expected = [("done".to_owned(), 2), ("failed".to_owned(), 1)];
    assert_eq!(counts(&folder), BTreeMap::from(expected));
    let text = succeeds(adamix().args(["sweep", "status"]).arg(&folder));
    assert!(text.contains(&format!("failed {id}: ")), "{text}");
    let chosen = succeeds(adamix().args(["sweep", "choose"]).arg(&folder));
    assert!(
        chosen.contains("the best of 3 settings, 1 of which failed"),
        "{chosen}"
    );
    // A worker without an order leaves it alone.
    succeeds(adamix().args(["sweep", "worker"]).arg(&folder));
    assert_eq!(counts(&folder)["failed"], 1);

    std::fs::remove_file(store.join(id)).unwrap();
    succeeds(&mut run(&file, &store, "2"));
    assert_eq!(counts(&folder), BTreeMap::from([("done".to_owned(), 3)]));
    assert!(done_lines(&folder).values().all(|times| *times == 1));
}

#[test]
fn workers_share_a_plan_and_do_each_run_once() {
    let fixture = Fixture::new();
    let file = sweep(&fixture, "shared", "[grid]\nseed = [1, 2, 3, 4, 5, 6]\n");
    let store = fixture.path("runs");
    succeeds(
        adamix()
            .args(["sweep", "plan", "--runs"])
            .arg(&store)
            .arg(&file),
    );
    let folder = store.join("sweeps/shared");
    let worker = |_| {
        let mut command = adamix();
        command
            .args(["sweep", "worker"])
            .arg(&folder)
            .stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let workers: Vec<Child> = (0..3).map(worker).collect();
    let mut said = String::new();
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success());
        said += &String::from_utf8(output.stdout).unwrap();
    }
    let done = said
        .lines()
        .filter(|line| line.contains("  done  "))
        .count();
    assert_eq!(done, 6, "{said}");
    assert_eq!(counts(&folder), BTreeMap::from([("done".to_owned(), 6)]));
    // By its place in the plan, as a job array asks: it is there.
    let said = succeeds(adamix().args(["sweep", "worker"]).arg(&folder).arg("5"));
    assert!(said.contains("  found  seed=6"), "{said}");
    let error = fails(adamix().args(["sweep", "worker"]).arg(&folder).arg("6"));
    assert!(error.contains("no run `6` among its 6"), "{error}");
}

#[test]
fn a_run_whose_data_changed_since_the_plan_is_refused() {
    let fixture = Fixture::new();
    let file = sweep(&fixture, "data", "");
    let store = fixture.path("runs");
    succeeds(
        adamix()
            .args(["sweep", "plan", "--runs"])
            .arg(&store)
            .arg(&file),
    );
    let train = fixture.data().join("train.tsv");
    let rows = std::fs::read_to_string(&train).unwrap();
    std::fs::write(&train, rows.replacen("cat", "dog", 1)).unwrap();
    let error = fails(
        adamix()
            .args(["sweep", "worker"])
            .arg(store.join("sweeps/data"))
            .arg("0"),
    );
    assert!(
        error.contains("changed since the sweep was planned"),
        "{error}"
    );
}

#[test]
fn a_worker_passes_over_a_run_whose_files_it_cannot_read() {
    let (fixture, elsewhere) = (Fixture::new(), Fixture::with_seed(2));
    let models = format!("[{:?}, {:?}]", elsewhere.model(), fixture.model());
    let text = format!("[grid]\nmodel = {models}\n");
    let file = sweep(&fixture, "partly", &text);
    let store = fixture.path("runs");
    let mut plan = adamix();
    plan.args(["sweep", "plan", "--runs"]).arg(&store).arg(file);
    assert_eq!(succeeds(&mut plan).lines().count(), 2);
    std::fs::remove_dir_all(elsewhere.model()).unwrap();
    let folder = store.join("sweeps/partly");
    let error = fails(adamix().args(["sweep", "worker"]).arg(&folder));
    let missing = elsewhere.model().display().to_string();
    assert!(error.contains(&missing), "{error}");
    let expected = [("done", 1), ("interrupted", 1)];
    assert_eq!(
        counts(&folder),
        expected.map(|(s, n)| (s.to_owned(), n)).into()
    );
}

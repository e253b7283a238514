//! Sweeps by the real program on a tiny model: killed workers, failures, a scheduler that is none.

mod fixture;
mod process;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use adamix_keys::Key;
use fixture::Fixture;
use process::{adamix, signal, wait_for};
use serde_json::Value;

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn fails(command: &mut Command) -> String {
    let output: Output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// A sweep file beside the fixture's config.
fn sweep(fixture: &Fixture, name: &str, text: &str) -> PathBuf {
    let path = fixture.path(&format!("{name}.toml"));
    std::fs::write(&path, format!("base = \"config.toml\"\n{text}")).unwrap();
    path
}

fn run(file: &Path, store: &Path, workers: &str) -> Command {
    let mut command = adamix();
    command.args(["sweep", "run", "--workers", workers, "--runs"]);
    command.arg(store).arg(file);
    command
}

fn status(folder: &Path, format: &str) -> String {
    succeeds(adamix().args(["sweep", "status", format]).arg(folder))
}

fn counts(folder: &Path) -> BTreeMap<String, u64> {
    let status: Value = serde_json::from_str(&status(folder, "--json")).unwrap();
    serde_json::from_value(status["counts"].clone()).unwrap()
}

/// How often each run says in its log that it was done.
fn done_lines(folder: &Path) -> BTreeMap<String, usize> {
    let mut done = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("logs")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| line.contains("  done  ")) {
            *done.entry(line[..16].to_owned()).or_default() += 1;
        }
    }
    done
}

const GRID: &str = "[config]\nschedule.epochs = 2\n[grid]\nseed = [1, 2, 3]\n\
                    adaptation.method = [\"adapter\", \"adamix\"]\n\
                    optimizer.learning_rate = [1e-4, 1e-3, 3e-3, 1e-2]\n";

/// Kills one of the store's workers, if there is one.
fn kill_a_worker(store: &Path, key: Key) -> bool {
    let Ok(entries) = std::fs::read_dir(store.join("claims")) else {
        return false;
    };
    let pid = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read(entry.ok()?.path()).ok()?;
        let claim: Value = serde_json::from_slice(&text).ok()?;
        (claim["state"] == "running").then(|| claim["pid"].as_u64())?
    };
    let pids: Vec<u64> = entries.filter_map(pid).collect();
    if pids.is_empty() {
        return false;
    }
    kill(pids[key.below(pids.len())])
}

fn kill(pid: u64) -> bool {
    let mut command = Command::new("kill");
    command.args(["-9", &pid.to_string()]).stderr(Stdio::null());
    command.status().unwrap().success()
}

#[test]
fn killed_workers_leave_the_table_of_an_undisturbed_sweep() {
    let fixture = Fixture::new();
    let file = sweep(&fixture, "grid", GRID);
    let (calm, rough) = (fixture.path("calm"), fixture.path("rough"));
    let clock = Instant::now();
    succeeds(&mut run(&file, &calm, "2"));
    // Kills come as often on a fast machine as on a slow one: in shares of what the undisturbed sweep took.
    let share = clock.elapsed() / 100;

    let quietly = |command: &mut Command| -> Child {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let (mut kills, mut commands) = (0, 1);
    let mut command = quietly(&mut run(&file, &rough, "3"));
    for round in 0u64.. {
        assert!(round < 50_000, "the sweep does not come to an end");
        let key = Key::new(31).purpose("kill").fold(round);
        if let Some(exit) = command.try_wait().unwrap() {
            if exit.success() {
                break;
            }
            // Killed, or some run was killed too often: the same command goes on.
            commands += 1;
            command = quietly(&mut run(&file, &rough, "3"));
        }
        if kills < 24 && kill_a_worker(&rough, key) {
            kills += 1;
            if kills % 4 == 0 {
                command.kill().unwrap();
            }
        }
        std::thread::sleep(share + share * key.purpose("pause").below(3) as u32);
    }
    println!("{kills} workers killed, {commands} commands");
    assert!(kills >= 4 && commands >= 2);

    let (calm, rough) = (calm.join("sweeps/grid"), rough.join("sweeps/grid"));
    assert_eq!(counts(&rough), BTreeMap::from([("done".to_owned(), 24)]));
    assert_eq!(status(&calm, "--csv"), status(&rough, "--csv"));
    let (told, told_rough) = (done_lines(&calm), done_lines(&rough));
    assert!(
        told.len() == 24 && told.values().all(|times| *times == 1),
        "{told:?}"
    );
    // A worker that is killed when it has just finished does not tell any more.
    assert!(
        told_rough.values().all(|times| *times == 1),
        "{told_rough:?}"
    );
    for id in told.keys() {
        for name in ["metrics.jsonl", "adapter/last/adamix.safetensors"] {
            let of =
                |folder: &Path| std::fs::read(folder.join("../..").join(id).join(name)).unwrap();
            assert!(of(&calm) == of(&rough), "{id}: {name} differs");
        }
    }
    assert_eq!(
        std::fs::read_dir(calm.join("../../claims"))
            .unwrap()
            .count(),
        0
    );
}

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
fn a_stop_reaches_every_run_and_the_same_command_goes_on() {
    let fixture = Fixture::new();
    let file = sweep(
        &fixture,
        "long",
        "[config]\nschedule.epochs = 60\n[grid]\nseed = [1, 2]\n",
    );
    let (calm, stopped) = (fixture.path("calm"), fixture.path("stopped"));
    succeeds(&mut run(&file, &calm, "2"));
    let mut command = run(&file, &stopped, "2");
    let mut command = command.stderr(Stdio::null()).spawn().unwrap();
    let folder = stopped.join("sweeps/long");
    wait_for(&folder.join("plan.jsonl"));
    for id in ids(&folder) {
        wait_for(&stopped.join(id).join("adapter/initial/adamix_config.json"));
    }
    signal(&command, "TERM");
    assert_eq!(command.wait().unwrap().code(), Some(3));
    assert_eq!(
        counts(&folder),
        BTreeMap::from([("interrupted".to_owned(), 2)])
    );
    for id in ids(&folder) {
        assert!(stopped.join(id).join("checkpoint/state.json").is_file());
    }
    succeeds(&mut run(&file, &stopped, "2"));
    assert_eq!(
        status(&calm.join("sweeps/long"), "--csv"),
        status(&folder, "--csv")
    );
    for id in ids(&folder) {
        let metrics = |store: &Path| std::fs::read(store.join(&id).join("metrics.jsonl")).unwrap();
        assert!(metrics(&calm) == metrics(&stopped));
    }
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

/// Programs that stand in for Slurm's: `sbatch` runs the array's tasks one after the other.
fn stand_in(fixture: &Fixture) -> String {
    let bin = fixture.path("bin");
    std::fs::create_dir(&bin).unwrap();
    let sbatch = "#!/bin/bash\nfor last; do :; done\n\
        tasks=$(sed -n 's/^#SBATCH --array=\\([0-9]*\\)-\\([0-9]*\\)$/\\1 \\2/p' \"$last\")\n\
        for i in $(seq $tasks); do SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$i bash \"$last\" >&2; done\n\
        echo 7\n";
    let squeue = "#!/bin/bash\n[ ! -e \"$QUEUED\" ] || echo 7\n";
    for (name, text) in [("sbatch", sbatch), ("squeue", squeue)] {
        std::fs::write(bin.join(name), text).unwrap();
        let all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join(name), all).unwrap();
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn an_array_is_submitted_once_and_its_tasks_are_the_missing_runs() {
    let fixture = Fixture::new();
    let file = sweep(
        &fixture,
        "array",
        "[grid]\nseed = [1, 2, 3]\n[resources]\nmemory = \"1G\"\n",
    );
    let (store, path, queued) = (
        fixture.path("runs"),
        stand_in(&fixture),
        fixture.path("queued"),
    );
    let submit = || {
        let mut command = run(&file, &store, "1");
        command
            .args(["--executor", "slurm"])
            .env("PATH", &path)
            .env("QUEUED", &queued);
        command
    };
    // One is there already, and is no task.
    succeeds(
        adamix()
            .args(["train", "--config"])
            .arg(fixture.config())
            .args(["--out"])
            .arg({
                let plan = succeeds(
                    adamix()
                        .args(["sweep", "plan", "--runs"])
                        .arg(&store)
                        .arg(&file),
                );
                store.join(&plan[..16])
            }),
    );
    let said = succeeds(&mut submit());
    assert!(said.contains("job 7: 2 of 3 runs submitted"), "{said}");
    let folder = store.join("sweeps/array");
    let script = std::fs::read_to_string(folder.join("slurm/array.sh")).unwrap();
    assert!(script.contains("#SBATCH --array=1-2\n") && script.contains("#SBATCH --mem=1G\n"));
    assert_eq!(counts(&folder), BTreeMap::from([("done".to_owned(), 3)]));
    assert!(succeeds(&mut submit()).contains("3 runs: 3 done"));

    // One is lost again; while Slurm has the last array, there is no second.
    let id = ids(&folder)[1].clone();
    succeeds(adamix().args(["runs", "remove", &id, "--runs"]).arg(&store));
    std::fs::write(&queued, "").unwrap();
    let error = fails(&mut submit());
    assert!(
        error.contains("job 7 of this sweep is still queued"),
        "{error}"
    );
}

fn ids(folder: &Path) -> Vec<String> {
    let plan = std::fs::read_to_string(folder.join("plan.jsonl")).unwrap();
    let id = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    plan.lines().map(id).collect()
}

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

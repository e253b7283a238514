//! Workers that are killed, and a stop that reaches all of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use adamix_keys::Key;
use serde_json::Value;

use crate::fixture::Fixture;
use crate::process::{signal, wait_for};
use crate::{GRID, counts, done_lines, ids, run, status, succeeds, sweep};

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

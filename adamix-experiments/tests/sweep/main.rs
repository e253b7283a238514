//! Sweeps by the real program on a tiny model.

#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../process/mod.rs"]
mod process;

mod choice;
mod killed;
mod scheduler;
mod store;
mod workers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fixture::Fixture;
use process::adamix;
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

const GRID: &str = "[config]\nschedule.epochs = 2\n[grid]\nseed = [1, 2, 3]\n\
                    adaptation.method = [\"adapter\", \"adamix\"]\n\
                    optimizer.learning_rate = [1e-4, 1e-3, 3e-3, 1e-2]\n";

//! The policy in a run of the real program, as its trace tells.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn program(words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("my-policy").unwrap();
    command.args(words);
    command
}

#[test]
fn the_program_trains_with_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let run = folder.path().join("run");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("run.toml");
    let (run_name, config) = (run.to_str().unwrap(), config.to_str().unwrap());
    let words = ["train", "--config", config, "--out", run_name, "--trace"];
    program(&words).assert().success();
    let trace = std::fs::read_to_string(run.join("trace.jsonl")).unwrap();
    // What the first pass of every step ran at the first layer.
    let steps: Vec<(u64, Value)> = trace
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let routes = line["micro"][0]["passes"][0].as_object().unwrap();
            let first = routes.values().next().unwrap().clone();
            (line["step"].as_u64().unwrap(), first)
        })
        .collect();
    assert_eq!(steps.len(), 16);
    let stays = |turn: u64| {
        let same = steps.iter().filter(|(step, _)| step / 2 == turn);
        same.map(|(_, route)| route).collect::<Vec<_>>()
    };
    assert!((0..=8).all(|turn| stays(turn).windows(2).all(|pair| pair[0] == pair[1])));
    let mut different: Vec<String> = steps.iter().map(|(_, route)| route.to_string()).collect();
    different.dedup();
    assert!(different.len() > 2, "{different:?}");
}

#[test]
fn a_setting_that_it_does_not_have_is_refused() {
    let output = program(&[
        "train",
        "--set",
        "routing.policy=sticky",
        "--set",
        "routing.options.stpes=3",
    ])
    .assert()
    .failure();
    let line = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(line.contains("stpes"), "{line}");
}

#[test]
fn the_tutorial_shows_this_crate() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(here.join(path)).unwrap();
    let tutorial = read("../../docs/tutorial-policy.md");
    assert!(tutorial.contains(&read("src/lib.rs")));
    let (_, program) = read("src/main.rs")
        .split_once("\n\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert!(tutorial.contains(&program));
    let config = read("run.toml");
    let routing = config.find("[routing]").unwrap();
    let routing = config[routing..].split("\n\n").next().unwrap();
    assert!(tutorial.contains(routing));
}

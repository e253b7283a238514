//! A run that is killed anywhere ends with the bytes of one that was not.

mod fixture;
mod process;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use adamix_keys::Key;
use fixture::Fixture;
use fixture::decoder::DecoderFixture;
use process::{adamix, files, signal, wait_for, wait_until_at_work};

/// How `abort` and SIGKILL end a process.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// The places where a run can be made to die, each with how often it is passed before it dies there. The run has
/// twelve steps of two micro-batches, saves every second one and measures in five batches, twice.
const POINTS: [&str; 26] = [
    "write run.toml",
    "rename run.toml",
    "write adamix.safetensors",
    "rename adamix_config.json",
    "micro@2",
    "step",
    "step@6",
    "step@7",
    "micro@23",
    "measure@2",
    "measure@9",
    "epoch",
    "epoch@2",
    "write step-4.safetensors",
    "rename step-4.safetensors",
    "write state.json@3",
    "rename state.json@4",
    "saved@4",
    // After the last save of the training, and after that of its end.
    "saved@6",
    "saved@7",
    "write best-6.safetensors",
    "adapter",
    "adapter@2",
    "write adamix.safetensors@3",
    "rename result.json",
    "finished",
];

/// The same of a run that learns to write: six steps, measured twice, its texts written at the end.
const DECODER_POINTS: [&str; 8] = [
    "micro@3",
    "step@3",
    "measure@2",
    "epoch@2",
    "rename step-4.safetensors",
    "write state.json@3",
    "write last.txt",
    "rename result.json",
];

/// What a run leaves that has no clock in it, by path; with the optimiser, from the checkpoint of its last step.
fn outcome(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let clocked = [
        "timings.jsonl",
        "result.json",
        ".lock",
        "state.json",
        "run.toml",
    ];
    let mut found = files(run);
    found.retain(|(path, _)| !clocked.iter().any(|name| path.ends_with(name)));
    found
}

/// Compares a run with the one that was not killed; says whether its optimiser was there to be compared.
fn assert_same(run: &Path, whole: &[(PathBuf, Vec<u8>)], what: &str) -> bool {
    let found = outcome(run);
    // A kill may come while the checkpoint of a whole run goes.
    let is_left = |path: &Path| found.iter().any(|(left, _)| left == path);
    let wanted: Vec<_> = whole
        .iter()
        .filter(|(path, _)| !path.starts_with("checkpoint") || is_left(path))
        .collect();
    let names: Vec<_> = found.iter().map(|(path, _)| path).collect();
    let wanted_names: Vec<_> = wanted.iter().map(|(path, _)| path).collect();
    assert_eq!(names, wanted_names, "{what}");
    for ((path, ours), (_, theirs)) in found.iter().zip(wanted) {
        assert!(ours == theirs, "{what}: {} differs", path.display());
    }
    whole
        .iter()
        .any(|(path, _)| path.to_string_lossy().contains("/step-") && is_left(path))
}

/// The command that trains a fixture's config into a folder.
fn train(config: &Path, out: &Path) -> Command {
    let mut command = adamix();
    command
        .arg("train")
        .arg("--trace")
        .arg("--config")
        .arg(config);
    command.arg("--out").arg(out);
    for setting in [
        "schedule.batch_size=4",
        "schedule.accumulation=2",
        "evaluation.batch_size=5",
        "checkpoint.steps=2",
    ] {
        command.args(["--set", setting]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs to the end, then dies after `result.json` and before the checkpoint goes, so that what the optimiser
/// came to can be compared too. A run that was whole before stays as it is.
fn finish(config: &Path, out: &Path) {
    if out.join("result.json").is_file() {
        return;
    }
    let status = train(config, out)
        .env("ADAMIX_FAULT", "finished")
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(SIGABRT), "{status}");
    assert!(out.join("result.json").is_file());
}

#[test]
fn killed_at_any_point() {
    let fixture = Fixture::new();
    let out = fixture.path("whole");
    finish(&fixture.config(), &out);
    let whole = outcome(&out);
    let has = |name: &str| whole.iter().any(|(path, _)| path.ends_with(name));
    assert!(has("checkpoint/step-12.safetensors") && has("merged/last/adapter_model.safetensors"));

    let key = Key::new(3).purpose("kills");
    let mut with_optimizer = 0;
    for (i, point) in POINTS.iter().enumerate() {
        let out = fixture.path(&format!("killed-{i}"));
        // Every second run dies once more, at a point drawn from the key, before it may go on to its end.
        let mut faults = vec![(*point).to_owned()];
        if i % 2 == 1 {
            faults.push(format!("any@{}", 1 + key.fold(i as u64).below(40)));
        }
        for (time, fault) in faults.iter().enumerate() {
            let status = train(&fixture.config(), &out)
                .env("ADAMIX_FAULT", fault)
                .status()
                .unwrap();
            // The second may be past its point.
            let died = status.signal() == Some(SIGABRT);
            assert!(died || (time == 1 && status.success()), "{fault}: {status}");
        }
        finish(&fixture.config(), &out);
        with_optimizer += usize::from(assert_same(&out, &whole, &faults.join(", then ")));
    }
    assert!(with_optimizer >= 20, "{with_optimizer}");
}

#[test]
fn a_decoder_is_killed_at_any_point() {
    let fixture = DecoderFixture::new();
    let out = fixture.path("whole");
    finish(&fixture.config(), &out);
    let whole = outcome(&out);
    let has = |name: &str| whole.iter().any(|(path, _)| path.ends_with(name));
    assert!(has("checkpoint/step-6.safetensors") && has("predictions/last.txt"));
    for (i, fault) in DECODER_POINTS.iter().enumerate() {
        let out = fixture.path(&format!("killed-{i}"));
        let mut command = train(&fixture.config(), &out);
        let status = command.env("ADAMIX_FAULT", fault).status().unwrap();
        assert_eq!(status.signal(), Some(SIGABRT), "{fault}: {status}");
        finish(&fixture.config(), &out);
        assert_same(&out, &whole, fault);
    }
}

#[test]
fn a_stop_while_texts_are_decoded_costs_no_training() {
    let fixture = DecoderFixture::new();
    let whole = fixture.path("whole");
    finish(&fixture.config(), &whole);
    let out = fixture.path("stopped");
    let mut command = train(&fixture.config(), &out);
    // Even where nothing else is to be saved.
    command.args([
        "--set",
        "checkpoint.steps=0",
        "--set",
        "checkpoint.minutes=0",
    ]);
    command
        .env("ADAMIX_FAULT", "decode=term")
        .stderr(Stdio::piped());
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("of 6, which is saved"), "{error}");
    assert!(out.join("checkpoint/step-6.safetensors").is_file());
    finish(&fixture.config(), &out);
    assert_same(&out, &outcome(&whole), "stopped while decoding");
}

#[test]
fn a_run_is_saved_as_often_as_its_minutes_say() {
    let fixture = Fixture::new();
    let whole = fixture.path("whole");
    finish(&fixture.config(), &whole);
    let out = fixture.path("killed");
    for (minutes, saved) in [("0", false), ("60", false), ("1e-9", true)] {
        let mut command = train(&fixture.config(), &out);
        command.args(["--set", "checkpoint.steps=0"]);
        command.args(["--set", &format!("checkpoint.minutes={minutes}")]);
        let status = command.env("ADAMIX_FAULT", "step@5").status().unwrap();
        assert_eq!(status.signal(), Some(SIGABRT), "{status}");
        let state = std::fs::read_to_string(out.join("checkpoint/state.json"));
        let step = state.ok().map(|text| {
            let state: serde_json::Value = serde_json::from_str(&text).unwrap();
            state["position"]["step"].as_u64().unwrap()
        });
        assert_eq!(step, saved.then_some(4), "{minutes}");
    }
    finish(&fixture.config(), &out);
    assert_same(&out, &outcome(&whole), "saved by the clock");
}

#[test]
fn killed_from_outside_at_any_time() {
    let fixture = Fixture::new();
    let out = fixture.path("whole");
    let clock = Instant::now();
    finish(&fixture.config(), &out);
    let took = clock.elapsed();
    let whole = outcome(&out);

    // Each run is killed up to three times; one that came to its end before counts for nothing.
    let key = Key::new(4).purpose("times");
    let mut kills = 0;
    for run in 0..40u64 {
        let out = fixture.path(&format!("killed-{run}"));
        for time in 0..3u64 {
            let share = 0.1 + 0.5 * key.fold(run).fold(time).uniform();
            let mut child = train(&fixture.config(), &out).spawn().unwrap();
            std::thread::sleep(took.mul_f64(share));
            child.kill().unwrap();
            let status = child.wait().unwrap();
            kills += usize::from(status.signal() == Some(SIGKILL));
        }
        finish(&fixture.config(), &out);
        assert_same(&out, &whole, &format!("run {run}"));
        if kills >= 20 {
            return;
        }
    }
    panic!("{kills} kills were in time");
}

#[test]
fn a_signal_saves_and_the_same_command_goes_on() {
    let fixture = Fixture::new();
    let long = |out: &Path| {
        let mut command = train(&fixture.config(), out);
        command.args(["--set", "schedule.epochs=30", "--set", "checkpoint.steps=0"]);
        command
    };
    let whole = fixture.path("whole");
    assert!(long(&whole).status().unwrap().success());

    let out = fixture.path("stopped");
    for name in ["INT", "TERM"] {
        let mut child = long(&out).stderr(Stdio::piped()).spawn().unwrap();
        wait_until_at_work(&child, &out);
        std::thread::sleep(Duration::from_millis(100));
        signal(&child, name);
        let status = child.wait().unwrap();
        let mut error = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut error).unwrap();
        assert_eq!(status.code(), Some(3), "{error}");
        assert!(
            error.contains(&format!("stopped by SIG{name} after step")) && error.contains("of 180"),
            "{error}"
        );
        assert!(!out.join("result.json").exists());
    }
    // By the folder alone this time.
    let mut resume = adamix();
    resume.args(["train", "--resume"]).arg(&out);
    assert!(resume.stdout(Stdio::null()).status().unwrap().success());
    assert_same(&out, &outcome(&whole), "stopped twice");
}

#[test]
fn a_signal_at_any_point() {
    let fixture = Fixture::new();
    let out = fixture.path("whole");
    finish(&fixture.config(), &out);
    let whole = outcome(&out);
    let out = fixture.path("stopped");
    // In a step; in a save; in a measurement, which is given up and done again; before the second epoch.
    for (fault, step) in [
        ("micro@3", 2),
        ("write state.json", 4),
        ("measure@2", 6),
        ("epoch", 7),
        ("step", 8),
        ("measure", 12),
        ("measure@4", 12),
    ] {
        let mut command = train(&fixture.config(), &out);
        let fault = format!("{fault}=term");
        command.env("ADAMIX_FAULT", &fault).stderr(Stdio::piped());
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{fault}: {error}");
        let expected = format!("stopped by SIGTERM after step {step} of 12, which is saved");
        assert!(error.contains(&expected), "{fault}: {error}");
    }
    finish(&fixture.config(), &out);
    assert!(assert_same(&out, &whole, "stopped seven times"));
}

#[test]
fn a_second_signal_stops_at_once() {
    let fixture = Fixture::new();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let out = fixture.path(name);
        let mut command = train(&fixture.config(), &out);
        let mut child = command.env("ADAMIX_FAULT", "saved=hang").spawn().unwrap();
        wait_for(&out.join("checkpoint/state.json"));
        signal(&child, name);
        std::thread::sleep(Duration::from_millis(500));
        assert!(
            child.try_wait().unwrap().is_none(),
            "it lets what it does end"
        );
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        // What was saved before is still there to go on from.
        finish(&fixture.config(), &out);
    }
}

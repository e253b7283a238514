//! What goes wrong around a run: what the user is told, and what is kept. The table of `docs/faults.md`.

mod fixture;
mod process;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use fixture::Fixture;
use process::{adamix, files, signal, wait_for, wait_until_at_work};

/// The command line that trains the fixture into a folder, saving after every second step.
fn train(fixture: &Fixture, out: &Path) -> Vec<String> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let program = env!("CARGO_BIN_EXE_adamix").to_owned();
    let mut line = vec![program, "train".to_owned(), "--trace".to_owned()];
    line.extend(["--config".to_owned(), text(&fixture.config())]);
    line.extend(["--out".to_owned(), text(out)]);
    line.extend(["--set".to_owned(), "checkpoint.steps=2".to_owned()]);
    line
}

fn command(line: &[String]) -> Command {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]);
    command
}

/// Runs a command that must fail with a code and one line; returns the line.
fn fails(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    assert!(error.starts_with("error: "), "{error}");
    error
}

fn succeeds(mut command: Command) {
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
}

/// A run as it is without any fault, and one that met a fault.
struct Case {
    fixture: Fixture,
    whole: Vec<(PathBuf, Vec<u8>)>,
    out: PathBuf,
}

impl Case {
    fn new() -> Self {
        let fixture = Fixture::new();
        let whole = fixture.path("whole");
        succeeds(command(&train(&fixture, &whole)));
        Self {
            whole: outcome(&whole),
            out: fixture.path("run"),
            fixture,
        }
    }

    fn line(&self) -> Vec<String> {
        train(&self.fixture, &self.out)
    }

    fn train(&self) -> Command {
        command(&self.line())
    }

    fn with_fault(&self, fault: &str) -> Command {
        let mut command = self.train();
        command.env("ADAMIX_FAULT", fault);
        command
    }

    fn checkpoint(&self) -> PathBuf {
        self.out.join("checkpoint/state.json")
    }

    /// The step of the checkpoint.
    fn saved_step(&self) -> u64 {
        let text = fs::read_to_string(self.checkpoint()).unwrap();
        let state: serde_json::Value = serde_json::from_str(&text).unwrap();
        state["position"]["step"].as_u64().unwrap()
    }

    /// The same command goes on from what was kept, to the bytes of the run without a fault.
    fn goes_on(&self) {
        assert!(!self.out.join("result.json").exists());
        succeeds(self.train());
        let (ours, theirs) = (outcome(&self.out), &self.whole);
        assert_eq!(ours.len(), theirs.len());
        for ((path, ours), (other, theirs)) in ours.iter().zip(theirs) {
            assert!(path == other && ours == theirs, "{}", path.display());
        }
    }
}

/// What a run leaves that has no clock in it.
fn outcome(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = files(run);
    let clocked = ["timings.jsonl", "result.json", ".lock", "run.toml"];
    found.retain(|(path, _)| !clocked.iter().any(|name| path.ends_with(name)));
    found
}

/// A command without the power to pass over permissions, which root has.
fn unprivileged(line: &[String]) -> Option<Command> {
    let root = Command::new("id").arg("-u").output().ok()?.stdout == b"0\n";
    if !root {
        return Some(command(line));
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--"]);
    let works = command
        .arg("true")
        .output()
        .is_ok_and(|o| o.status.success());
    if !works {
        println!("skipped: root, and no setpriv that could drop its powers");
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--"]);
    command.args(line);
    Some(command)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_full_disk_keeps_the_checkpoint_before() {
    let case = Case::new();
    for (fault, step) in [
        ("write step-4.safetensors=full", 2),
        ("rename state.json@2=full", 4),
        ("write best-6.safetensors=full", 6),
        ("write adamix.safetensors@2=full", 12),
        ("rename result.json=full", 12),
    ] {
        let error = fails(case.with_fault(fault), 1);
        let file = fault.split([' ', '@', '=']).nth(1).unwrap();
        assert!(
            error.contains(file) && error.contains("no storage space"),
            "{error}"
        );
        assert_eq!(case.saved_step(), step, "{fault}");
        let left = files(&case.out);
        assert!(
            !left
                .iter()
                .any(|(path, _)| path.extension().is_some_and(|e| e == "tmp"))
        );
    }
    case.goes_on();
}

#[test]
fn a_limit_on_file_sizes_is_met_by_the_records() {
    let fixture = Fixture::new();
    // Many short steps, so that no file is nearly as long as the trace.
    let line = |name: &str| {
        let mut line = train(&fixture, &fixture.path(name));
        for setting in [
            "schedule.epochs=6",
            "schedule.batch_size=1",
            "evaluation.after=last",
        ] {
            line.extend(["--set".to_owned(), setting.to_owned()]);
        }
        line
    };
    succeeds(command(&line("whole")));
    let whole = outcome(&fixture.path("whole"));
    let is_trace = |path: &Path| path.ends_with("trace.jsonl");
    let sizes = |of_trace: bool| {
        let files = whole
            .iter()
            .filter(move |(path, _)| is_trace(path) == of_trace);
        files.map(|(_, bytes)| bytes.len()).max().unwrap()
    };
    let (trace, others) = (sizes(true), sizes(false));
    assert!(trace > others + 4096, "{trace} {others}");
    // In units of 1024 bytes: too little for anything, and enough for every file but the trace.
    let out = fixture.path("limited");
    for (blocks, file) in [
        (1, ""),
        (trace / 1024 - 1, "trace.jsonl: cannot be written"),
    ] {
        let mut shell = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        shell.args(["-c", &script, "bash"]).args(line("limited"));
        let error = fails(shell, 1);
        assert!(
            error.contains("File too large") && error.contains(file),
            "{error}"
        );
        assert!(!out.join("result.json").exists());
    }
    succeeds(command(&line("limited")));
    assert!(outcome(&out) == whole);
}

#[test]
fn a_folder_that_may_not_be_written() {
    let case = Case::new();
    let parent = case.fixture.path("parent");
    fs::create_dir(&parent).unwrap();
    set_mode(&parent, 0o555);
    let inside = train(&case.fixture, &parent.join("run"));
    let Some(command) = unprivileged(&inside) else {
        return;
    };
    let error = fails(command, 1);
    assert!(
        error.contains("parent/run: cannot be created") && error.contains("Permission denied"),
        "{error}"
    );

    // Write-protected under a run that was stopped.
    fails(case.with_fault("loss@5=strike"), 1);
    set_mode(&case.out, 0o555);
    let error = fails(unprivileged(&case.line()).unwrap(), 1);
    assert!(
        error.contains("run.toml") && error.contains("Permission denied"),
        "{error}"
    );
    assert_eq!(case.saved_step(), 4);
    set_mode(&case.out, 0o755);

    let rows = case.fixture.data().join("train.tsv");
    set_mode(&rows, 0o000);
    let error = fails(unprivileged(&case.line()).unwrap(), 1);
    assert!(
        error.contains("train.tsv") && error.contains("Permission denied"),
        "{error}"
    );
    set_mode(&rows, 0o644);
    case.goes_on();
}

#[test]
fn a_file_removed_under_a_run() {
    let case = Case::new();
    let mut line = case.line();
    line.extend(["--set".to_owned(), "schedule.epochs=400".to_owned()]);
    for (file, expected) in [
        (
            "metrics.jsonl",
            "metrics.jsonl: was removed or changed while the run wrote it",
        ),
        (
            "trace.jsonl",
            "trace.jsonl: was removed or changed while the run wrote it",
        ),
    ] {
        let _ = fs::remove_dir_all(&case.out);
        let mut child = command(&line);
        let child = child.stderr(Stdio::piped()).spawn().unwrap();
        wait_for(&case.checkpoint());
        signal(&child, "STOP");
        fs::remove_file(case.out.join(file)).unwrap();
        signal(&child, "CONT");
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(expected), "{error}");
        // Its checkpoint counts on the file.
        let error = fails(command(&line), 1);
        assert!(
            error.contains(file) && error.contains("cannot be gone on with"),
            "{error}"
        );
    }
}

#[test]
fn a_damaged_checkpoint_is_refused_and_left_as_it_is() {
    let case = Case::new();
    fails(case.with_fault("loss@5=strike"), 1);
    let tensors = case.out.join("checkpoint/step-4.safetensors");
    let (state, values) = (
        fs::read(case.checkpoint()).unwrap(),
        fs::read(&tensors).unwrap(),
    );

    let refused = |expected: &str| {
        let error = fails(case.train(), 1);
        assert!(
            error.contains(expected) && error.contains("remove the folder to begin the run again"),
            "{error}"
        );
    };
    fs::remove_file(&tensors).unwrap();
    refused("step-4.safetensors: No such file");
    fs::write(&tensors, &values[..values.len() / 2]).unwrap();
    refused("truncated or damaged");
    fs::write(&tensors, &values).unwrap();
    fs::write(case.checkpoint(), &state[..state.len() / 2]).unwrap();
    refused("state.json: not a checkpoint");
    let text = String::from_utf8(state.clone()).unwrap();
    let outside = text.replace("step-4.safetensors", "../../model/model.safetensors");
    fs::write(case.checkpoint(), outside).unwrap();
    refused("is not a file of this folder");
    fs::write(case.checkpoint(), &state).unwrap();

    let metrics = case.out.join("metrics.jsonl");
    let lines = fs::read(&metrics).unwrap();
    fs::write(&metrics, &lines[..20]).unwrap();
    let error = fails(case.train(), 1);
    assert!(error.contains("metrics.jsonl: has 20 bytes"), "{error}");
    fs::write(&metrics, &lines).unwrap();
    case.goes_on();
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_name() {
    let case = Case::new();
    fails(case.with_fault("loss@5=strike"), 1);
    let refused = |setting: String, expected: &str| {
        let mut line = case.line();
        line.extend(["--set".to_owned(), setting]);
        let error = fails(command(&line), 1);
        assert!(error.contains(expected), "{error}");
    };
    refused(
        "optimizer.learning_rate=0.5".to_owned(),
        "`optimizer.learning_rate` is the default there and 0.5 here",
    );
    refused(
        "adaptation.experts=2".to_owned(),
        "`adaptation.experts` is 3 there and 2 here",
    );
    let data = case.fixture.copy_data("other");
    let rows = fs::read_to_string(data.join("train.tsv")).unwrap();
    fs::write(data.join("train.tsv"), rows.replace("cat", "dog")).unwrap();
    refused(format!("data={}", data.display()), "`the data's hash`");
    let other = Fixture::with_seed(2);
    refused(
        format!("model={}", other.model().display()),
        "`the base model's hash`",
    );
    // Paths and the rhythm of saving are free.
    let copy = case.fixture.copy_data("copy");
    let mut line = case.line();
    for setting in [
        format!("data={}", copy.display()),
        "checkpoint.steps=5".to_owned(),
    ] {
        line.extend(["--set".to_owned(), setting]);
    }
    succeeds(command(&line));
}

#[test]
fn the_clock_does_not_matter() {
    let case = Case::new();
    // The disk's clock as it would be, had the machine's jumped back by decades, and ahead.
    for year in [10, 70] {
        let _ = fs::remove_dir_all(&case.out);
        fails(case.with_fault("loss@5=strike"), 1);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(year * 365 * 24 * 3600);
        for (path, _) in files(&case.out) {
            let file = fs::File::options()
                .write(true)
                .open(case.out.join(path))
                .unwrap();
            file.set_modified(time).unwrap();
        }
        case.goes_on();
    }
}

#[test]
fn two_programs_do_not_share_a_folder() {
    let case = Case::new();
    let mut first = case
        .with_fault("step@5=hang")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until_at_work(&first, &case.out);
    wait_for(&case.checkpoint());
    let error = fails(case.train(), 4);
    let holder = format!("another program is at work here (process {})", first.id());
    assert!(error.contains(&holder), "{error}");
    first.kill().unwrap();
    first.wait().unwrap();
    case.goes_on();
}

#[test]
fn a_weight_that_is_no_number_is_named() {
    let case = Case::new();
    let folder = case.fixture.copy_model("broken");
    let path = folder.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    // The last tensor by name: the query's bias and weight of layer 1 come before the value's.
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let mut line = case.line();
    line.extend(["--set".to_owned(), format!("model={}", folder.display())]);
    let error = fails(command(&line), 1);
    assert!(
        error.contains("step 1: the loss is NaN; `bert.") && error.contains("not finite"),
        "{error}"
    );
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_it() {
    let case = Case::new();
    let error = fails(case.with_fault("loss@6=strike"), 1);
    assert!(error.contains("step 6: the loss is NaN"), "{error}");
    assert_eq!(case.saved_step(), 4);
    case.goes_on();
}

#[test]
fn an_output_that_is_no_number_is_no_answer() {
    let case = Case::new();
    let mut line = case.line();
    for setting in [
        "optimizer.learning_rate=1e38",
        "schedule.warmup_ratio=0",
        "schedule.max_steps=1",
    ] {
        line.extend(["--set".to_owned(), setting.to_owned()]);
    }
    let error = fails(command(&line), 1);
    assert!(
        error.contains("row ") && error.contains("output is not finite"),
        "{error}"
    );
    assert!(!case.out.join("result.json").exists());
}

#[test]
fn a_trace_cannot_begin_in_the_middle() {
    let case = Case::new();
    let mut line = case.line();
    line.retain(|word| word != "--trace");
    fails(
        {
            let mut command = command(&line);
            command.env("ADAMIX_FAULT", "loss@5=strike");
            command
        },
        1,
    );
    let error = fails(case.train(), 1);
    assert!(error.contains("began without --trace"), "{error}");
    succeeds(command(&line));
}

#[test]
fn a_reader_that_goes_away_is_no_fault_and_a_full_output_is() {
    let inspect = || {
        let mut command = adamix();
        command.args(["inspect", "--architecture", "roberta-large"]);
        command
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = inspect().stdout(writer).output().unwrap();
    assert!(output.status.success(), "{:?}", output.stderr);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = inspect();
    command.stdout(full);
    let output = command
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("standard output cannot be written"),
        "{error}"
    );
}

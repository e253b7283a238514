//! A pretraining that is stopped or killed anywhere ends with the bytes of one that was not.

mod process;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use adamix_data::synthetic;
use adamix_keys::Key;
use process::{adamix, files};
use tempfile::TempDir;

/// A corpus, and a config of twelve steps that is measured and saved every three.
struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new(objective: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let corpus = folder.path().join("corpus");
        std::fs::create_dir(&corpus).unwrap();
        let sentences = synthetic::generate(Key::new(5), 60)
            .into_iter()
            .map(|e| e.first);
        let text = sentences.collect::<Vec<_>>().join("\n\n");
        std::fs::write(corpus.join("a.md"), text).unwrap();
        let masking = match objective {
            "masked" => "[masking]\nrate = 0.15\nmasked = 0.8\nrandom = 0.1\n",
            _ => "",
        };
        let config = format!(
            "seed = 1\nobjective = \"{objective}\"\n\
             [corpus]\npaths = [{corpus:?}]\nheld_out_rows = 4\n\
             [model]\nvocab_size = 300\nhidden_size = 16\nnum_hidden_layers = 1\nnum_attention_heads = 2\n\
             intermediate_size = 32\ninitializer_range = 0.05\n{masking}\
             [training]\nsteps = 12\nbatch_size = 4\ntokens = 16\nlearning_rate = 5e-3\nwarmup_steps = 1\n\
             cooldown_steps = 2\nweight_decay = 0.01\nbeta2 = 0.98\nmax_grad_norm = 1.0\ncheckpoint_steps = 3\n"
        );
        std::fs::write(folder.path().join("pretrain.toml"), config).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A copy of the config with something else in it.
    fn changed(&self, name: &str, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = std::fs::read_to_string(self.path("pretrain.toml")).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from));
            text = text.replace(from, to);
        }
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

fn pretrain(config: &Path, out: &Path) -> Command {
    let mut command = adamix();
    command
        .arg("pretrain")
        .arg("--config")
        .arg(config)
        .arg("--out")
        .arg(out);
    command
}

fn with_fault(config: &Path, out: &Path, fault: &str) -> Output {
    pretrain(config, out)
        .env("ADAMIX_FAULT", fault)
        .output()
        .unwrap()
}

/// Runs to the end, and dies before the checkpoint goes; all without a clock in it that is left.
fn finish(config: &Path, out: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let output = with_fault(config, out, "finished");
    assert_eq!(output.status.signal(), Some(6), "{:?}", output.stderr);
    let clocked = ["timings.jsonl", "pretrain.json", ".lock", "state.json"];
    let mut found = files(out);
    found.retain(|(path, _)| !clocked.iter().any(|name| path.ends_with(name)));
    // The record but for its seconds.
    let text = std::fs::read(out.join("pretrain.json")).unwrap();
    let mut record: serde_json::Value = serde_json::from_slice(&text).unwrap();
    record["seconds"] = 0.into();
    found.push(("pretrain.json".into(), record.to_string().into_bytes()));
    found
}

fn assert_same(ours: &[(PathBuf, Vec<u8>)], theirs: &[(PathBuf, Vec<u8>)], what: &str) {
    let names =
        |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs), "{what}");
    for ((path, ours), (_, theirs)) in ours.iter().zip(theirs) {
        assert!(ours == theirs, "{what}: {} differs", path.display());
    }
}

#[test]
fn killed_or_stopped_anywhere() {
    for (objective, faults) in [
        (
            "masked",
            [
                "rename tokenizer.json",
                "micro",
                "step@5",
                "write step-6.safetensors",
                "rename state.json@2",
                "measure@2",
                "write model.safetensors",
                "rename pretrain.json",
            ],
        ),
        (
            "causal",
            [
                "step@3=term",
                "measure",
                "saved=term",
                "epoch",
                "any@9",
                "any@25",
                "rename config.json",
                "any@3",
            ],
        ),
    ] {
        let fixture = Fixture::new(objective);
        let config = fixture.path("pretrain.toml");
        let whole = finish(&config, &fixture.path("whole"));
        let has = |name: &str| whole.iter().any(|(path, _)| path.ends_with(name));
        assert!(has("model.safetensors") && has("checkpoint/step-12.safetensors"));
        // All one after the other, on one and the same run: two in three come on top of what was resumed.
        for (i, faults) in faults.chunks(3).enumerate() {
            let out = fixture.path(&format!("run-{i}"));
            for fault in faults {
                let output = with_fault(&config, &out, fault);
                let stopped = fault.ends_with("term") && output.status.code() == Some(3);
                let died = output.status.signal() == Some(6);
                assert!(stopped || died, "{fault}: {output:?}");
            }
            assert_same(&finish(&config, &out), &whole, &faults.join(", then "));
        }
    }
}

/// Twenty steps were planned; it is to end with the twelfth, as if that had been the plan.
#[test]
fn it_can_be_ended_early() {
    let fixture = Fixture::new("masked");
    let config = fixture.path("pretrain.toml");
    let whole = finish(&config, &fixture.path("whole"));
    let longer = fixture.changed("longer.toml", &[("steps = 12", "steps = 20")]);
    let out = fixture.path("out");
    let output = with_fault(&longer, &out, "step@10=term");
    assert_eq!(output.status.code(), Some(3));
    let refused = |changes: &[(&str, &str)], expected: &str| {
        let config = fixture.changed("other.toml", changes);
        let output = pretrain(&config, &out).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(error.contains(expected), "{error}");
    };
    // With this cool-down the tenth step would have been smaller than it was.
    refused(
        &[("cooldown_steps = 2", "cooldown_steps = 5")],
        "the learning rate of step 8",
    );
    refused(
        &[("\nsteps = 12", "\nsteps = 6")],
        "the checkpoint is after step 10",
    );
    refused(
        &[("beta2 = 0.98", "beta2 = 0.9")],
        "`training.beta2` is 0.98 there and 0.9 here",
    );
    refused(&[("seed = 1", "seed = 2")], "`seed` is 1 there and 2 here");
    assert_same(&finish(&config, &out), &whole, "ended early");
}

#[test]
fn a_folder_with_a_model_is_left_alone() {
    let fixture = Fixture::new("causal");
    let out = fixture.path("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("model.safetensors"), "precious").unwrap();
    let output = pretrain(&fixture.path("pretrain.toml"), &out)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("holds `model.safetensors`, which no pretraining left")
    );
    assert_eq!(
        std::fs::read(out.join("model.safetensors")).unwrap(),
        b"precious"
    );
}

#[test]
fn a_head_on_a_base_begins_again() {
    let fixture = Fixture::new("masked");
    let base = fixture.path("base");
    assert!(
        pretrain(&fixture.path("pretrain.toml"), &base)
            .status()
            .unwrap()
            .success()
    );
    std::fs::write(base.join("special_tokens_map.json"), "{}").unwrap();
    let text = std::fs::read_to_string(fixture.path("pretrain.toml")).unwrap();
    let (before, after) = text.split_once("[model]").unwrap();
    let (_, after) = after.split_once("[masking]").unwrap();
    let config = fixture.path("head.toml");
    let text = format!("{before}[base]\nfolder = {base:?}\ntrained = \"head\"\n[masking]{after}");
    std::fs::write(&config, text).unwrap();
    let (whole, out) = (fixture.path("whole"), fixture.path("out"));
    let whole = finish(&config, &whole);
    for fault in ["rename special_tokens_map.json", "micro@2"] {
        let status = with_fault(&config, &out, fault).status;
        assert_eq!(status.signal(), Some(6), "{fault}");
    }
    assert_same(
        &finish(&config, &out),
        &whole,
        "killed before the first checkpoint",
    );
}

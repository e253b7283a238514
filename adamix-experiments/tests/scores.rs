//! `adamix score` on files of a few lines.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// E2E's layout: three inputs, the second with two references.
    fn references(&self) -> PathBuf {
        let rows = "name[A],A is a pub.\nname[B],B is a pub.\nname[B],B serves food.\nname[C],C is a cafe.\n";
        self.file("refs.csv", &format!("mr,ref\n{rows}"))
    }
}

fn score(kind: &str, references: &Path, outputs: &Path, further: &[&str]) -> Command {
    let mut command = Command::cargo_bin("adamix").expect("the program is built with its tests");
    command.args(["score", kind, "--json", "--refs"]);
    command.arg(references).arg("--hyps").arg(outputs);
    command.args(further);
    command
}

fn scored(command: &mut Command) -> Value {
    let output = command.assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

fn refused(command: &mut Command, part: &str) {
    let output = command.assert().failure().get_output().stderr.clone();
    let error = String::from_utf8(output).unwrap();
    assert!(error.contains(part), "{error}\n  wanted {part}");
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn two_systems_are_compared_on_the_same_segments() {
    let folder = Folder::new();
    let references = folder.references();
    let rows = [
        "name[A]\tA is a pub.",
        "name[B]\tB has food.",
        "name[C]\tC is one.",
    ];
    let table = |rows: &[&str]| format!("MR\toutput\n{}\n", rows.join("\n"));
    let own = folder.file("own.tsv", &table(&rows));
    let turned = folder.file("turned.tsv", &table(&[rows[2], rows[0], rows[1]]));
    let fewer = folder.file("fewer.tsv", &table(&rows[..2]));
    let against = |other: &Path, samples: &str| {
        let other = other.display().to_string();
        let further = ["--bootstrap", samples, "--against", &other];
        score("rouge-l", &references, &own, &further)
    };
    let same = scored(&mut against(&own, "50"));
    assert_eq!(same["against"]["ROUGE_L"]["low"], 0.0);
    assert_eq!(same["against"]["ROUGE_L"]["high"], 0.0);
    refused(&mut against(&turned, "50"), "from segment 1 on");
    refused(&mut against(&fewer, "50"), "3 and 2 segments");
    refused(&mut against(&own, "0"), "--bootstrap");

    let part = scored(&mut score("rouge-l", &references, &fewer, &[]));
    let note = part["notes"][0].as_str().unwrap();
    assert!(note.contains("2 outputs for 2 of 3 inputs"), "{note}");
    let twice = folder.file("twice.tsv", &table(&[rows[0], rows[0], rows[1]]));
    let twice = scored(&mut score("rouge-l", &references, &twice, &[]));
    let note = twice["notes"][0].as_str().unwrap();
    assert!(note.contains("3 outputs for 2 of 3 inputs"), "{note}");
    assert!(scored(&mut score("rouge-l", &references, &own, &[]))["notes"].is_null());
}

#[test]
fn a_sentence_has_the_bleu_of_sacrebleu() {
    let folder = Folder::new();
    let references = folder.file("refs.txt", "food\nthe food is good\n");
    let outputs = folder.file("hyps.txt", "food\nthe food\n");
    let found = scored(&mut score("bleu", &references, &outputs, &["--segments"]));
    let segments = found["segments"]["BLEU"].as_array().unwrap();
    // sacrebleu.sentence_bleu: effective order, and the brevity penalty exp(1 - 4 / 2).
    for (found, expected) in segments.iter().zip([100.0, 100.0 * (-1f64).exp()]) {
        let found = found.as_f64().unwrap();
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }
}

#[test]
fn what_would_change_nothing_is_refused() {
    let folder = Folder::new();
    let text = folder.file("a.txt", "a pub\n");
    for (kind, option) in [
        ("bleu", "--python-mteval"),
        ("e2e", "--lower-and-split"),
        ("bleu", "--phantom-segment"),
        ("e2e", "--tokenizer=char"),
        ("e2e", "--references=1"),
    ] {
        let name = option.split('=').next().unwrap();
        refused(&mut score(kind, &text, &text, &[option]), name);
    }
    let missing = folder.0.path().join("missing").display().to_string();
    let meteor = ["--meteor", &missing];
    refused(&mut score("meteor", &text, &text, &meteor), &missing);
    let broken = folder
        .file("broken.index", "no index")
        .display()
        .to_string();
    let meteor = ["--meteor", &broken];
    refused(&mut score("meteor", &text, &text, &meteor), &broken);
}

#[test]
fn markup_inside_a_text_is_no_text() {
    let folder = Folder::new();
    let entry = |lex: &str| {
        format!(
            "<benchmark><entries><entry category=\"Airport\"><modifiedtripleset>\n\
             <mtriple>A | b | C</mtriple></modifiedtripleset>\n\
             <lex comment=\"good\">{lex}</lex></entry></entries></benchmark>"
        )
    };
    let outputs = folder.file("hyps.txt", "A &amp; C.\n");
    let good = folder.file("good.xml", &entry("A &amp; C."));
    scored(&mut score("chrf", &good, &outputs, &[]));
    for (name, lex) in [
        ("enriched.xml", "<text>A b C.</text><template>T</template>"),
        ("cdata.xml", "<![CDATA[A b C.]]>"),
    ] {
        let references = folder.file(name, &entry(lex));
        refused(
            &mut score("chrf", &references, &outputs, &[]),
            "markup inside a text",
        );
    }
}

#[test]
fn committed_texts_have_the_scores_that_their_records_state() {
    let Some(shared) = std::env::var_os("ADAMIX_SHARED") else {
        println!("skipped: ADAMIX_SHARED names no folder of reference files");
        return;
    };
    let references = Path::new(&shared).join("data/e2e/csv/testset_w_refs.csv");
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../paper-results/laptop");
    let read =
        |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let mut checked = 0;
    let mut check = |outputs: &Path, stated: &Value| {
        let stated = stated.as_object().unwrap();
        let found = scored(&mut score(
            "e2e",
            &references,
            outputs,
            &["--python-mteval"],
        ));
        for (name, value) in found["scores"].as_object().unwrap() {
            let stated = stated
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name));
            let stated = stated.and_then(|(_, stated)| stated.as_f64());
            let Some(value) = value.as_f64() else {
                assert_eq!(name, "METEOR", "without its data METEOR alone is not there");
                continue;
            };
            assert!(
                stated.is_some_and(|stated| (stated - value).abs() < 1e-9),
                "{}: {name} is stated as {stated:?}, its texts have {value}",
                outputs.display()
            );
            checked += 1;
        }
    };
    let longer = read(&results.join("e2e/full-3-passes.json"));
    check(
        &results.join("e2e/full-3-passes.txt"),
        &longer["test"]["last"]["scores"]["all"],
    );
    let folder = Folder::new();
    for entry in results.join("records").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("e2e-") {
            continue;
        }
        let last = &read(&path)["last"];
        let texts = last["outputs"]["texts"].as_array().unwrap();
        let lines: Vec<&str> = texts.iter().map(|text| text.as_str().unwrap()).collect();
        let outputs = folder.file(&format!("{name}.txt"), &(lines.join("\n") + "\n"));
        check(&outputs, &last["metrics"]);
    }
    assert!(checked >= 4 * 6, "{checked} scores of committed texts");
}

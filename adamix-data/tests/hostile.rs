//! Files that nobody means well with: each reader refuses them in words, soon, and never panics.

mod damage;

use std::path::Path;
use std::time::{Duration, Instant};

use adamix_data::nlg::Corpus;
use adamix_data::{Columns, Split, TableSpec, Task, Tokenizer, load};
use damage::hostile;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// An error is one line that names the file; a result is fine too: not every damage shows.
fn check<T, E: std::fmt::Display>(found: Result<T, E>, folder: &Path) {
    if let Err(error) = found {
        let error = error.to_string();
        assert!(error.contains(folder.to_str().unwrap()), "{error}");
    }
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn topics() -> Task {
    let labels = vec!["sport".to_owned(), "world".to_owned()];
    Task::classification("news", labels, Columns::new("text", None, "topic")).unwrap()
}

const TSV: &str = "topic\ttext\nsport\tShe \"won\"\n\nworld\tThey, too\nsport\tÄ\u{2028}\n";
const CSV: &str = "topic,text\r\nsport,\"She \"\"won\"\"\"\r\nworld,\"They,\r\ntoo\"\r\n";
const JSONL: &str =
    "{\"text\":\"She \\\"won\\\"\",\"topic\":\"sport\"}\n{\"topic\":1,\"text\":\"\\u00e4\"}\n";
const GLUE: &str =
    "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\tc\td\tnot_entailment\n";
const MSR: &str = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\ta \"b\tc\n0\t3\t4\td\te\n";
const E2E: &str = "mr,ref\n\"name[A], food[B]\",\"A serves \"\"B\"\".\"\n\"name[C]\",C is here.\n";

const WEBNLG: &str = r#"{"entries": [{"1": {"category": "Airport", "modifiedtripleset":
    [{"subject": "A", "property": "b", "object": "C"}], "lexicalisations": [{"comment": "good", "lex": "One."}]}}]}"#;
const CHALLENGE: &str = r#"<?xml version="1.0"?><benchmark><entries><entry category="Food" eid="Id1"><modifiedtripleset>
    <mtriple>A | b | &lt;c&gt;</mtriple></modifiedtripleset><lex comment="good" lid="Id1">One.</lex></entry></entries></benchmark>"#;
const DART: &str =
    r#"[{"tripleset": [["A", "B_C", "D"]], "annotations": [{"source": "x", "text": "One."}]}]"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables(tsv in hostile(TSV.into()), csv in hostile(CSV.into()), jsonl in hostile(JSONL.into())) {
        let task = topics();
        let folder = folder(&[("a.tsv", &tsv), ("a.csv", &csv), ("a.jsonl", &jsonl)]);
        for name in ["a.tsv", "a.csv", "a.jsonl"] {
            let mut spec = TableSpec::new(folder.path().join(name), &task.columns);
            check(spec.load(&task), folder.path());
            spec.lenient = true;
            check(spec.load(&task), folder.path());
        }
    }

    #[test]
    fn glue_files(rte in hostile(GLUE.into()), msr in hostile(MSR.into())) {
        let folder = folder(&[("train.tsv", &rte), ("msr_paraphrase_train.txt", &msr)]);
        for name in ["rte", "cola", "stsb", "mnli", "qqp", "sst2"] {
            check(load(Task::by_name(name).unwrap(), folder.path(), Split::Train), folder.path());
        }
        std::fs::remove_file(folder.path().join("train.tsv")).unwrap();
        check(load(Task::by_name("mrpc").unwrap(), folder.path(), Split::Train), folder.path());
    }

    #[test]
    fn texts_to_score(table in hostile(E2E.into()), lines in hostile("a b\nc\n\nd\n".into())) {
        use adamix_data::metrics::nlg::{Kind, io::read};
        let folder = folder(&[("refs.csv", &table), ("refs.txt", &lines), ("out.txt", &lines)]);
        for references in ["refs.csv", "refs.txt"] {
            for outputs in ["out.txt", "refs.csv"] {
                let (references, outputs) = (folder.path().join(references), folder.path().join(outputs));
                check(read(&references, &outputs, Kind::E2e), folder.path());
            }
        }
    }

    #[test]
    fn structured_data(
        webnlg in hostile(WEBNLG.into()),
        challenge in hostile(CHALLENGE.into()),
        dart in hostile(DART.into()),
        lines in hostile("name : A | food : B||A serves B .\n".into()),
    ) {
        let folder = folder(&[("w.json", &webnlg), ("w.xml", &challenge), ("d.json", &dart), ("e.txt", &lines)]);
        let read = |corpus: Corpus, name: &str| corpus.read(&[folder.path().join(name)]);
        check(read(Corpus::Webnlg, "w.json"), folder.path());
        check(read(Corpus::Webnlg, "w.xml"), folder.path());
        check(read(Corpus::Dart, "d.json"), folder.path());
        check(read(Corpus::E2e, "e.txt"), folder.path());
    }

    #[test]
    fn tokenizer_files(
        json in hostile(tokenizer(&json!(null)).to_string().into_bytes()),
        config in hostile(br#"{"pad_token": {"content": "[PAD]"}, "do_lower_case": true}"#.to_vec()),
        vocab in hostile(b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nc\n".to_vec()),
        merges in hostile(b"#version: 0.2\na b\nab c\n".to_vec()),
        pieces in hostile(br#"{"<s>":0,"</s>":1,"<pad>":2,"a":3,"b":4,"c":5,"ab":6,"abc":7}"#.to_vec()),
    ) {
        let all = folder(&[("tokenizer.json", &json), ("tokenizer_config.json", &config)]);
        let words = folder(&[("vocab.txt", &vocab), ("tokenizer_config.json", &config)]);
        let bytes = folder(&[("vocab.json", &pieces), ("merges.txt", &merges)]);
        for folder in [all, words, bytes] {
            let tokenizer = Tokenizer::from_folder(folder.path());
            if let Ok(tokenizer) = &tokenizer {
                check(tokenizer.encode("a b\u{0}c \u{1F600}", Some("ä"), 16), folder.path());
            }
            check(tokenizer, folder.path());
        }
    }
}

/// A small tokenizer of whole words with a normalizer.
fn tokenizer(normalizer: &Value) -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": normalizer,
        "added_tokens": [{"id": 0, "content": "[PAD]", "special": true, "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false}],
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": null,
        "model": {"type": "WordLevel", "unk_token": "[UNK]",
            "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5}},
    })
}

#[test]
fn a_tokenizer_that_is_cut_anywhere_is_refused() {
    let mut whole = tokenizer(&json!(null));
    whole["decoder"] = json!({"type": "Sequence", "decoders": [{"type": "Fuse"}]});
    assert!(opened(&whole).1.is_ok());
    let text = whole.to_string();
    for end in 0..text.len() {
        let folder = folder(&[("tokenizer.json", &text.as_bytes()[..end])]);
        assert!(Tokenizer::from_folder(folder.path()).is_err(), "{end}");
    }
}

fn opened(tokenizer: &Value) -> (TempDir, Result<Tokenizer, String>) {
    let folder = folder(&[("tokenizer.json", tokenizer.to_string().as_bytes())]);
    let found = Tokenizer::from_folder(folder.path()).map_err(|e| e.to_string());
    (folder, found)
}

#[test]
fn a_tokenizer_cannot_name_a_file() {
    assert!(opened(&tokenizer(&json!(null))).1.is_ok());
    for vocab in [json!("/etc/passwd"), json!({"file": "/etc/passwd"})] {
        for kind in ["WordLevel", "BPE", "WordPiece", "Unigram"] {
            let mut bad = tokenizer(&json!(null));
            bad["model"] = json!({"type": kind, "vocab": vocab, "merges": "/etc/passwd", "unk_token": "[UNK]"});
            let error = opened(&bad).1.unwrap_err();
            assert!(!error.contains("root:"), "{error}");
        }
    }
    // Nor can the configuration beside it.
    let folder = folder(&[
        (
            "tokenizer.json",
            tokenizer(&json!(null)).to_string().as_bytes(),
        ),
        (
            "tokenizer_config.json",
            br#"{"vocab_file": "/etc/passwd", "pad_token": "../../etc/passwd"}"#,
        ),
    ]);
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    assert_eq!(tokenizer.pad_id, 0);
}

/// Expressions that take for ever in a matcher that backtracks, or swell when they are compiled.
#[test]
fn a_regular_expression_cannot_take_for_ever() {
    let text = "a".repeat(3000) + "!";
    for pattern in [
        r"(a+)+$",
        r"(a|a?)+\1b",
        r"(?=(a+)+b)a",
        r"(x+x+)+y|(?:a|aa)+(?!a)$",
        r"((((a{1,100}){1,100}){1,100}){1,100}){1,100}",
    ] {
        let clock = Instant::now();
        let mut bomb = tokenizer(&json!(null));
        bomb["pre_tokenizer"] = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let (_folder, found) = opened(&bomb);
        if let Ok(found) = found {
            // Whatever comes of it: tokens, or an error in words.
            let _ = found.encode(&text, None, 16);
        }
        let took = clock.elapsed();
        assert!(took < Duration::from_secs(20), "{pattern}: {took:?}");
    }
}

#[test]
fn a_normalizer_cannot_swell_a_text() {
    let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let doubling: Vec<Value> = (0..40)
        .map(|_| replace(json!({"String": "a"}), "aa"))
        .collect();
    for bomb in [
        json!({"type": "Sequence", "normalizers": doubling}),
        replace(json!({"String": "a"}), &"a".repeat(100_000)),
        replace(json!({"Regex": ""}), &"a".repeat(100_000)),
        json!({"type": "Prepend", "prepend": "a".repeat(100_000)}),
    ] {
        let error = opened(&tokenizer(&bomb)).1.unwrap_err();
        assert!(
            error.contains("tokenizer.json") && error.contains("swell"),
            "{error}"
        );
    }
    // What published tokenizers do is allowed.
    let usual = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u{2581}"},
        replace(json!({"String": " "}), "\u{2581}"),
        replace(json!({"Regex": " {2,}"}), " "),
        replace(json!({"String": "``"}), "\""),
    ]});
    assert!(opened(&tokenizer(&usual)).1.is_ok());
}

//! Files that are wrong in every way users get them wrong: one clear error, never a panic.

use adamix_data::metrics::nlg::{Kind, Options, ScoreError, io, score, score_files};
use adamix_data::nlg::Part;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes a file into this test's own folder.
fn file(folder: &str, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    fs::create_dir_all(&folder).expect("a folder for tests");
    let path = folder.join(name);
    fs::write(&path, contents).expect("a file for tests");
    path
}

fn read(references: &Path, outputs: &Path) -> Result<io::Texts, ScoreError> {
    io::read(references, outputs, Kind::Bleu)
}

/// The message for these contents, without the folder's name.
fn message(test: &str, references: (&str, &[u8]), outputs: (&str, &[u8])) -> String {
    let references = file(test, references.0, references.1);
    let outputs = file(test, outputs.0, outputs.1);
    let folder = format!("{}/", references.parent().expect("a folder").display());
    let error = read(&references, &outputs).expect_err("a wrong file");
    error.to_string().replace(&folder, "")
}

#[test]
fn unequal_counts_name_both_files_and_the_line() {
    let text = message("counts", ("r.txt", b"a\n\nb\n\nc\n"), ("o.txt", b"a\nb\n"));
    assert_eq!(
        text,
        "o.txt has 2 outputs but r.txt has 3 segments with references; \
         the shorter one ends at line 2"
    );
}

#[test]
fn invalid_utf8_names_line_and_byte() {
    let text = message("utf8", ("r.txt", b"a\nb\n"), ("o.txt", b"a\nb \xff c\n"));
    assert_eq!(text, "o.txt line 2: byte 3 of the line is not valid UTF-8");
}

#[test]
fn an_endless_line_is_refused() {
    let long = vec![b'x'; (1 << 20) + 1];
    let text = message("long", ("r.txt", b"a\n"), ("o.txt", &long));
    assert!(text.starts_with("o.txt:1: the line is longer"), "{text}");
    let text = message("long", ("r.txt", &long), ("o.txt", b"a\n"));
    assert!(text.starts_with("r.txt:1: the line is longer"), "{text}");
}

#[test]
fn malformed_tables_name_the_line() {
    let outputs = ("o.txt", b"a\n".as_slice());
    let text = message("open", ("r.csv", b"mr,ref\nx,a\ny,\"b\n"), outputs);
    assert!(
        text.starts_with("r.csv line 3: a quotation mark opens"),
        "{text}"
    );
    let text = message("width", ("r.csv", b"mr,ref\nx,a\ny\n"), outputs);
    assert_eq!(text, "r.csv line 3: 1 columns where the first row has 2");
    let text = message("header", ("r.csv", b"a,b,c\n1,2,3\n"), outputs);
    assert!(
        text.starts_with("r.csv line 1: cannot tell the columns"),
        "{text}"
    );
    let text = message(
        "unknown",
        ("r.csv", b"mr,ref\nx,a\n"),
        ("o.tsv", b"MR\toutput\nz\ta\n"),
    );
    assert!(
        text.contains("no reference for the meaning representation \"z\""),
        "{text}"
    );
}

#[test]
fn missing_and_empty_files_are_named() {
    let there = file("missing", "o.txt", "a\n");
    let error = read(Path::new("no-such-file.txt"), &there).expect_err("missing");
    assert!(error.to_string().contains("no-such-file.txt"), "{error}");
    let empty = file("missing", "e.txt", "");
    let error = read(&empty, &empty).expect_err("nothing to score");
    assert!(error.to_string().contains("e.txt"), "{error}");
}

#[test]
fn tables_with_and_without_order_give_the_same_segments() {
    let references = file("order", "r.csv", "\"mr\",\"ref\"\nx,a\nx,b\ny,c\nx,d\n");
    let table = file(
        "order",
        "o.tsv",
        "MR\toutput\r\ny\tC\r\nx\tA, \"quoted\"\r\n",
    );
    let texts = read(&references, &table).expect("valid");
    assert_eq!(texts.references, [vec!["c"], vec!["a", "b", "d"]]);
    assert_eq!(texts.outputs, ["C", "A, \"quoted\""]);
    let lines = file("order", "o.txt", "A\n\n");
    let texts = read(&references, &lines).expect("valid");
    assert_eq!(texts.references[0], ["a", "b", "d"]);
    assert_eq!(texts.outputs[1], "", "an empty output is an output");
}

#[test]
fn generated_objects_and_lone_carriage_returns_are_outputs() {
    let references = file("objects", "r.txt", "a\rb\r\nc");
    let outputs = file(
        "objects",
        "o.jsonl",
        "{\"text\": \"A\", \"score\": -1}\n{\"text\": \" B\"}\n{\"text\": \"\"}\n",
    );
    let texts = read(&references, &outputs).expect("valid");
    assert_eq!(texts.outputs, ["A", "B", ""]);
    assert_eq!(texts.references, [["a"], ["b"], ["c"]]);
    let text = message(
        "object",
        ("r.txt", b"a\nb\n"),
        ("o.jsonl", b"{\"text\": \"A\"}\n{}\n"),
    );
    assert!(
        text.starts_with("o.jsonl line 2: expected an object with `text`"),
        "{text}"
    );
}

/// The official scripts count it: only numbered files are filled up.
#[test]
fn an_empty_reference_of_a_table_counts() {
    let references = file("empty", "r.csv", "mr,ref\nname[a],x\nname[a],\n");
    let outputs = file("empty", "o.txt", "x\n");
    let mut texts = read(&references, &outputs).expect("valid");
    texts.drop_padding();
    assert_eq!(texts.references, [["x", ""]]);
}

#[test]
fn numbered_files_may_leave_lines_empty() {
    file("numbered", "ref0", "a\nb\n");
    file("numbered", "ref1", "c\n\n");
    let outputs = file("numbered", "o", "a\nb\n");
    let prefix = outputs.with_file_name("ref");
    let mut texts = read(&prefix, &outputs).expect("valid");
    assert_eq!(texts.references, [["a", "c"], ["b", ""]]);
    texts.drop_padding();
    assert_eq!(texts.references[1], ["b"]);
}

#[test]
fn empty_lines_of_numbered_files_count_where_the_programs_count_them() {
    file(
        "padding",
        "ref0",
        "The cat sat on the mat .\nA dog barks at the tall old gate .\n",
    );
    file("padding", "ref1", "A cat sits there .\n\n");
    let outputs = file("padding", "o", "The cat sat on a mat .\nA dog .\n");
    let prefix = outputs.with_file_name("ref");
    // multi-bleu-detok.perl prints 46.53; the others are of sacreBLEU 2.6.0.
    for (kind, expected) in [
        (Kind::MultiBleuDetok, 46.53024295510499),
        (Kind::Bleu, 46.53024295510499),
        (Kind::Ter, 38.095238095238095),
        (Kind::Chrf, 37.99139037330451),
    ] {
        let scores = score_files(kind, &prefix, &outputs, &Options::default()).expect("valid");
        let found = scores.scores[0].value.expect("a score");
        assert!((found - expected).abs() < 1e-9, "{kind:?}: {found}");
        let signature = scores.signature.unwrap_or("nrefs:2|".to_owned());
        assert!(signature.starts_with("nrefs:2|"), "{signature}");
    }
}

#[test]
fn the_last_line_of_numbered_files_may_be_empty() {
    file("last", "ref0", "a\nb\nc\n");
    file("last", "ref1", "d\ne\n");
    let outputs = file("last", "o", "A\nB\n");
    let prefix = outputs.with_file_name("ref");
    let texts = read(&prefix, &outputs).expect("valid");
    assert_eq!(texts.references[2], ["c", ""]);
    assert_eq!(texts.outputs, ["A", "B", ""]);
    let note = texts.note.expect("a note");
    assert!(note.contains("its last output is the empty one"), "{note}");
    // Without a line break at its end a file has no line behind it.
    let cut = file("last", "cut", "A\nB");
    let error = read(&prefix, &cut).expect_err("two outputs");
    assert!(error.to_string().contains("has 2 outputs"), "{error}");
    file("last", "ref1", "d\ne");
    let error = read(&prefix, &outputs).expect_err("two references");
    assert!(error.to_string().contains("the file ends here"), "{error}");
}

#[test]
fn a_data_sets_own_file_holds_references() {
    let outputs = file("corpus", "o.txt", "A\nB\n");
    let of = |name: &str, contents: &str| {
        let references = file("corpus", name, contents);
        read(&references, &outputs).expect("valid").references
    };
    let expected = [vec!["a", "b"], vec!["c"]];
    assert_eq!(
        of("r.txt", "name : X||a\nname : X||b\nname : Y||c\n"),
        expected
    );
    let json = r#"[{"tripleset": [["x", "y", "z"]], "annotations": [{"text": "a"}, {"text": "b"}]},
        {"tripleset": [["x", "y", "w"]], "annotations": [{"text": "c"}]}]"#;
    assert_eq!(of("r.json", json), expected);
    let xml = "<b><entry category='Food'><mtriple>x | y | z</mtriple><lex>a</lex><lex>b</lex></entry>\
        <entry category='Food'><mtriple>x | y | w</mtriple><lex>c</lex></entry></b>";
    assert_eq!(of("r.xml", xml), expected);
    // In the order of outputs that name their inputs.
    let table = file("corpus", "o.tsv", "MR\toutput\nname[Y]\tB\nname[X]\tA\n");
    let references = file("corpus", "s.txt", "name : X||a\nname : X||b\nname : Y||c\n");
    let texts = read(&references, &table).expect("valid");
    assert_eq!(texts.references, [vec!["c"], vec!["a", "b"]]);
    let text = message("broken", ("r.json", b"[\n{}]"), ("o.txt", b"a\n"));
    assert!(text.starts_with("r.json:2: "), "{text}");
}

#[test]
fn outputs_may_come_entry_by_entry() {
    let entry = |relation: &str, text: &str| {
        format!(
            r#"{{"tripleset": [["x", "{relation}", "z"]], "annotations": [{{"text": "{text}1"}}, {{"text": "{text}2"}}]}}"#
        )
    };
    let entries = [entry("y", "a"), entry("w", "b"), entry("Y", "c")];
    let dart = file("entries", "r.json", format!("[{}]", entries.join(",")));
    let table = file(
        "entries",
        "r.csv",
        "mr,ref\nx,a1\nx,a2\nw,b1\nw,b2\nx,c1\nx,c2\n",
    );
    let two = file("entries", "two", "A\nB\n");
    let three = file("entries", "three", "A\nB\nC\n");
    for references in [dart, table] {
        let of = |outputs: &Path| read(&references, outputs).expect("valid").references;
        assert_eq!(of(&two), [vec!["a1", "a2", "c1", "c2"], vec!["b1", "b2"]]);
        assert_eq!(of(&three), [["a1", "a2"], ["b1", "b2"], ["c1", "c2"]]);
    }
}

#[test]
fn marks_of_another_layout_do_not_make_it() {
    let references = file("marks", "r.txt", "a || b\na || c : d\n");
    let outputs = file("marks", "o.txt", "A\nB\n");
    let texts = read(&references, &outputs).expect("valid");
    assert_eq!(texts.references, [["a || b"], ["a || c : d"]]);
}

#[cfg(target_os = "linux")]
#[test]
fn references_may_come_through_a_pipe() {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let outputs = file("pipe", "o.txt", "A\n");
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let lines = b"name : X||a\nname : X||b\n";
    writer.write_all(lines).expect("room in the pipe");
    drop(writer);
    let references = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
    let texts = read(&references, &outputs).expect("valid");
    assert_eq!(texts.references, [["a", "b"]]);
}

#[test]
fn without_meteors_data_the_other_scores_are_given() {
    let references = vec![vec!["a nice cat , here".to_owned()]; 3];
    let outputs = vec![
        "a nice cat is here".to_owned(),
        String::new(),
        "x".to_owned(),
    ];
    let options = Options {
        meteor: Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("nothing")),
        segments: true,
        bootstrap: Some(50),
        ..Options::default()
    };
    for (kind, count) in [(Kind::E2e, 5), (Kind::Webnlg, 5)] {
        let scores = score(kind, &references, &outputs, &options).expect("texts are fine");
        assert_eq!(scores.scores.len(), count);
        assert_eq!(scores.get("METEOR"), None);
        assert!(
            scores.notes[0].contains("pip download"),
            "{}",
            scores.notes[0]
        );
        let others = scores.scores.iter().filter(|s| s.name != "METEOR");
        assert!(
            others
                .clone()
                .all(|s| s.value.is_some() && s.interval.is_some())
        );
        let json = serde_json::to_value(&scores).expect("serialisable");
        assert_eq!(json["scores"].as_object().expect("an object").len(), count);
        assert!(
            json["segments"]["BLEU"]
                .as_array()
                .is_some_and(|s| s.len() == 3)
        );
    }
}

#[test]
fn texts_in_memory_are_checked() {
    let options = Options::default();
    let one = vec![vec!["a".to_owned()]];
    let none: Vec<Vec<String>> = vec![vec![]];
    let outputs = ["a".to_owned()];
    let of = |references: &[Vec<String>], outputs: &[String]| {
        score(Kind::Bleu, references, outputs, &options).expect_err("wrong texts")
    };
    assert!(matches!(
        of(&one, &[]),
        ScoreError::Lengths {
            references: 1,
            outputs: 0
        }
    ));
    assert!(matches!(
        of(&none, &outputs),
        ScoreError::NoReference { segment: 1 }
    ));
    assert!(matches!(of(&[], &[]), ScoreError::Empty));
}

#[test]
fn parts_of_webnlg_are_scored_apart_where_the_file_tells_them() {
    let xml = r#"<benchmark><entries>
<entry category="Airport"><mtriple>a | b | c</mtriple><lex comment="good">One two three four .</lex></entry>
<entry category="Artist"><mtriple>d | e | f</mtriple><lex comment="good">Five six seven eight .</lex></entry>
</entries></benchmark>"#;
    let references = file("parts", "r.xml", xml);
    let outputs = file(
        "parts",
        "o.txt",
        "One two three four .\nnothing of it at all\n",
    );
    let bleu = |part| {
        let options = Options {
            part,
            ..Options::default()
        };
        let scores = score_files(Kind::Webnlg, &references, &outputs, &options).expect("scores");
        scores.scores[0].value.expect("BLEU")
    };
    assert_eq!(bleu(Part::Seen), 100.0);
    assert!(bleu(Part::Unseen) < 1.0 && (30.0..70.0).contains(&bleu(Part::All)));

    let options = Options {
        part: Part::Seen,
        ..Options::default()
    };
    let blocks = file("parts", "r.txt", "a\n\nb\n");
    let error = score_files(Kind::Webnlg, &blocks, &outputs, &options).expect_err("no categories");
    assert!(
        error
            .to_string()
            .contains("r.txt has no segments of that part"),
        "{error}"
    );
}

#[test]
fn the_phantom_segment_is_in_the_score_and_in_no_list() {
    let references = file("phantom", "r.txt", "a b c d\n\ne f g h\n");
    let outputs = file("phantom", "o.txt", "a b c d\ne f g x\n");
    let score = |phantom_segment| {
        let options = Options {
            phantom_segment,
            segments: true,
            bootstrap: Some(20),
            ..Options::default()
        };
        let scores = score_files(Kind::Webnlg, &references, &outputs, &options).expect("scores");
        let json = serde_json::to_value(&scores).expect("serialisable");
        let segments = json["segments"]["TER"].as_array().expect("a list").len();
        (scores.get("TER").expect("TER"), segments)
    };
    // One edit of four words, and one segment that is all wrong.
    assert_eq!(score(false), (0.125, 2));
    assert_eq!(score(true), (1.25 / 3.0, 2));
}

//! E2E, WebNLG and DART from each layout, and what is said of broken files.

use std::path::PathBuf;

use adamix_data::nlg::{Corpus, Pair, group};
use adamix_data::{DataError, Split};

/// A folder with one file, and the file.
fn write(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn read(corpus: Corpus, name: &str, content: &str) -> Vec<Pair> {
    let (_folder, path) = write(name, content.as_bytes());
    corpus.read(&[path]).unwrap().pairs
}

/// The message, without the folder.
fn error(corpus: Corpus, name: &str, content: &[u8]) -> String {
    let (folder, path) = write(name, content);
    let error = corpus.read(&[path]).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

fn of(pair: &Pair) -> (&str, Option<&str>, Option<bool>) {
    (&pair.context, pair.text.as_deref(), pair.seen)
}

#[test]
fn e2e_has_two_layouts() {
    let csv = "mr,ref\n\"name[A], eatType[pub], priceRange[£20-25]\",\"A, a \"\"pub\"\".\"\n";
    let context = "name : A | Type : pub | price : £ 20 - 25";
    let pairs = read(Corpus::E2e, "x.csv", csv);
    assert_eq!(of(&pairs[0]), (context, Some("A, a \"pub\"."), None));
    // By the header where the name says nothing; columns by name.
    let turned = "ref,mr\r\nText,name[A]\r\n";
    let pairs = read(
        Corpus::E2e,
        "x",
        &turned
            .replace("ref,mr", "mr,ref")
            .replace("Text,name[A]", "name[A],Text"),
    );
    assert_eq!(of(&pairs[0]), ("name : A", Some("Text"), None));
    assert_eq!(
        of(&read(Corpus::E2e, "x.csv", turned)[0]),
        ("name : A", Some("Text"), None)
    );
    let pairs = read(Corpus::E2e, "x.csv", "MR\n\"name[A], area[city centre]\"\n");
    assert_eq!(of(&pairs[0]), ("name : A | area : city centre", None, None));
    let pairs = read(
        Corpus::E2e,
        "x.txt",
        "name : A | Type : pub||A pub . \n\nname : B||B .\n",
    );
    assert_eq!(
        of(&pairs[0]),
        ("name : A | Type : pub", Some("A pub ."), None)
    );
    assert_eq!(pairs[1].id, 1);
}

#[test]
fn webnlg_has_two_layouts() {
    let json = r#"{"entries": [
        {"1": {"category": "Airport", "modifiedtripleset": [
            {"subject": "Aarhus", "property": "leader", "object": "J_B"},
            {"subject": "Aarhus", "property": "area", "object": "2 | 3"}],
          "lexicalisations": [{"comment": "good", "lex": "One."}, {"comment": "toFix", "lex": "No."}]}},
        {"2": {"category": "Artist", "modifiedtripleset": [
            {"subject": "A", "property": "b", "object": "<c> & d"}], "lexicalisations": []}}]}"#;
    let xml = r#"<?xml version="1.0"?>
<benchmark><entries>
  <entry category="Airport" eid="Id1"><originaltripleset><otriple>x | y | z</otriple></originaltripleset>
    <modifiedtripleset><mtriple>Aarhus | leader | J_B</mtriple><mtriple>Aarhus | area | 2 | 3</mtriple></modifiedtripleset>
    <lex comment="good" lid="Id1">One.</lex><lex comment="toFix" lid="Id2">No.</lex></entry>
  <entry category="Artist"><modifiedtripleset><mtriple>A | b | &lt;c&gt; &amp; d</mtriple></modifiedtripleset></entry>
</entries></benchmark>"#;
    for (name, content) in [("a.json", json), ("a.xml", xml)] {
        let pairs = read(Corpus::Webnlg, name, content);
        assert_eq!(pairs.len(), 2);
        let first = "Aarhus : leader : J_B | Aarhus : area : 2 | 3";
        assert_eq!(of(&pairs[0]), (first, Some("One."), Some(true)));
        assert_eq!(of(&pairs[1]), ("A : b : <c> & d", None, Some(false)));
    }
}

#[test]
fn the_challenges_folders_of_xml_are_one_split() {
    let folder = tempfile::tempdir().unwrap();
    for (place, word) in [("1triples", "b"), ("2triples", "a")] {
        let below = folder.path().join("train").join(place);
        std::fs::create_dir_all(&below).unwrap();
        let entry = format!(
            "<benchmark><entry category=\"Food\"><mtriple>{word} | is | x</mtriple><lex>{word}.</lex></entry></benchmark>"
        );
        std::fs::write(below.join("Food.xml"), entry).unwrap();
    }
    let pairs = Corpus::Webnlg.load(folder.path(), Split::Train).unwrap();
    let texts: Vec<_> = pairs
        .pairs
        .iter()
        .map(|p| p.text.clone().unwrap())
        .collect();
    assert_eq!(texts, ["b.", "a."]);
    assert_eq!(pairs.files.len(), 2);
    let missing = Corpus::Webnlg.load(folder.path(), Split::Dev).unwrap_err();
    assert!(
        matches!(missing, DataError::MissingSplit { .. }),
        "{missing}"
    );
}

#[test]
fn dart_lowers_relations() {
    let json = r#"[{"tripleset": [["Mars Hill", "JOINED", "1973"], ["A", "B_C", "D"]], "subtree_was_extended": true,
        "annotations": [{"source": "x", "text": "One."}, {"source": "y", "text": "Two."}, {"text": ""}, {"text": null}]}]"#;
    let pairs = read(Corpus::Dart, "d.json", json);
    let groups = group(&pairs);
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].context, "Mars Hill : joined : 1973 | A : b_c : D");
    assert_eq!(groups[0].references, ["One.", "Two."]);
}

#[test]
fn broken_files_are_named_with_the_line() {
    let (e2e, webnlg, dart) = (Corpus::E2e, Corpus::Webnlg, Corpus::Dart);
    let cases: [(Corpus, &str, &[u8], &str); 25] = [
        (
            e2e,
            "a.csv",
            b"mr,ref\nname[A],x\nname[B],\"y\n",
            "a.csv:3: a quotation mark opens",
        ),
        (
            e2e,
            "a.csv",
            b"mr,ref\nname[A],x\nname[B]\n",
            "a.csv:3: 1 cells under 2 columns",
        ),
        (
            e2e,
            "a.csv",
            b"mr,ref\nname[A],x\nnone,y\n",
            "a.csv:3: `none` is not a meaning representation",
        ),
        (
            e2e,
            "a.csv",
            b"mr,ref\nname[A],\n",
            "a.csv:2: the text is empty",
        ),
        (
            e2e,
            "a.csv",
            b"source,ref\nname[A],x\n",
            "a.csv: no column `mr`",
        ),
        (e2e, "a.csv", b"mr,ref\n", "a.csv: the file has no rows"),
        (e2e, "a.csv", b"", "a.csv: the file has no rows"),
        (
            e2e,
            "a.csv",
            b"mr,ref\nname[A],x\nname[\xff],y\n",
            "a.csv:3: invalid UTF-8",
        ),
        (
            e2e,
            "a.txt",
            b"name : A||x\nname : B\n",
            "a.txt:2: expected `context||text`, found no `||`",
        ),
        (
            e2e,
            "a.txt",
            b"name : A||\n",
            "a.txt:1: expected `context||text`, one side is empty",
        ),
        (
            webnlg,
            "a.json",
            b"{\"entries\": [\n{\"1\": {\"category\": 3}}]}",
            "a.json:2: column ",
        ),
        (webnlg, "a.json", b"{\"entries\": [\n", "a.json:2: column "),
        (
            webnlg,
            "a.xml",
            b"<b>\n<entry category='x'>\n<mtriple>a | b</mtriple></entry></b>",
            "a.xml:3: `a | b` is not `subject | property | object`",
        ),
        (
            webnlg,
            "a.xml",
            b"<b>\n<entry category='x'>\n<mtriple>a | b | c</mtriple>\n</b>",
            "a.xml:4: ",
        ),
        (
            webnlg,
            "a.xml",
            b"<b>\n<entry category='x'>\n<mtriple>a | b | c</mtriple>\n",
            "a.xml:4: the file ends inside",
        ),
        (
            webnlg,
            "a.xml",
            b"<b>\n<entry category='x'>\n</entry></b>",
            "a.xml:3: an <entry> without <mtriple>",
        ),
        (
            webnlg,
            "a.xml",
            b"<b>\n<entry category='x'><lex>a &nonsense; b</lex></entry></b>",
            "a.xml:2: ",
        ),
        (
            webnlg,
            "a.xml",
            b"<b>\n<entry category='x'><mtriple>a | b | c</mtriple>\n<lex> </lex></entry></b>",
            "a.xml:3: the text of a <lex> is empty",
        ),
        (
            webnlg,
            "a.json",
            b"{\"entries\": [{\"1\": {\"category\": \"x\", \"modifiedtripleset\": [{\"subject\": \"a\", \"property\": \"b\", \"object\": \"c\"}], \"lexicalisations\": [\n{\"lex\": \"\"}]}}]}",
            "a.json:2: column 11: the text is empty",
        ),
        (
            webnlg,
            "a.xml",
            b"<b>\n<entry category='x'><mtriple>a | b | c</mtriple>\n<lex/></entry></b>",
            "a.xml:3: the text of a <lex> is empty",
        ),
        (
            webnlg,
            "a.xml",
            b"<b>\n<entry category='x'>\n<mtriple/></entry></b>",
            "a.xml:3: `` is not `subject | property | object`",
        ),
        (
            webnlg,
            "a.xml",
            b"<b>\n<entry category='x'/></b>",
            "a.xml:2: an <entry> without <mtriple>",
        ),
        (webnlg, "a.xml", b"<b></b>", "a.xml: the file has no rows"),
        (
            dart,
            "a.json",
            b"[\n{\"tripleset\": [[\"a\", \"b\"]]}]",
            "a.json:2: column ",
        ),
        (
            dart,
            "a.json",
            b"[{\"tripleset\": [[\"a\", \"b\", \"\xff\"]]}]",
            "a.json:1: invalid UTF-8",
        ),
    ];
    for (corpus, name, content, expected) in cases {
        let found = error(corpus, name, content);
        assert!(found.starts_with(expected), "{found}\n  wanted {expected}");
        assert!(!found.contains('\n'), "{found}");
    }
}

#[test]
fn an_entry_has_triples_and_a_number_of_its_own() {
    let whole = r#"{"category": "x", "modifiedtripleset": [{"subject": "a", "property": "b", "object": "c"}]}"#;
    let twice = format!("{{\"entries\": [\n{{\"1\": {whole}, \"1\": {whole}}}]}}");
    for (corpus, content, expected) in [
        (
            Corpus::Dart,
            "[\n{\"tripleset\": [], \"annotations\": [{\"text\": \"x\"}]}]",
            "an entry without triples; take it out",
        ),
        (
            Corpus::Webnlg,
            "{\"entries\": [\n{\"1\": {\"category\": \"x\", \"modifiedtripleset\": []}}]}",
            "an entry without triples; take it out",
        ),
        (Corpus::Webnlg, twice.as_str(), "entry `1` is there twice"),
    ] {
        let found = error(corpus, "a.json", content.as_bytes());
        assert!(found.starts_with("a.json:2: column "), "{found}");
        assert!(found.contains(expected), "{found}");
    }
}

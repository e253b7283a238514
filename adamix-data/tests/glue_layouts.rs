//! Layouts and faults of GLUE folders, on files this test writes.

use std::fs;
use std::path::{Path, PathBuf};

use adamix_data::{DataError, Rows, Split, Target, Task, load};
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn read(task: &str, root: &Path, split: Split) -> Result<Rows, DataError> {
    load(Task::by_name(task).unwrap(), root, split)
}

/// Ids and class targets; -1 for unknown.
fn classes(rows: &Rows) -> Vec<(u32, i64)> {
    let class = |t: Target| t.class().map_or(-1, i64::from);
    rows.examples
        .iter()
        .map(|e| (e.id, class(e.target)))
        .collect()
}

#[test]
fn a_task_lies_in_its_own_folder_or_below_a_root() {
    let content = b"sentence\tlabel\nfine\t1\n";
    for place in ["dev.tsv", "SST-2/dev.tsv", "sst2/dev.tsv"] {
        let root = folder(&[(place, content)]);
        let rows = read("sst2", root.path(), Split::Dev).unwrap();
        assert_eq!(classes(&rows), [(0, 1)], "{place}");
        assert_eq!(rows.files, [root.path().join(place)]);
    }
}

#[test]
fn quotes_and_marks_are_literal() {
    let root = folder(&[(
        "MRPC/train.tsv",
        "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\t\" open\tshut \"\"\r\n"
            .as_bytes(),
    )]);
    let rows = read("mrpc", root.path(), Split::Train).unwrap();
    assert_eq!(rows.examples[0].first, "\" open");
    assert_eq!(rows.examples[0].second.as_deref(), Some("shut \"\""));
}

#[test]
fn mnli_is_found_by_header_in_every_width() {
    let parses = "\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2";
    let cells = "\t1\t1n\tfiction\t(\t)\t(\t)\tp\th";
    let wide = format!(
        "index{parses}\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n0{cells}\tneutral\tneutral\tneutral\tneutral\tentailment\tneutral\n1{cells}\ta\tb\tc\td\te\t-\n2{cells}\tx\tx\tx\tx\tx\tcontradiction\n"
    );
    let train = format!("index{parses}\tlabel1\tgold_label\n0{cells}\tneutral\tentailment\n");
    let eleven = format!("index{parses}\tgold_label\n0{cells}\tneutral\n");
    let test = format!("index{parses}\n0{cells}\n");
    let root = folder(&[
        ("MNLI/train.tsv", train.as_bytes()),
        ("MNLI/dev_matched.tsv", wide.as_bytes()),
        ("MNLI/dev_mismatched.tsv", eleven.as_bytes()),
        ("MNLI/test_matched.tsv", test.as_bytes()),
        ("MNLI/test_mismatched.tsv", test.as_bytes()),
    ]);
    for (split, expected) in [
        (Split::Train, vec![(0, 0)]),
        // The row without a gold label is left out, and the ids stay those of the file.
        (Split::Dev, vec![(0, 1), (2, 2)]),
        (Split::DevMismatched, vec![(0, 1)]),
        (Split::Test, vec![(0, -1)]),
        (Split::TestMismatched, vec![(0, -1)]),
    ] {
        let rows = read("mnli", root.path(), split).unwrap();
        assert_eq!(classes(&rows), expected, "{split}");
        assert_eq!(rows.examples[0].first, "p");
        assert_eq!(rows.examples[0].second.as_deref(), Some("h"));
    }
}

#[test]
fn broken_qqp_rows_are_left_out_and_other_tasks_refuse_them() {
    let header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";
    let qqp = format!("{header}1\t1\t2\ta\tb\t1\n2\t3\t4\tc is\nbroken\td\t0\n3\t5\t6\te\tf\t0\n");
    let root = folder(&[
        ("QQP/train.tsv", qqp.as_bytes()),
        (
            "RTE/train.tsv",
            b"index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\ta\n",
        ),
    ]);
    let rows = read("qqp", root.path(), Split::Train).unwrap();
    assert_eq!(classes(&rows), [(0, 1), (3, 0)]);
    let error = read("rte", root.path(), Split::Train)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("train.tsv:3: found 2 tab-separated columns where at least 4"),
        "{error}"
    );
}

#[test]
fn the_original_mrpc_files_are_split_by_the_dev_ids() {
    let header = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
    let train = format!("{header}1\t10\t11\ta\tb\n0\t20\t21\tc\td\n1\t30\t31\te\tf\n");
    let root = folder(&[
        ("MRPC/msr_paraphrase_train.txt", train.as_bytes()),
        ("MRPC/msr_paraphrase_test.txt", train.as_bytes()),
        ("MRPC/dev_ids.tsv", b"20\t21\n"),
    ]);
    let train = read("mrpc", root.path(), Split::Train).unwrap();
    assert_eq!(classes(&train), [(0, 1), (2, 1)]);
    assert_eq!(train.files.len(), 2);
    let dev = read("mrpc", root.path(), Split::Dev).unwrap();
    assert_eq!(classes(&dev), [(1, 0)]);
    assert_eq!(
        read("mrpc", root.path(), Split::Test)
            .unwrap()
            .examples
            .len(),
        3
    );

    fs::remove_file(root.path().join("MRPC/dev_ids.tsv")).unwrap();
    let error = read("mrpc", root.path(), Split::Train)
        .unwrap_err()
        .to_string();
    assert!(error.contains("dev_ids.tsv: missing"), "{error}");
}

#[test]
fn faults_are_named_with_their_place() {
    let mrpc = b"Quality\t#1 String\n1\ta\n";
    let root = folder(&[
        (
            "RTE/train.tsv",
            b"index\tsentence1\tsentence2\tlabel\n0\ta\tb\tmaybe\n",
        ),
        ("RTE/dev.tsv", b"index\tsentence1\tsentence2\tlabel\n"),
        ("RTE/test.tsv", b""),
        ("MRPC/train.tsv", mrpc),
        (
            "STS-B/train.tsv",
            b"sentence1\tsentence2\tscore\na\tb\tinf\n",
        ),
        ("SST-2/train.tsv", b"sentence\tlabel\nok\t1\n\xfe\t0\n"),
        ("CoLA/train.tsv", b"gj04\t1\t\tFine.\ngj04\t1\n"),
        ("WNLI/train.tsv", b"index\tsentence1\tsentence2\n0\ta\tb\n"),
    ]);
    for (task, split, expected) in [
        (
            "rte",
            Split::Train,
            "RTE/train.tsv:2: unknown label `maybe`; allowed: entailment, not_entailment (or 0 to 1)",
        ),
        ("rte", Split::Dev, "RTE/dev.tsv: the file has no rows"),
        ("rte", Split::Test, "RTE/test.tsv: the file has no rows"),
        (
            "mrpc",
            Split::Train,
            "MRPC/train.tsv: no column `#2 String`; the columns found are: Quality, #1 String",
        ),
        (
            "stsb",
            Split::Train,
            "STS-B/train.tsv:2: unknown label `inf`; allowed: a finite number",
        ),
        ("sst2", Split::Train, "SST-2/train.tsv:3: invalid UTF-8"),
        (
            "cola",
            Split::Train,
            "CoLA/train.tsv:2: found 2 tab-separated columns",
        ),
        ("wnli", Split::Train, "WNLI/train.tsv: no column `label`"),
        (
            "sst2",
            Split::Dev,
            "no `dev` file of task `sst2`; looked for dev.tsv, validation-*.parquet",
        ),
    ] {
        let error = read(task, root.path(), split).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
        assert!(!error.contains('\n'));
    }
    let nowhere = PathBuf::from("no/such/folder");
    let error = read("rte", &nowhere, Split::Dev).unwrap_err().to_string();
    assert!(
        error.starts_with("no/such/folder: cannot be read"),
        "{error}"
    );
}

//! The Hugging Face Parquet layout, on files this test writes.

mod damage;

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use adamix_data::{DataError, Rows, Split, Target, Task, load};
use damage::damaged;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

enum Labels<'a> {
    Classes(&'a [i64]),
    Scores(&'a [f32]),
}

/// Writes columns as `datasets` does: optional UTF-8 strings and an optional number, snappy.
fn write(path: &Path, texts: &[(&str, &[&str])], labels: Labels) {
    let number = match labels {
        Labels::Classes(_) => "INT64",
        Labels::Scores(_) => "FLOAT",
    };
    let columns: String = texts
        .iter()
        .map(|(name, _)| format!("optional binary {name} (UTF8); "))
        .collect();
    let schema = format!("message schema {{ {columns} optional {number} label; }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (_, cells) in texts {
        let cells: Vec<ByteArray> = cells.iter().map(|&c| ByteArray::from(c)).collect();
        let mut column = group.next_column().unwrap().unwrap();
        let present = vec![1; cells.len()];
        column
            .typed::<ByteArrayType>()
            .write_batch(&cells, Some(&present), None)
            .unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    match labels {
        Labels::Classes(values) => {
            column
                .typed::<Int64Type>()
                .write_batch(values, Some(&vec![1; values.len()]), None)
        }
        Labels::Scores(values) => {
            column
                .typed::<FloatType>()
                .write_batch(values, Some(&vec![1; values.len()]), None)
        }
    }
    .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

fn read(task: &str, root: &Path, split: Split) -> Result<Rows, DataError> {
    load(Task::by_name(task).unwrap(), root, split)
}

const PAIR: [(&str, &[&str]); 2] = [("sentence1", &["a", "b"]), ("sentence2", &["c", "d"])];

#[test]
fn shards_are_read_in_order_and_test_labels_are_unknown() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join("mrpc").join(name);
    // Written in the wrong order on purpose.
    write(
        &at("train-00001-of-00002.parquet"),
        &PAIR,
        Labels::Classes(&[1, 1]),
    );
    write(
        &at("train-00000-of-00002.parquet"),
        &PAIR,
        Labels::Classes(&[0, 1]),
    );
    write(
        &at("test-00000-of-00001.parquet"),
        &PAIR,
        Labels::Classes(&[-1, -1]),
    );
    write(
        &at("validation-00000-of-00001.parquet"),
        &PAIR,
        Labels::Classes(&[1, 2]),
    );
    let rows = read("mrpc", root.path(), Split::Train).unwrap();
    let found: Vec<_> = rows.examples.iter().map(|e| (e.id, e.target)).collect();
    let class = Target::Class;
    assert_eq!(
        found,
        [(0, class(0)), (1, class(1)), (2, class(1)), (3, class(1))]
    );
    assert_eq!(rows.examples[1].first, "b");
    assert_eq!(rows.examples[1].second.as_deref(), Some("d"));
    assert_eq!(rows.hash, adamix_data::fingerprint(&rows.files).unwrap());
    let test = read("mrpc", root.path(), Split::Test).unwrap();
    assert!(test.examples.iter().all(|e| e.target == Target::Unknown));
    let error = read("mrpc", root.path(), Split::Dev)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(".parquet:2: unknown label `2`; allowed: not_equivalent"),
        "{error}"
    );
}

#[test]
fn each_task_has_its_own_columns() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let mnli: [(&str, &[&str]); 2] = [("premise", &["p"]), ("hypothesis", &["h"])];
    write(
        &at("mnli/validation_matched-00000-of-00001.parquet"),
        &mnli,
        Labels::Classes(&[2]),
    );
    write(
        &at("mnli/validation_mismatched-00000-of-00001.parquet"),
        &mnli,
        Labels::Classes(&[1]),
    );
    write(
        &at("ax/test-00000-of-00001.parquet"),
        &mnli,
        Labels::Classes(&[-1]),
    );
    write(
        &at("stsb/train-00000-of-00001.parquet"),
        &PAIR,
        Labels::Scores(&[2.5, 0.0]),
    );
    write(
        &at("sst2/train.parquet"),
        &[("sentence", &["fine"])],
        Labels::Classes(&[1]),
    );
    write(
        &at("qqp/train.parquet"),
        &[("question1", &["q"]), ("question2", &["r"])],
        Labels::Classes(&[1]),
    );
    for (task, split, target, first, second) in [
        ("mnli", Split::Dev, Target::Class(2), "p", Some("h")),
        (
            "mnli",
            Split::DevMismatched,
            Target::Class(1),
            "p",
            Some("h"),
        ),
        ("ax", Split::Diagnostic, Target::Unknown, "p", Some("h")),
        ("stsb", Split::Train, Target::Score(2.5), "a", Some("c")),
        ("sst2", Split::Train, Target::Class(1), "fine", None),
        ("qqp", Split::Train, Target::Class(1), "q", Some("r")),
    ] {
        let row = &read(task, root.path(), split).unwrap().examples[0];
        assert_eq!(row.target, target, "{task} {split}");
        assert_eq!(
            (row.first.as_str(), row.second.as_deref()),
            (first, second),
            "{task} {split}"
        );
    }
    let error = read("qqp", &at("stsb"), Split::Train)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no column `question1`; the columns found are: sentence1, sentence2, label"),
        "{error}"
    );
}

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("rte/train-00000-of-00001.parquet");
    write(&path, &PAIR, Labels::Classes(&[0, 1]));
    let whole = fs::read(&path).unwrap();
    assert!(read("rte", root.path(), Split::Train).is_ok());
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = read("rte", root.path(), Split::Train)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(".parquet: not a readable Parquet file"),
            "{length}: {error}"
        );
    }
    // Every byte turned over: either it is noticed, or it was part of a text.
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xFF;
        fs::write(&path, &bytes).unwrap();
        let _ = read("rte", root.path(), Split::Train);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_an_error_in_words(file in damaged(good())) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("mrpc/train-00000-of-00001.parquet");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &file).unwrap();
        if let Err(error) = read("mrpc", root.path(), Split::Train) {
            prop_assert!(error.to_string().contains(root.path().to_str().unwrap()), "{error}");
        }
    }
}

/// The bytes of a good file.
fn good() -> Vec<u8> {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("good.parquet");
    write(&path, &PAIR, Labels::Classes(&[1, 0]));
    fs::read(path).unwrap()
}

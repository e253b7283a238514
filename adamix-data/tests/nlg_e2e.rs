//! The E2E scores of eight published systems against the official scripts' values.
//!
//! The data is found by `ADAMIX_SHARED`; METEOR's by `ADAMIX_METEOR` or in the cache folder, and its
//! column is passed over where it is missing.

mod shared;

use adamix_data::metrics::nlg::mteval::Variant;
use adamix_data::metrics::nlg::{Kind, Options, Scores, score_files};
use std::path::PathBuf;
use std::time::Instant;

fn references() -> Option<PathBuf> {
    shared::path("data/e2e/csv/testset_w_refs.csv")
}

fn system(name: &str) -> Option<PathBuf> {
    shared::path(&format!("data/e2e-eval/system_outputs/{name}.tsv"))
}

/// Checks a line of the table of official scores, to every digit it prints.
fn check(scores: &Scores, names: &[&str], expected: &[&str], what: &str) {
    for (name, expected) in names.iter().zip(expected) {
        match scores.get(name) {
            Some(value) => assert_eq!(&format!("{value:.4}"), expected, "{what}: {name}"),
            None => {
                assert_eq!(*name, "METEOR", "{what}: {:?}", scores.notes);
                let missing =
                    |note: &&String| note.contains("needs its official data, which is not in");
                assert!(
                    scores.notes.iter().any(|note| missing(&note)),
                    "{:?}",
                    scores.notes
                );
                eprintln!("METEOR of {what} not compared: {}", scores.notes[0]);
            }
        }
    }
}

#[test]
fn eight_systems_score_as_published() {
    let Some(table) = shared::path("data/e2e-eval/golden-scores.tsv") else {
        return;
    };
    let references = references().expect("beside the table");
    let table = std::fs::read_to_string(table).expect("readable");
    let mut lines = table
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let mut systems = 0;
    for line in lines {
        let outputs = system(line[0]).expect("beside the table");
        let start = Instant::now();
        let scores = score_files(Kind::E2e, &references, &outputs, &Options::default());
        eprintln!("{} in {:?}", line[0], start.elapsed());
        check(
            &scores.expect("valid files"),
            &header[1..],
            &line[1..],
            line[0],
        );
        systems += 1;
    }
    assert_eq!(systems, 8);
}

#[test]
fn the_python_variant_differs_in_nist() {
    // Recorded from pymteval; the first line is also in the shared table.
    let recorded = [
        ("tgen", "0.6593", "8.5923"),
        ("slug", "0.6619", "8.5824"),
        ("sheff2", "0.5436", "5.4649"),
        ("adapt", "0.5092", "7.1954"),
        ("dangnt", "0.5990", "7.9277"),
        ("forge1", "0.4207", "6.5139"),
        ("tr2", "0.4202", "6.7686"),
        ("zhaw1", "0.5864", "8.0212"),
    ];
    let Some(references) = references() else {
        return;
    };
    let options = Options {
        mteval: Variant::Python,
        meteor: Some(PathBuf::from("no-such-place")),
        ..Options::default()
    };
    for (name, bleu, nist) in recorded {
        let outputs = system(name).expect("beside the references");
        let scores = score_files(Kind::E2e, &references, &outputs, &options).expect("valid");
        check(&scores, &["BLEU", "NIST"], &[bleu, nist], name);
    }
}

#[test]
fn every_segment_of_tgen_scores_as_recorded() {
    let Some(table) = shared::path("data/e2e-eval/tgen.segment-scores.tsv") else {
        return;
    };
    let options = Options {
        segments: true,
        ..Options::default()
    };
    let references = references().expect("beside the table");
    let outputs = system("tgen").expect("beside the table");
    let scores = score_files(Kind::E2e, &references, &outputs, &options).expect("valid");
    let json = serde_json::to_value(&scores).expect("serialisable");
    let table = std::fs::read_to_string(table).expect("readable");
    let mut lines = table
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let mut compared = 0;
    for (i, line) in lines.enumerate() {
        for (name, expected) in header.iter().zip(&line).skip(2) {
            let segments = &json["segments"][name];
            if *name == "METEOR" && segments.is_null() {
                if i == 0 {
                    eprintln!("METEOR of the segments not compared: {}", scores.notes[0]);
                }
                continue;
            }
            let value = segments[i]
                .as_f64()
                .unwrap_or_else(|| panic!("{name} of segment {i}"));
            let expected: f64 = expected.parse().expect("a number");
            assert!(
                (value - expected).abs() <= 1e-4,
                "segment {i}, {name}: {value}, {expected}"
            );
            compared += 1;
        }
    }
    assert!(compared >= 630 * 5, "{compared}");
}

#[test]
fn the_example_of_ten_instances() {
    let Some(references) = shared::path("data/e2e-metrics-example/devel-conc.txt") else {
        return;
    };
    let outputs = shared::path("data/e2e-metrics-example/baseline-output.txt").expect("beside it");
    let scores = score_files(Kind::E2e, &references, &outputs, &Options::default());
    let golden = shared::path("data/e2e-metrics-example/golden.txt").expect("beside it");
    let golden = std::fs::read_to_string(golden).expect("readable");
    let (names, values): (Vec<&str>, Vec<&str>) = golden
        .lines()
        .filter_map(|line| line.split_once(": "))
        .unzip();
    assert_eq!(names.len(), 5);
    check(
        &scores.expect("valid files"),
        &names,
        &values,
        "the example",
    );
}

#[test]
fn sacrebleu_scores_of_real_systems() {
    // sacreBLEU 2.6.0: BLEU, chrF2++ and TER with the references of each instance.
    let recorded = [
        ("tgen", 62.1263986089, 69.2997547717, 44.9490024789),
        ("slug", 65.2732341173, 69.7711152691, 46.2232798552),
        ("sheff2", 53.6467499064, 58.6868451777, 46.9089316415),
        ("adapt", 49.6787863906, 63.6892485877, 65.6414559153),
        ("dangnt", 58.9644650793, 68.6785586527, 49.8649964182),
        ("forge1", 41.0746410815, 59.4065971411, 67.6207903172),
        ("tr2", 40.6303346491, 61.2317380805, 66.4370707239),
        ("zhaw1", 57.0898517024, 67.7014504119, 55.9000258199),
    ];
    let Some(references) = references() else {
        return;
    };
    for (name, bleu, chrf, ter) in recorded {
        let outputs = system(name).expect("beside the references");
        for (kind, metric, expected) in [
            (Kind::Bleu, "BLEU", bleu),
            (Kind::Chrf, "chrF++", chrf),
            (Kind::Ter, "TER", ter),
        ] {
            let scores = score_files(kind, &references, &outputs, &Options::default());
            let value = scores.expect("valid files").get(metric).expect("a score");
            assert!(
                (value - expected).abs() < 1e-8,
                "{name} {metric}: {value}, {expected}"
            );
        }
    }
}

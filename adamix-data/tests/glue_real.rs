//! The official GLUE files as they are.

mod shared;

use adamix_data::{Example, Split, Target, Task, load};

fn rows(task: &str, folder: &str, split: Split) -> Option<Vec<Example>> {
    let folder = shared::path(folder)?;
    let rows = load(Task::by_name(task).unwrap(), &folder, split).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(rows.hash, adamix_data::fingerprint(&rows.files).unwrap());
    Some(rows.examples)
}

#[test]
fn row_counts_are_those_of_glue() {
    use Split::{Dev, Test, Train};
    for (task, root, split, count) in [
        ("cola", "data/glue", Train, 8551),
        ("cola", "data/glue", Dev, 1043),
        ("cola", "data/glue", Test, 1063),
        ("sst2", "data/glue", Train, 67349),
        ("sst2", "data/glue", Dev, 872),
        ("sst2", "data/glue", Test, 1821),
        // One row fewer than GLUE has: this copy of the file lacks the last.
        ("mrpc", "data/glue", Train, 3667),
        ("mrpc", "data/glue", Dev, 408),
        ("mrpc", "data/glue", Test, 1725),
        ("stsb", "data/glue", Train, 5749),
        ("stsb", "data/glue", Dev, 1500),
        ("stsb", "data/glue", Test, 1379),
        ("rte", "data/glue", Train, 2490),
        ("rte", "data/glue", Dev, 277),
        ("rte", "data/glue", Test, 3000),
        ("wnli", "data/glue", Train, 635),
        ("wnli", "data/glue", Dev, 71),
        ("wnli", "data/glue", Test, 146),
        ("qnli", "data/glue", Dev, 5463),
        ("qnli", "data/glue", Test, 5463),
        ("ax", "data/glue", Split::Diagnostic, 1104),
        ("mnli", "data/glue-9k", Train, 8999),
        ("mnli", "data/glue-9k", Dev, 1000),
        ("qnli", "data/glue-9k", Train, 8999),
        ("qnli", "data/glue-9k", Dev, 1000),
        ("qqp", "data/glue-9k", Train, 8999),
        ("qqp", "data/glue-9k", Dev, 1000),
    ] {
        let Some(examples) = rows(task, root, split) else {
            return;
        };
        assert_eq!(examples.len(), count, "{task} {split}");
        assert!(examples.iter().zip(0..).all(|(e, id)| e.id == id));
        let unknown = examples.iter().filter(|e| e.target == Target::Unknown);
        let expected = if split.may_lack_labels() { count } else { 0 };
        assert_eq!(unknown.count(), expected, "{task} {split}");
        let pair = !matches!(task, "cola" | "sst2");
        assert!(
            examples
                .iter()
                .all(|e| e.second.is_some() == pair && !e.first.is_empty())
        );
    }
}

#[test]
fn first_rows_have_their_texts_and_labels() {
    for (task, folder, split, target, first, second) in [
        (
            "cola",
            "data/glue/CoLA",
            Split::Dev,
            Target::Class(1),
            "The sailors rode the breeze clear",
            "",
        ),
        (
            "sst2",
            "data/glue/SST-2",
            Split::Train,
            Target::Class(0),
            "hide new secretions",
            "",
        ),
        (
            "mrpc",
            "data/glue/MRPC",
            Split::Dev,
            Target::Class(1),
            "He said the foodservice pie",
            "\" The foodservice",
        ),
        (
            "stsb",
            "data/glue/STS-B",
            Split::Train,
            Target::Score(5.0),
            "A plane is taking",
            "An air plane",
        ),
        (
            "rte",
            "data/glue/RTE",
            Split::Train,
            Target::Class(1),
            "No Weapons of",
            "Weapons of Mass",
        ),
        (
            "wnli",
            "data/glue/WNLI",
            Split::Train,
            Target::Class(1),
            "I stuck a pin",
            "The carrot had",
        ),
        (
            "qnli",
            "data/glue/QNLI",
            Split::Dev,
            Target::Class(0),
            "What came into force",
            "As of that day",
        ),
        (
            "mnli",
            "data/glue-9k/MNLI",
            Split::Dev,
            Target::Class(0),
            "Salt kept the town fed",
            "Salt kept the town thriving",
        ),
        (
            "qqp",
            "data/glue-9k/QQP",
            Split::Dev,
            Target::Class(0),
            "Who is the stupidest",
            "Who is the most mis",
        ),
        (
            "ax",
            "data/glue/diagnostic",
            Split::Diagnostic,
            Target::Unknown,
            "The cat sat on",
            "The cat did not",
        ),
    ] {
        let Some(examples) = rows(task, folder, split) else {
            return;
        };
        let row = &examples[0];
        assert_eq!(row.target, target, "{task}");
        assert!(row.first.starts_with(first), "{task}: {}", row.first);
        assert!(
            row.second.as_deref().unwrap_or("").starts_with(second),
            "{task}: {:?}",
            row.second
        );
    }
}

/// Class counts, taken from the files with `cut | sort | uniq -c`.
#[test]
fn classes_are_counted_as_in_the_files() {
    for (task, root, split, expected) in [
        ("cola", "data/glue", Split::Dev, vec![322, 721]),
        ("mrpc", "data/glue", Split::Dev, vec![129, 279]),
        ("mrpc", "data/glue", Split::Train, vec![1194, 2473]),
        ("sst2", "data/glue", Split::Dev, vec![428, 444]),
        ("rte", "data/glue", Split::Dev, vec![146, 131]),
        ("wnli", "data/glue", Split::Dev, vec![40, 31]),
    ] {
        let Some(examples) = rows(task, root, split) else {
            return;
        };
        let mut counts = vec![0; expected.len()];
        for example in &examples {
            counts[example.target.class().unwrap() as usize] += 1;
        }
        assert_eq!(counts, expected, "{task} {split}");
    }
}

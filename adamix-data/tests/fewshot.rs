//! LiST's split files as they are, and prompts as LM-BFF's code makes them.

mod shared;

use std::fs;

use adamix_data::fewshot::{self, Prompt, SPLITS};
use adamix_data::{Rows, Target};

#[test]
fn every_split_has_thirty_rows_and_its_test_rows() {
    let Some(root) = shared::path("data/fewshot-30") else {
        return;
    };
    for (name, test_rows) in [
        ("mnli", 210),
        ("qqp", 210),
        ("rte", 277),
        ("sst2", 872),
        ("subj", 2000),
        ("mpqa", 2000),
    ] {
        let task = fewshot::task(name).unwrap();
        for number in 1..=SPLITS {
            let (train, test) = fewshot::list_split(task, &root, number).unwrap();
            assert_eq!(train.examples.len(), 30, "{name} {number}");
            assert_eq!(test.examples.len(), test_rows, "{name} {number}");
            let known =
                |e: &adamix_data::Example| e.target != Target::Unknown && !e.first.is_empty();
            assert!(
                train.examples.iter().chain(&test.examples).all(known),
                "{name}"
            );
        }
    }
    // Counts of LiST's first split in class order, by `cut | sort | uniq -c`.
    for (name, expected) in [
        ("mnli", vec![14, 9, 7]),
        ("qqp", vec![22, 8]),
        ("rte", vec![13, 17]),
        ("sst2", vec![12, 18]),
        ("subj", vec![18, 12]),
        ("mpqa", vec![18, 12]),
    ] {
        let task = fewshot::task(name).unwrap();
        let (train, _) = fewshot::list_split(task, &root, 1).unwrap();
        let mut found = vec![0; expected.len()];
        for example in &train.examples {
            found[example.target.class().unwrap() as usize] += 1;
        }
        assert_eq!(found, expected, "{name}");
    }
}

/// How the texts of a row begin, and its class.
type Beginning = (&'static str, Option<&'static str>, u32);

#[test]
fn first_rows_have_their_texts_and_labels() {
    let Some(root) = shared::path("data/fewshot-30") else {
        return;
    };
    // Read from the files. MNLI and QQP have the small test file only.
    let expected: [(&str, Beginning, Beginning); 6] = [
        (
            "mnli",
            ("and at the end", Some("I did not do"), 1),
            ("yeah and how about", Some("No one plays"), 2),
        ),
        (
            "qqp",
            ("Are Stephen Hawking", Some("Do you believe"), 0),
            ("\"What are some", Some("I want to migrate"), 0),
        ),
        (
            "rte",
            ("\"The Extraditables\" have", Some("Miguel Soler"), 1),
            ("Dana Reeve, the", Some("Christopher Reeve had"), 1),
        ),
        (
            "sst2",
            ("finding the characters in", None, 1),
            ("one long string of", None, 0),
        ),
        (
            "subj",
            ("diesel stars as xander", None, 1),
            ("smart and alert ,", None, 0),
        ),
        ("mpqa", ("destroy so", None, 0), ("complaining", None, 0)),
    ];
    for (name, train, test) in expected {
        let task = fewshot::task(name).unwrap();
        let found = fewshot::list_split(task, &root, 1).unwrap();
        for (rows, (first, second, class)) in [(found.0, train), (found.1, test)] {
            let row = &rows.examples[0];
            assert!(row.first.starts_with(first), "{name}: {}", row.first);
            assert_eq!(row.second.is_some(), second.is_some(), "{name}");
            let found = row.second.as_deref().unwrap_or_default();
            assert!(
                found.starts_with(second.unwrap_or_default()),
                "{name}: {found}"
            );
            assert_eq!(row.target, Target::Class(class), "{name}");
        }
    }
}

/// One row a file, whose first text says which file it is.
#[test]
fn each_layout_has_its_own_columns() {
    let mut cells = vec!["-"; 16];
    (cells[8], cells[9], cells[15]) = ("full", "h", "neutral");
    let wide = format!("{}\n{}\n", ["x"; 16].join("\t"), cells.join("\t"));
    let questions = |first: &str| {
        format!("id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n7\t8\t9\t{first}\th\t1\n")
    };
    let pair = |first: &str| {
        format!("index\tsentence1\tsentence2\tlabel\n7\t{first}\th\tnot_entailment\n")
    };
    let single = |first: &str| format!("{first}\t1\n");
    let labelled = |first: &str| format!("1,\"{first}\"\n");
    let same = |of: &dyn Fn(&str) -> String| [of("train"), of("full"), of("small")];
    for (name, folder, full, files) in [
        (
            "mnli",
            "MNLI",
            "test_matched.tsv",
            [
                "7\tgenre\ttrain\th\tneutral\n".into(),
                wide,
                "id\ta\tb\tgenre\tc\td\r\n7\tsmall\th\tgenre\tneutral\t1\r\n".into(),
            ],
        ),
        ("qqp", "QQP", "test.tsv", same(&questions)),
        ("rte", "RTE", "test.tsv", same(&pair)),
        (
            "sst2",
            "SST-2",
            "test.tsv",
            [
                single("train"),
                format!("sentence\tlabel\n{}", single("full")),
                single("small"),
            ],
        ),
        ("subj", "subj", "test.csv", same(&labelled)),
        ("mpqa", "mpqa", "test.csv", same(&labelled)),
    ] {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(folder).join("30-1");
        fs::create_dir_all(&folder).unwrap();
        let (_, extension) = full.split_once('.').unwrap();
        let names = [
            format!("train.{extension}"),
            full.to_owned(),
            format!("test_clue.{extension}"),
        ];
        for (name, text) in names.iter().zip(files) {
            fs::write(folder.join(name), text).unwrap();
        }
        let task = fewshot::task(name).unwrap();
        let read = || fewshot::list_split(task, root.path(), 1).unwrap();
        let second = matches!(name, "mnli" | "qqp" | "rte").then_some("h");
        let check = |rows: &Rows, first: &str| {
            assert_eq!(rows.examples.len(), 1, "{name} {first}");
            let row = &rows.examples[0];
            assert_eq!(
                (row.first.as_str(), row.second.as_deref(), row.target),
                (first, second, Target::Class(1)),
                "{name}"
            );
        };
        let (train, test) = read();
        check(&train, "train");
        check(&test, "full");
        fs::remove_file(folder.join(full)).unwrap();
        check(&read().1, "small");
    }
}

#[test]
fn a_prompt_is_tokenised_piece_by_piece() {
    let Some(root) = shared::path("data/fewshot-30") else {
        return;
    };
    let Some(vocabulary) = shared::path("models/roberta-bpe") else {
        return;
    };
    let tokenizer = adamix_data::Tokenizer::from_folder(&vocabulary).unwrap();
    let task = fewshot::task("sst2").unwrap();
    let prompt = Prompt::of(task).unwrap();
    let (train, _) = fewshot::list_split(task, &root, 1).unwrap();
    let mut example = train.examples[0].clone();
    example.first = "crap".into();
    let encoding = prompt.encode(&tokenizer, &example, 128).unwrap();
    let tokens: Vec<String> = encoding
        .ids
        .iter()
        .map(|id| tokenizer.id_to_token(*id).unwrap())
        .collect();
    assert_eq!(
        tokens,
        ["<s>", "c", "rap", "ĠIt", "Ġwas", "<mask>", ".", "</s>"]
    );
    let words: Vec<String> = prompt
        .word_ids(&tokenizer)
        .unwrap()
        .iter()
        .map(|id| tokenizer.id_to_token(*id).unwrap())
        .collect();
    assert_eq!(words, ["Ġterrible", "Ġgreat"]);
    // What is too long is cut from the text, never from the template.
    example.first = "word ".repeat(300);
    let encoding = prompt.encode(&tokenizer, &example, 32).unwrap();
    assert_eq!(encoding.len(), 32);
    let tail: Vec<String> = encoding.ids[27..]
        .iter()
        .map(|id| tokenizer.id_to_token(*id).unwrap())
        .collect();
    assert_eq!(tail, ["ĠIt", "Ġwas", "<mask>", ".", "</s>"]);
    // A text with the mask token in it is refused.
    example.first = "a <mask> b".into();
    assert!(
        prompt
            .encode(&tokenizer, &example, 32)
            .unwrap_err()
            .to_string()
            .contains("mask token itself")
    );
}

#[test]
fn of_two_texts_the_longer_is_cut_and_of_equals_the_second() {
    let Some(vocabulary) = shared::path("models/roberta-bpe") else {
        return;
    };
    let tokenizer = adamix_data::Tokenizer::from_folder(&vocabulary).unwrap();
    let prompt = Prompt::parse("{first} x{mask}{ second}", Vec::new()).unwrap();
    // The places take two tokens, the ends two more; each word of a text is one.
    let lengths = |first: usize, second: usize, max_len: usize| {
        let example = adamix_data::Example {
            id: 0,
            first: format!("a{}", " a".repeat(first - 1)),
            second: Some(format!("b{}", " b".repeat(second - 1))),
            target: Target::Class(0),
        };
        let encoding = prompt.encode(&tokenizer, &example, max_len).unwrap();
        let tokens = encoding.ids.iter().map(|id| tokenizer.id_to_token(*id));
        let tokens: Vec<String> = tokens.map(Option::unwrap).collect();
        let count = |word: &str| tokens.iter().filter(|t| t.ends_with(word)).count();
        (count("a"), count("b"))
    };
    assert_eq!(lengths(9, 4, 17), (9, 4));
    assert_eq!(lengths(9, 4, 13), (5, 4));
    assert_eq!(lengths(9, 4, 12), (4, 4));
    assert_eq!(lengths(9, 4, 11), (4, 3));
    assert_eq!(lengths(3, 8, 10), (3, 3));
    assert_eq!(lengths(3, 8, 9), (3, 2));
}

#[test]
fn label_words_that_begin_alike_are_refused() {
    let Some(vocabulary) = shared::path("models/roberta-bpe") else {
        return;
    };
    let tokenizer = adamix_data::Tokenizer::from_folder(&vocabulary).unwrap();
    let ids = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let prompt = Prompt::parse("{first}{mask}", words).unwrap();
        prompt.word_ids(&tokenizer).map_err(|e| e.to_string())
    };
    assert_eq!(ids(&["great", "terrible"]).unwrap().len(), 2);
    let refused = ids(&["terrible", "great", "great deal"]).unwrap_err();
    assert!(
        refused.contains("`great` and `great deal` begin with the same token"),
        "{refused}"
    );
}

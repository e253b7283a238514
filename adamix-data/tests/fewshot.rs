//! LiST's split files as they are, and prompts as LM-BFF's code makes them.

mod shared;

use adamix_data::Target;
use adamix_data::fewshot::{self, Prompt, SPLITS};

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
    // Counts of LiST's first split: MNLI has 14 entailments, 7 neutral, 9 contradictions in some order of 7/9/14.
    let counts = |name: &str, classes: usize| {
        let task = fewshot::task(name).unwrap();
        let (train, _) = fewshot::list_split(task, &root, 1).unwrap();
        let count = |class| {
            train
                .examples
                .iter()
                .filter(|e| e.target == Target::Class(class))
                .count()
        };
        let mut found: Vec<usize> = (0..classes as u32).map(count).collect();
        found.sort_unstable();
        found
    };
    assert_eq!(counts("mnli", 3), [7, 9, 14]);
    assert_eq!(counts("qqp", 2), [8, 22]);
    assert_eq!(counts("mpqa", 2), [12, 18]);
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

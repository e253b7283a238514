//! Tokenizers against values recorded with Python's `tokenizers` 0.23.3 and `transformers`.

mod shared;

use std::fs;
use std::path::{Path, PathBuf};

use adamix_data::{Encoding, Example, Split, Target, Task, Tokenizer, load};
use serde_json::Value;

/// Texts that tokenizers of different versions disagree on.
const ODD: [&str; 11] = [
    "",
    " ",
    "[CLS] a [SEP] [MASK]b",
    "<s>x <mask> y</s>",
    "ÀÉÎ ŒUVRE ſtraße İstanbul",
    "日本語 と 한국어 and العربية",
    "emoji 👩\u{200d}👩\u{200d}👧 \u{200b}\u{a0}zero\u{ad}",
    "tab\there\0\u{7} \u{fffd}",
    "", // 150 times "a" and a long word, put in below
    "don't  we'll   they’ve 1,234.56 e=mc²",
    "\u{2028}line\u{2029}para\u{85}nel",
];

fn odd() -> Vec<String> {
    let mut texts: Vec<String> = ODD.map(String::from).to_vec();
    texts[8] = "a".repeat(150) + " supercalifragilistic";
    texts
}

fn example(first: &str, second: Option<&str>) -> Example {
    Example {
        id: 0,
        first: first.into(),
        second: second.map(Into::into),
        target: Target::Unknown,
    }
}

/// FNV-1a over lengths, ids and segments, each as four little-endian bytes.
fn checksum(encodings: &[Encoding]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325u64;
    for encoding in encodings {
        let values = [encoding.len() as u32];
        for value in values.iter().chain(&encoding.ids).chain(&encoding.type_ids) {
            for byte in value.to_le_bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
            }
        }
    }
    hash
}

/// Checks MRPC dev (pairs), CoLA dev (single), the odd texts and all pairs of them at 128, 40 and 7 tokens.
fn check(tokenizer: &Tokenizer, expected: [[u64; 4]; 3]) {
    let Some(root) = shared::path("data/glue") else {
        return;
    };
    let rows = |task| {
        let task = Task::by_name(task).unwrap();
        load(task, &root, Split::Dev).unwrap().examples
    };
    let odd = odd();
    let singles: Vec<Example> = odd.iter().map(|a| example(a, None)).collect();
    let pair = |a: &String| odd.iter().map(|b| example(a, Some(b))).collect::<Vec<_>>();
    let pairs: Vec<Example> = odd.iter().flat_map(pair).collect();
    for (max_len, expected) in [128, 40, 7].into_iter().zip(expected) {
        for (examples, sum) in [rows("mrpc"), rows("cola"), singles.clone(), pairs.clone()]
            .iter()
            .zip(expected)
        {
            let all = tokenizer.encode_all(examples, max_len).unwrap();
            assert_eq!(checksum(&all), sum, "{max_len}");
            for (example, encoding) in examples.iter().zip(&all).take(50) {
                let (first, second) = (&example.first, example.second.as_deref());
                assert_eq!(&tokenizer.encode(first, second, max_len).unwrap(), encoding);
            }
        }
    }
}

const UNCASED: [[u64; 4]; 3] = [
    [
        10282052571392177040,
        1169127718232793536,
        14651842665505861519,
        180368187464343993,
    ],
    [
        15351125715920891823,
        1169127718232793536,
        14651842665505861519,
        6953403323709628920,
    ],
    [
        8669292984507133601,
        5349182414344645251,
        7482089778715048048,
        8182996281626861718,
    ],
];

#[test]
fn minilms_file_is_read_without_its_truncation_and_padding() {
    let Some(folder) = shared::path("models/minilm-l6") else {
        return;
    };
    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    assert_eq!(tokenizer.vocab_size(), 30522);
    let special = (
        tokenizer.pad_id,
        tokenizer.cls_id,
        tokenizer.sep_id,
        tokenizer.mask_id,
    );
    assert_eq!(special, (0, 101, 102, Some(103)));
    // The file says: cut to 128, pad to 128.
    let stored = fs::read_to_string(folder.join("tokenizer.json")).unwrap();
    assert!(stored.contains("\"max_length\":128") && stored.contains("{\"Fixed\":128}"));
    assert_eq!(
        tokenizer.encode("a", None, 512).unwrap().ids,
        [101, 1037, 102]
    );
    assert_eq!(
        tokenizer
            .encode(&"a ".repeat(600), None, 512)
            .unwrap()
            .len(),
        512
    );
    check(&tokenizer, UNCASED);
}

/// A folder with some files of another and a configuration.
fn part(of: &Path, names: &[&str], config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        fs::copy(of.join(name), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
    folder
}

#[test]
fn a_bert_vocabulary_alone_is_enough() {
    let Some(minilm) = shared::path("models/minilm-l6") else {
        return;
    };
    let folder = part(&minilm, &["vocab.txt"], "{}");
    check(&Tokenizer::from_folder(folder.path()).unwrap(), UNCASED);
    let cased = part(&minilm, &["vocab.txt"], "{\"do_lower_case\": false}");
    check(
        &Tokenizer::from_folder(cased.path()).unwrap(),
        [
            [
                5676568191504296937,
                14302379765266966498,
                17695802741675446303,
                11163639653237542217,
            ],
            [
                4525219917815717334,
                14302379765266966498,
                17695802741675446303,
                11163639653237542217,
            ],
            [
                1247094806448328196,
                10963172462386555906,
                17470409252149564579,
                13295897088201519974,
            ],
        ],
    );
}

#[test]
fn robertas_vocabulary_and_merges_are_enough() {
    let Some(folder) = shared::path("models/roberta-bpe") else {
        return;
    };
    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    assert_eq!(tokenizer.vocab_size(), 50265);
    let special = (
        tokenizer.pad_id,
        tokenizer.cls_id,
        tokenizer.sep_id,
        tokenizer.mask_id,
    );
    assert_eq!(special, (1, 0, 2, Some(50264)));
    assert_eq!(
        tokenizer.encode(ODD[3], None, 64).unwrap().ids,
        [0, 0, 1178, 50264, 1423, 2, 2]
    );
    check(
        &tokenizer,
        [
            [
                4563218509907946543,
                10722820729174106276,
                4909009661811189779,
                7138474836846346101,
            ],
            [
                6933126524796602794,
                10722820729174106276,
                11887725861719365540,
                17480282799522629101,
            ],
            [
                14946704606292596695,
                15707062909259835554,
                9852717755420041390,
                14797438188736485529,
            ],
        ],
    );
}

#[test]
fn gpt2_uses_its_one_special_token_for_all() {
    let Some(folder) = shared::path("models/gpt2-bpe") else {
        return;
    };
    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    let special = (
        tokenizer.pad_id,
        tokenizer.cls_id,
        tokenizer.sep_id,
        tokenizer.mask_id,
    );
    assert_eq!(special, (50256, 50256, 50256, None));
    // The ids of OpenAI's encoder for its best-known text.
    assert_eq!(
        tokenizer.encode("Hello world", None, 9).unwrap().ids,
        [15496, 995]
    );
}

#[test]
fn ids_equal_those_of_transformers() {
    for name in ["bert-tiny", "roberta-tiny"] {
        let Some(folder) = shared::path(&format!("golden/hf/{name}")) else {
            return;
        };
        let tokenizer = Tokenizer::from_folder(&folder).unwrap();
        let golden = fs::read_to_string(folder.join("golden.json")).unwrap();
        let golden: Value = serde_json::from_str(&golden).unwrap();
        let mut compared = 0;
        for case in golden["cases"].as_array().unwrap() {
            let inputs = &case["inputs"];
            for (row, text) in case["texts"].as_array().unwrap().iter().enumerate() {
                let (first, second) = match text {
                    Value::Array(pair) => (pair[0].as_str(), pair[1].as_str()),
                    text => (text.as_str(), None),
                };
                let found = tokenizer.encode(first.unwrap(), second, 64).unwrap();
                // The golden rows are padded; the mask says to where.
                let numbers = |key: &str| -> Option<Vec<u32>> {
                    let row = inputs.get(key)?[row].as_array().unwrap();
                    Some(row.iter().map(|v| v.as_u64().unwrap() as u32).collect())
                };
                let length = numbers("attention_mask").unwrap().iter().sum::<u32>() as usize;
                let ids = numbers("input_ids").unwrap();
                assert_eq!(found.ids, ids[..length]);
                assert!(ids[length..].iter().all(|&id| id == tokenizer.pad_id));
                let types = numbers("token_type_ids").unwrap_or(vec![0; ids.len()]);
                assert_eq!(found.type_ids, types[..length]);
                compared += 1;
            }
        }
        assert_eq!(compared, 7, "{name}");
    }
}

const SMALL: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\nsat\n##s\n.\n";

fn small(vocabulary: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vocab.txt"), vocabulary).unwrap();
    folder
}

#[test]
fn a_pair_is_cut_longest_first() {
    let folder = small(SMALL);
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    let ids = |max_len| {
        tokenizer
            .encode("The cats sat.", Some("dog."), max_len)
            .unwrap()
    };
    let whole = ids(64);
    assert_eq!(whole.ids, [2, 5, 6, 8, 7, 9, 3, 1, 9, 3]);
    assert_eq!(whole.type_ids, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(ids(8).ids, [2, 5, 6, 8, 3, 1, 9, 3]);
    assert_eq!(ids(6).ids, [2, 5, 6, 3, 1, 3]);
    // Special tokens are never cut.
    for max_len in 0..4 {
        assert_eq!(ids(max_len).ids, [2, 3, 3]);
    }
}

#[test]
fn a_folder_without_a_usable_tokenizer_says_why() {
    let empty = tempfile::tempdir().unwrap();
    let error = |folder: &Path| Tokenizer::from_folder(folder).unwrap_err().to_string();
    assert!(error(empty.path()).contains("no tokenizer here"));
    // A model's name on a hub is a folder that is not there.
    let hub = PathBuf::from("bert-base-uncased");
    assert!(error(&hub).starts_with("bert-base-uncased: no tokenizer here"));
    assert!(error(small("a\nb\n").path()).contains("vocab.txt: the vocabulary has no [UNK]"));
    assert!(error(small(&SMALL.replace("[PAD]", "x")).path()).contains("no pad_token"));
    for (name, content, expected) in [
        ("tokenizer.json", &b"{\"version\""[..], "tokenizer.json: "),
        ("tokenizer.json", b"\xff\xfe", "tokenizer.json: "),
        ("tokenizer_config.json", b"[", "tokenizer_config.json: "),
        ("vocab.txt", b"\xff", "vocab.txt: not UTF-8"),
    ] {
        let folder = small(SMALL);
        fs::write(folder.path().join(name), content).unwrap();
        let error = error(folder.path());
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vocab.json"), "{\"a\": 0}").unwrap();
    fs::write(folder.path().join("merges.txt"), "a b c\n").unwrap();
    assert!(error(folder.path()).contains("vocab.json: with merges.txt beside it"));
}

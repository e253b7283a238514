//! The published data sets: their sizes, that the layouts agree, and their lengths in GPT-2's tokens.

mod shared;

use adamix_data::metrics::nlg::{Kind, io};
use adamix_data::nlg::{Completion, Corpus, Pair, Part, e2e, encode, group, prompts, text_of};
use adamix_data::{Split, Tokenizer};

fn load(corpus: Corpus, folder: &str, split: Split) -> Option<Vec<Pair>> {
    let folder = shared::path(folder)?;
    Some(corpus.load(&folder, split).unwrap().pairs)
}

#[test]
fn both_layouts_of_e2e_hold_the_same_inputs() {
    for (split, rows, inputs) in [
        (Split::Train, 42_061, 4_862),
        (Split::Dev, 4_672, 547),
        (Split::Test, 4_693, 630),
    ] {
        let Some(csv) = load(Corpus::E2e, "data/e2e/csv", split) else {
            return;
        };
        let Some(lines) = load(Corpus::E2e, "data/e2e/lora-format", split) else {
            return;
        };
        assert_eq!((csv.len(), lines.len()), (rows, rows));
        assert_eq!(group(&csv).len(), inputs);
        for (csv, line) in csv.iter().zip(&lines) {
            assert_eq!(csv.context, line.context);
            let meaning = e2e::meaning_representation(&line.context).unwrap();
            assert_eq!(e2e::linearise(&meaning).unwrap(), line.context);
        }
    }
}

#[test]
fn the_challenges_xml_is_the_json() {
    let Some(json) = load(Corpus::Webnlg, "data/webnlg2017", Split::Test) else {
        return;
    };
    let Some(folder) = shared::path("data/webnlg2017/xml-test") else {
        return;
    };
    let xml = |name: &str| Corpus::Webnlg.read(&[folder.join(name)]).unwrap().pairs;
    let all = xml("testdata_with_lex.xml");
    assert_eq!(json.len(), 4_928);
    let inputs = |pairs: &[Pair]| {
        group(pairs)
            .into_iter()
            .map(|g| g.context)
            .collect::<Vec<_>>()
    };
    assert_eq!(all, json);
    assert_eq!(inputs(&xml("testdata_no_lex.xml")), inputs(&json));
    let unseen: Vec<Pair> = json
        .into_iter()
        .filter(|p| Part::Unseen.holds(p.seen))
        .collect();
    assert_eq!(unseen.len(), 2_433);
    let texts = |pairs: &[Pair]| pairs.iter().map(|p| p.text.clone()).collect::<Vec<_>>();
    let from_xml = xml("testdata_unseen_with_lex.xml");
    assert_eq!(inputs(&from_xml), inputs(&unseen));
    assert_eq!(texts(&from_xml), texts(&unseen));
}

#[test]
fn only_good_texts_of_webnlg_count() {
    for (split, texts) in [(Split::Train, 18_025), (Split::Dev, 2_258)] {
        let Some(pairs) = load(Corpus::Webnlg, "data/webnlg2017", split) else {
            return;
        };
        assert_eq!(pairs.len(), texts);
        assert!(pairs.iter().all(|pair| pair.seen == Some(true)));
    }
}

#[test]
fn dart_has_its_published_sizes() {
    // One of the test set's 12,552 annotations is null.
    for (split, texts) in [(Split::Dev, 6_980), (Split::Test, 12_551)] {
        let Some(pairs) = load(Corpus::Dart, "data/dart", split) else {
            return;
        };
        assert_eq!(pairs.len(), texts);
        if split == Split::Dev {
            assert_eq!(group(&pairs).len(), 2_721);
        }
    }
    let Some(folder) = shared::path("data/dart") else {
        return;
    };
    let error = Corpus::Dart
        .load(&folder, Split::Train)
        .unwrap_err()
        .to_string();
    assert!(error.contains("dart-*-train.json"), "{error}");
}

/// By the official test file's entries, or by the distinct inputs that the released code decodes.
#[test]
fn outputs_of_dart_are_as_many_as_its_entries_or_inputs() {
    let Some(references) = shared::path("data/dart/dart-v1.1.1-full-test.from-xml.json") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let outputs = folder.path().join("outputs.txt");
    for count in [5_097, 4_159] {
        std::fs::write(&outputs, "A text.\n".repeat(count)).unwrap();
        let texts = io::read(&references, &outputs, Kind::Dart).unwrap();
        assert_eq!(texts.references.len(), count);
    }
}

/// Counted with Python's tokenizer: the longest context, the mean length, texts that 64 new tokens cannot hold.
#[test]
fn lengths_in_gpt2_tokens_are_those_of_the_original_encoder() {
    let Some(folder) = shared::path("models/gpt2-bpe") else {
        return;
    };
    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    assert_eq!((tokenizer.begin_id, tokenizer.end_id), (50_256, 50_256));
    assert_eq!(tokenizer.blank_line_id(), Some(628));
    for (corpus, data, split, context, mean, long) in [
        (
            Corpus::E2e,
            "data/e2e/lora-format",
            Split::Test,
            47,
            67.0,
            4,
        ),
        (Corpus::Dart, "data/dart", Split::Dev, 134, 70.0, 73),
        (Corpus::Webnlg, "data/webnlg2017", Split::Dev, 165, 79.0, 63),
    ] {
        let Some(pairs) = load(corpus, data, split) else {
            return;
        };
        let found: Vec<Completion> = encode(&tokenizer, &pairs, 512).unwrap();
        let longest = found.iter().map(|c| c.context).max().unwrap();
        let total: usize = found.iter().map(Completion::len).sum();
        let texts = found.iter().filter(|c| c.len() - c.context > 64).count();
        let name = corpus.name();
        assert_eq!((longest, texts), (context, long), "{name}");
        assert!(
            (total as f64 / found.len() as f64 - mean).abs() <= 0.5,
            "{name}: {total}"
        );
    }
}

#[test]
fn pairs_are_encoded_as_the_released_code_does() {
    let Some(folder) = shared::path("models/gpt2-bpe") else {
        return;
    };
    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    let pair = Pair {
        id: 0,
        context: "name : Blue Spice".into(),
        text: Some("Hello world!".into()),
        seen: None,
    };
    // GPT-2's ids of ` Hello world!`, as its authors' encoder gives them.
    let text = [18435, 995, 0];
    let found = encode(&tokenizer, std::slice::from_ref(&pair), 512)
        .unwrap()
        .remove(0);
    assert_eq!(found.ids[found.context..], [&text[..], &[50_256]].concat());
    assert_eq!(found.ids[found.context - 1], 50_256);
    let prompt = prompts(&tokenizer, std::slice::from_ref(&pair.context))
        .unwrap()
        .remove(0);
    assert_eq!(prompt, found.ids[..found.context]);
    // Cut at the right; a context without room for a text is refused.
    let cut = encode(&tokenizer, std::slice::from_ref(&pair), found.len() - 2)
        .unwrap()
        .remove(0);
    assert_eq!(cut.ids, found.ids[..found.len() - 2]);
    let error = encode(&tokenizer, &[pair], found.context)
        .unwrap_err()
        .to_string();
    assert!(error.contains("leaves no room"), "{error}");
    let text = |tokens: &[u32]| text_of(&tokenizer, tokens, true).unwrap();
    assert_eq!(text(&[18435, 995, 0, 50_256, 995]), "Hello world!");
    assert_eq!(text(&[18435, 628, 995]), "Hello");
    let whole = text_of(&tokenizer, &[18435, 628, 995], false).unwrap();
    assert_eq!(whole, "Hello   world");
    assert_eq!(text(&[18435, 198, 995]), "Hello  world");
}

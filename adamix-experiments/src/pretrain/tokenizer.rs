//! A byte-level BPE vocabulary learned from the corpus: in RoBERTa's form, lower-cased, since a vocabulary
//! this small has no room for every word twice; or in GPT-2's, as it is, since a decoder writes.

use std::path::Path;

use adamix_models::hub::write;
use anyhow::{Result, anyhow, ensure};
use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::{Lowercase, NFD, Sequence, StripAccents};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, TokenizerBuilder};

use super::objective::Objective;

/// The special tokens of a fresh vocabulary; their ids are their places. RoBERTa's but for `<mask>` have the
/// same ids there; that and GPT-2's only one stand last there.
pub const fn special(objective: Objective) -> &'static [&'static str] {
    match objective {
        Objective::Masked => &["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        Objective::Causal => &["<|endoftext|>"],
    }
}

/// Symbols every vocabulary has: one a byte, so that any text has tokens.
pub const ALPHABET: usize = 256;

/// Learns a vocabulary and writes `tokenizer.json` and `tokenizer_config.json`. The files depend on the
/// paragraphs only, not on threads.
///
/// # Errors
/// If the text is too small for the vocabulary, or the files cannot be written.
pub(super) fn train(
    folder: &Path,
    objective: Objective,
    paragraphs: &[String],
    vocab_size: usize,
    max_length: usize,
) -> Result<()> {
    let failed = |e: tokenizers::Error| anyhow!("the vocabulary cannot be learned: {e}");
    let special: Vec<AddedToken> = special(objective)
        .iter()
        // As RoBERTa has it, `<mask>` takes the space before it.
        .map(|t| AddedToken::from(*t, true).lstrip(*t == "<mask>"))
        .collect();
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let builder = TokenizerBuilder::new().with_model(BPE::default());
    let builder = match objective {
        Objective::Masked => {
            // The space before a first word: a word has the same token wherever it stands.
            let bytes = ByteLevel::new(true, true, true);
            let around = RobertaProcessing::new(("</s>".to_owned(), 2), ("<s>".to_owned(), 0));
            builder
                .with_normalizer(Some(Sequence::new(vec![
                    NFD.into(),
                    StripAccents.into(),
                    Lowercase.into(),
                ])))
                .with_pre_tokenizer(Some(bytes))
                .with_post_processor(Some(PostProcessorWrapper::from(
                    around.add_prefix_space(true),
                )))
                .with_decoder(Some(bytes))
        }
        Objective::Causal => {
            let bytes = ByteLevel::new(false, true, true);
            builder
                .with_normalizer(None::<Sequence>)
                .with_pre_tokenizer(Some(bytes))
                .with_post_processor(Some(PostProcessorWrapper::from(bytes)))
                .with_decoder(Some(bytes))
        }
    };
    let mut tokenizer = builder.build().map_err(failed)?;
    tokenizer
        .train(&mut trainer, paragraphs.iter().map(String::as_str))
        .map_err(failed)?;
    let found = tokenizer.get_vocab_size(true);
    ensure!(
        found == vocab_size,
        "the corpus gives a vocabulary of {found} tokens only; lower `model.vocab_size` from {vocab_size}, or give more text"
    );
    let compact = tokenizer.to_string(false).map_err(failed)?;
    write::atomic(&folder.join("tokenizer.json"), compact.as_bytes())?;

    // Python's own classes would build normaliser and prefix anew; this one takes the file as it is.
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": false,
    });
    let roles: &[(&str, &str)] = match objective {
        Objective::Masked => &[
            ("bos_token", "<s>"),
            ("cls_token", "<s>"),
            ("eos_token", "</s>"),
            ("sep_token", "</s>"),
            ("pad_token", "<pad>"),
            ("unk_token", "<unk>"),
            ("mask_token", "<mask>"),
        ],
        Objective::Causal => &[
            ("bos_token", "<|endoftext|>"),
            ("eos_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
        ],
    };
    for (role, token) in roles {
        config[role] = json!(token);
    }
    let text = format!("{config:#}\n");
    write::atomic(&folder.join("tokenizer_config.json"), text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use adamix_data::Tokenizer;

    use super::*;
    use crate::pretrain::tests::text;

    fn trained(paragraphs: &[String]) -> (tempfile::TempDir, Tokenizer) {
        let folder = tempfile::tempdir().unwrap();
        train(folder.path(), Objective::Masked, paragraphs, 320, 16).unwrap();
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        (folder, tokenizer)
    }

    #[test]
    fn texts_come_back_in_lower_case() {
        let (_folder, tokenizer) = trained(&text(40));
        let (open, close) = (0, 2);
        for sentence in ["The quiet baker was never angry .", "Zażółć 7 € \u{1F600}!"] {
            let ids = tokenizer.encode(sentence, None, 1000).unwrap().ids;
            assert_eq!((ids[0], *ids.last().unwrap()), (open, close));
            let shown: String = ids[1..ids.len() - 1]
                .iter()
                .map(|id| tokenizer.id_to_token(*id).unwrap())
                .collect();
            assert_eq!(decode(&shown), format!(" {}", lower(sentence)));
        }
    }

    /// By hand what the normaliser does to these sentences.
    fn lower(text: &str) -> String {
        let plain = |c: char| match c {
            'ż' => 'z',
            'ó' => 'o',
            'ł' => 'ł',
            'ć' => 'c',
            c => c,
        };
        text.to_lowercase().chars().map(plain).collect()
    }

    /// GPT-2's table of bytes as printable characters, read backwards.
    fn decode(shown: &str) -> String {
        let printable = |b: u32| (33..127).contains(&b) || (161..173).contains(&b) || b >= 174;
        let others: Vec<u32> = (0..256).filter(|b| !printable(*b)).collect();
        let byte = |c: char| match c as u32 {
            code if code >= 256 => others[code as usize - 256] as u8,
            code => code as u8,
        };
        String::from_utf8(shown.chars().map(byte).collect()).unwrap()
    }

    #[test]
    fn special_tokens_have_robertas_places() {
        let (_folder, tokenizer) = trained(&text(40));
        for (id, token) in special(Objective::Masked).iter().enumerate() {
            assert_eq!(tokenizer.token_to_id(token), Some(id as u32));
        }
        assert_eq!((tokenizer.pad_id, tokenizer.cls_id), (1, 0));
        assert_eq!((tokenizer.sep_id, tokenizer.mask_id), (2, Some(4)));
        let pair = tokenizer.encode("a", Some("a"), 100).unwrap().ids;
        let a = pair[1];
        assert_eq!(pair, [0, a, 2, 2, a, 2]);
        let masked = tokenizer.encode("a <mask>", None, 100).unwrap().ids;
        assert_eq!(masked, [0, a, 4, 2]);
    }

    #[test]
    fn a_causal_vocabulary_keeps_a_text_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        train(folder.path(), Objective::Causal, &text(40), 320, 16).unwrap();
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        assert_eq!(tokenizer.token_to_id("<|endoftext|>"), Some(0));
        for sentence in [
            "The quiet baker\n\n was never  angry .",
            "Zażółć 7 € \u{1F600}!",
        ] {
            let ids = tokenizer.encode(sentence, None, 1000).unwrap().ids;
            let shown: String = ids
                .iter()
                .map(|id| tokenizer.id_to_token(*id).unwrap())
                .collect();
            assert_eq!(decode(&shown), sentence);
        }
    }

    #[test]
    fn the_same_text_gives_the_same_file() {
        let paragraphs = text(60);
        let file = || {
            let (folder, _) = trained(&paragraphs);
            std::fs::read(folder.path().join("tokenizer.json")).unwrap()
        };
        let first = file();
        assert!((0..3).all(|_| file() == first));
    }

    #[test]
    fn too_little_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let text = ["one two".to_owned()];
        let error = train(folder.path(), Objective::Causal, &text, 400, 16).unwrap_err();
        assert!(error.to_string().contains("model.vocab_size"), "{error}");
    }
}

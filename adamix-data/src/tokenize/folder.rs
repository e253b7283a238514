//! Builds a tokenizer from the files of a Hugging Face model folder.

use std::path::Path;

use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::{bert::BertPreTokenizer, byte_level::ByteLevel};
use tokenizers::processors::{bert::BertProcessing, roberta::RobertaProcessing};
use tokenizers::{AddedToken, Tokenizer as Inner};

use super::Tokenizer;
use crate::error::DataError;
use crate::source::read_bytes;

/// Files larger than this are no tokenizer (256 MiB; the largest published ones stay below 40 MiB).
const MAX_TOKENIZER_BYTES: u64 = 1 << 28;

/// A normalizer may make a text at most this many times as long.
const MAX_GROWTH: f64 = 1000.0;

/// What GPT-2 uses where others have several special tokens.
const END_OF_TEXT: &str = "<|endoftext|>";

/// All files that a tokenizer may be made from.
const FILES: [&str; 5] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];

/// An older file for the names of special tokens.
const SPECIAL_TOKENS: &str = "special_tokens_map.json";

/// The roles of special tokens that are read.
const ROLES: [&str; 6] = [
    "pad_token",
    "cls_token",
    "sep_token",
    "mask_token",
    "eos_token",
    "bos_token",
];

/// Opens the tokenizer of a folder.
pub(super) fn open(folder: &Path) -> Result<Tokenizer, DataError> {
    let file = |name: &str| {
        let path = folder.join(name);
        path.is_file().then_some(path)
    };
    let config = Config::read(folder)?;
    let mut inner = if let Some(path) = file("tokenizer.json") {
        let bytes = bounded(&path)?;
        refuse_hostile(&bytes, &path)?;
        Inner::from_bytes(bytes).map_err(|e| broken(&path, e.to_string()))?
    } else if let Some(path) = file("vocab.txt") {
        word_piece(&path, &config)?
    } else if let (Some(vocab), Some(merges)) = (file("vocab.json"), file("merges.txt")) {
        byte_level(&vocab, &merges)?
    } else {
        return Err(broken(
            folder,
            "no tokenizer here: expected tokenizer.json, or vocab.txt, or vocab.json with merges.txt (local files; nothing is downloaded)",
        ));
    };
    // Length is the caller's to choose: some published files store 128 and padding with it.
    inner
        .with_truncation(None)
        .map_err(|e| broken(folder, e.to_string()))?;
    inner.with_padding(None);

    let find = |role: &str, usual: &[&str]| {
        let named = config.token(role);
        let names = named
            .iter()
            .map(String::as_str)
            .chain(usual.iter().copied());
        names.into_iter().find_map(|name| inner.token_to_id(name))
    };
    let need = |role: &str, usual: &[&str]| {
        find(role, usual)
            .or_else(|| inner.token_to_id(END_OF_TEXT))
            .ok_or_else(|| {
                broken(
                    folder,
                    format!(
                        "the vocabulary has no {role}; name one of its tokens in tokenizer_config.json"
                    ),
                )
            })
    };
    let (pad_id, cls_id, sep_id) = (
        need("pad_token", &["[PAD]", "<pad>"])?,
        need("cls_token", &["[CLS]", "<s>"])?,
        need("sep_token", &["[SEP]", "</s>"])?,
    );
    let mask_id = find("mask_token", &["[MASK]", "<mask>"]);
    let end_id = find("eos_token", &[END_OF_TEXT, "</s>"]).unwrap_or(sep_id);
    let begin_id = find("bos_token", &[END_OF_TEXT, "<s>"]).unwrap_or(end_id);
    Ok(Tokenizer {
        inner,
        folder: folder.into(),
        hash: hash(folder, &config)?,
        pad_id,
        cls_id,
        sep_id,
        mask_id,
        begin_id,
        end_id,
    })
}

/// The hash of the names and contents of a folder's tokenizer files; `special_tokens_map.json` counts only where it says
/// what no other file does.
fn hash(folder: &Path, config: &Config) -> Result<blake3::Hash, DataError> {
    let mut hasher = blake3::Hasher::new();
    let map = config.map_decides().then_some(SPECIAL_TOKENS);
    for name in FILES.into_iter().chain(map) {
        let path = folder.join(name);
        if path.is_file() {
            let bytes = bounded(&path)?;
            hasher.update(name.as_bytes());
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(&bytes);
        }
    }
    Ok(hasher.finalize())
}

/// Refuses a `tokenizer.json` that is no JSON, on which its reader may panic, or whose normalizer would fill the memory with
/// a short text.
fn refuse_hostile(bytes: &[u8], path: &Path) -> Result<(), DataError> {
    let file: Value = serde_json::from_slice(bytes).map_err(|e| broken(path, e.to_string()))?;
    if growth(&file["normalizer"]) > MAX_GROWTH {
        return Err(broken(
            path,
            format!("its normalizer could swell a text more than {MAX_GROWTH} times"),
        ));
    }
    Ok(())
}

/// How many times as long a text can become, at most.
fn growth(normalizer: &Value) -> f64 {
    let length = |value: &Value| value.as_str().map_or(0, str::len) as f64;
    let parts = normalizer["normalizers"].as_array();
    let inner: f64 = parts.into_iter().flatten().map(growth).product();
    let own = match normalizer["pattern"]["String"].as_str() {
        Some(pattern) if !pattern.is_empty() => {
            (length(&normalizer["content"]) / pattern.len() as f64).max(1.0)
        }
        // An expression may match the empty text before every byte.
        _ => 1.0 + length(&normalizer["content"]) + length(&normalizer["prepend"]),
    };
    inner * own
}

/// BERT's tokenizer from its vocabulary, one token a line.
fn word_piece(path: &Path, config: &Config) -> Result<Inner, DataError> {
    let bytes = bounded(path)?;
    if std::str::from_utf8(&bytes).is_err() {
        return Err(broken(path, "not UTF-8 text; expected one token a line"));
    }
    let vocab = WordPiece::read_bytes(&bytes).map_err(|e| broken(path, e.to_string()))?;
    let model = WordPiece::builder()
        .vocab(vocab)
        .unk_token("[UNK]".into())
        .build()
        .map_err(|e| broken(path, e.to_string()))?;
    let mut inner = Inner::new(model);
    let special = |name: &str| {
        let id = inner.token_to_id(name);
        id.map(|id| (name.to_owned(), id)).ok_or_else(|| {
            broken(
                path,
                format!("the vocabulary has no {name}; it is not BERT's"),
            )
        })
    };
    special("[UNK]")?;
    let around = BertProcessing::new(special("[SEP]")?, special("[CLS]")?);
    inner
        .with_normalizer(Some(BertNormalizer::new(
            true,
            config.flag("tokenize_chinese_chars").unwrap_or(true),
            config.flag("strip_accents"),
            config.flag("do_lower_case").unwrap_or(true),
        )))
        .map_err(|e| broken(path, e.to_string()))?
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(around));
    add_special(
        &mut inner,
        &["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"],
        path,
    )?;
    Ok(inner)
}

/// RoBERTa's or GPT-2's tokenizer from its vocabulary and merges.
fn byte_level(vocab: &Path, merges: &Path) -> Result<Inner, DataError> {
    let name = |path: &Path| {
        bounded(path)?;
        let name = path.to_str().map(str::to_owned);
        name.ok_or_else(|| broken(path, "the path is not UTF-8; move the folder"))
    };
    let both = |e: tokenizers::Error| broken(vocab, format!("with merges.txt beside it: {e}"));
    let (tokens, pairs) = BPE::read_file(&name(vocab)?, &name(merges)?).map_err(both)?;
    let model = BPE::builder()
        .vocab_and_merges(tokens, pairs)
        .build()
        .map_err(both)?;
    let mut inner = Inner::new(model);
    inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    let token = |name: &str| inner.token_to_id(name).map(|id| (name.to_owned(), id));
    if let (Some(open), Some(close)) = (token("<s>"), token("</s>")) {
        let around = RobertaProcessing::new(close, open).add_prefix_space(false);
        inner.with_post_processor(Some(around));
        add_special(
            &mut inner,
            &["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
            vocab,
        )?;
    } else {
        add_special(&mut inner, &[END_OF_TEXT], vocab)?;
    }
    Ok(inner)
}

/// Marks those of the tokens that the vocabulary has as never to be split.
fn add_special(inner: &mut Inner, names: &[&str], path: &Path) -> Result<(), DataError> {
    let tokens: Vec<AddedToken> = names
        .iter()
        .filter(|name| inner.token_to_id(name).is_some())
        // RoBERTa's mask takes the space before it along, as in `transformers`.
        .map(|&name| AddedToken::from(name, true).lstrip(name == "<mask>"))
        .collect();
    inner
        .add_special_tokens(tokens)
        .map_err(|e| broken(path, e.to_string()))?;
    Ok(())
}

/// `tokenizer_config.json` and `special_tokens_map.json`; an absent one says nothing.
struct Config([Value; 2]);

impl Config {
    fn read(folder: &Path) -> Result<Self, DataError> {
        let read = |name: &str| {
            let path = folder.join(name);
            if !path.is_file() {
                return Ok(Value::Null);
            }
            let value = serde_json::from_slice(&bounded(&path)?);
            value.map_err(|e| broken(&path, e.to_string()))
        };
        Ok(Self([
            read("tokenizer_config.json")?,
            read(SPECIAL_TOKENS)?,
        ]))
    }

    /// Whether the older file names a token for which the other has none.
    fn map_decides(&self) -> bool {
        let [config, map] = &self.0;
        let decides = |role: &&str| config.get(*role).is_none() && map.get(*role).is_some();
        ROLES.iter().any(decides)
    }

    /// The token of a role, written as a string or as an object with its content.
    fn token(&self, role: &str) -> Option<String> {
        let entry = self.0.iter().find_map(|file| file.get(role))?;
        let text = entry.as_str().or_else(|| entry.get("content")?.as_str());
        text.map(str::to_owned)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0.iter().find_map(|file| file.get(name)?.as_bool())
    }
}

fn bounded(path: &Path) -> Result<Vec<u8>, DataError> {
    let too_large = std::fs::metadata(path).is_ok_and(|m| m.len() > MAX_TOKENIZER_BYTES);
    if too_large {
        return Err(broken(path, "too large to be a tokenizer file"));
    }
    Ok(read_bytes(path)?.0)
}

fn broken(path: &Path, message: impl Into<String>) -> DataError {
    DataError::Tokenizer {
        path: path.into(),
        message: message.into(),
    }
}

//! Files of what texts are to be generated for.

use std::path::Path;

use adamix_data::Tokenizer;
use adamix_data::nlg::{Corpus, group, prompts};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::base::DecoderBase;

/// How the lines of a text file are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// As inputs of a trained model: the separator follows.
    Inputs,
    /// As beginnings to be continued.
    Prompts,
}

/// The prompts of a file, as tokens: a data set's distinct inputs, one JSON object a line (`.jsonl`), or one
/// text a line.
///
/// # Errors
/// What is wrong with the file, by line.
pub fn read_prompts(
    path: &Path,
    corpus: Option<Corpus>,
    lines: Lines,
    base: &DecoderBase,
) -> Result<Vec<Vec<u32>>> {
    let tokenizer = &base.tokenizer;
    if let Some(corpus) = corpus {
        let pairs = corpus.read(&[path.to_owned()])?.pairs;
        let inputs: Vec<String> = group(&pairs).into_iter().map(|g| g.context).collect();
        return Ok(prompts(tokenizer, &inputs)?);
    }
    let text = adamix_data::read_text(path)?;
    let tokens = base.config.vocab_size;
    let json = path.extension().is_some_and(|e| e == "jsonl");
    let mut found = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let place = || format!("{}:{}", path.display(), line + 1);
        let prompt = match json {
            true => object(content, tokenizer).with_context(place)?,
            false => {
                let content = content.trim_end_matches('\r');
                ensure!(
                    !content.trim().is_empty(),
                    "{}: the line is empty; there is nothing to generate from",
                    place()
                );
                plain(content, lines, tokenizer)?
            }
        };
        ensure!(
            !prompt.is_empty(),
            "{}: there is no token to generate from",
            place()
        );
        if let Some(id) = prompt.iter().find(|id| **id as usize >= tokens) {
            bail!(
                "{}: token id {id}, the model has {tokens} token ids",
                place()
            );
        }
        found.push(prompt);
    }
    ensure!(!found.is_empty(), "{}: the file is empty", path.display());
    Ok(found)
}

fn plain(text: &str, lines: Lines, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let text = [text.to_owned()];
    let mut found = match lines {
        Lines::Inputs => prompts(tokenizer, &text)?,
        Lines::Prompts => tokenizer.encode_plain(&text)?,
    };
    Ok(found.remove(0))
}

/// `{"context": …}`, `{"prompt": …}` or `{"input_ids": […]}`.
fn object(line: &str, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let object: serde_json::Map<String, Value> =
        serde_json::from_str(line).context("expected one JSON object a line")?;
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    if let Some(context) = text("context") {
        return plain(context, Lines::Inputs, tokenizer);
    }
    if let Some(prompt) = text("prompt") {
        return plain(prompt, Lines::Prompts, tokenizer);
    }
    let Some(Value::Array(ids)) = object.get("input_ids") else {
        let keys: Vec<&str> = object.keys().map(String::as_str).collect();
        bail!(
            "expected `context`, `prompt` or `input_ids`; the keys found are: {}",
            keys.join(", ")
        );
    };
    let id = |value: &Value| {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.with_context(|| format!("`input_ids` holds {value}, which is no token id"))
    };
    ids.iter().map(id).collect()
}

//! Pairs as tokens: context and separator, then the text and its end, as the released code has them.

use super::Pair;
use crate::error::DataError;
use crate::tokenize::Tokenizer;

/// A pair as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The context's tokens, the separator, the text's tokens, the end.
    pub ids: Vec<u32>,
    /// How many of them are context, separator included; the loss counts on the others.
    pub context: usize,
}

impl Completion {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The tokens that a text is generated after: the context's and the separator, which is the token that
/// begins texts.
///
/// # Errors
/// [`DataError::Tokenizer`] if the vocabulary cannot express a context.
pub fn prompts(tokenizer: &Tokenizer, contexts: &[String]) -> Result<Vec<Vec<u32>>, DataError> {
    let mut prompts = tokenizer.encode_plain(contexts)?;
    for prompt in &mut prompts {
        prompt.push(tokenizer.begin_id);
    }
    Ok(prompts)
}

/// The tokens of pairs: context, separator, a blank with the text, end; cut at the right to `max_length`.
///
/// # Errors
/// [`DataError::Pair`] if a pair has no text, or its context leaves no room for one.
pub fn encode(
    tokenizer: &Tokenizer,
    pairs: &[Pair],
    max_length: usize,
) -> Result<Vec<Completion>, DataError> {
    let mut texts = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let Some(text) = &pair.text else {
            return Err(refuse(pair, "it has no text to learn from".to_owned()));
        };
        texts.push(format!(" {text}"));
    }
    let contexts: Vec<String> = pairs.iter().map(|pair| pair.context.clone()).collect();
    let both = prompts(tokenizer, &contexts)?
        .into_iter()
        .zip(tokenizer.encode_plain(&texts)?);
    let complete = |((mut ids, text), pair): ((Vec<u32>, Vec<u32>), &Pair)| {
        let context = ids.len();
        if context >= max_length {
            return Err(refuse(
                pair,
                format!(
                    "its input has {context} tokens, which leaves no room for a text in {max_length}; raise \
                     `input.max_length` or take the pair out"
                ),
            ));
        }
        ids.extend(text);
        ids.push(tokenizer.end_id);
        ids.truncate(max_length);
        Ok(Completion { ids, context })
    };
    both.zip(pairs).map(complete).collect()
}

fn refuse(pair: &Pair, message: String) -> DataError {
    DataError::Pair {
        id: pair.id,
        message,
    }
}

/// The text of generated tokens: up to an end token, or also a blank line, trimmed, on one line.
///
/// # Errors
/// [`DataError::Tokenizer`] if the tokens stand for no text.
pub fn text_of(
    tokenizer: &Tokenizer,
    tokens: &[u32],
    blank_line_ends: bool,
) -> Result<String, DataError> {
    let end = tokens.iter().position(|id| *id == tokenizer.end_id);
    let mut text = tokenizer.decode(&tokens[..end.unwrap_or(tokens.len())])?;
    if blank_line_ends && let Some(end) = text.find("\n\n") {
        text.truncate(end);
    }
    Ok(text.trim().replace(['\n', '\r'], " "))
}

/// Completions padded to one length, row-major `[size, seq]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The pairs' ids, `[size]`.
    pub rows: Vec<u32>,
    /// The tokens read: all of a completion but the last, which nothing follows. Padding is 0.
    pub ids: Vec<u32>,
    /// The token that follows each.
    pub labels: Vec<u32>,
    /// 1 where the token that follows is the text's or its end.
    pub mask: Vec<f32>,
    /// How many tokens of each are read, `[size]`; the rest of its row is padding.
    pub lengths: Vec<usize>,
    /// Number of completions.
    pub size: usize,
    /// Tokens a completion, padding included.
    pub seq: usize,
}

/// Pads completions to the longest of them, on the right, where a causal model never looks.
///
/// `pad_to` asks for at least that length (the released code pads every batch to 512); nothing is ever cut.
pub fn collate(completions: &[(u32, &Completion)], pad_to: Option<usize>) -> Batch {
    let read = |completion: &Completion| completion.len().saturating_sub(1);
    let longest = completions.iter().map(|(_, c)| read(c)).max();
    let seq = longest.unwrap_or(0).max(pad_to.unwrap_or(0));
    let size = completions.len();
    let mut batch = Batch {
        rows: completions.iter().map(|(id, _)| *id).collect(),
        ids: vec![0; size * seq],
        labels: vec![0; size * seq],
        mask: vec![0.0; size * seq],
        lengths: completions.iter().map(|(_, c)| read(c)).collect(),
        size,
        seq,
    };
    for (row, (_, completion)) in completions.iter().enumerate() {
        for (column, pair) in completion.ids.windows(2).enumerate() {
            let at = row * seq + column;
            batch.ids[at] = pair[0];
            batch.labels[at] = pair[1];
            batch.mask[at] = f32::from(u8::from(column + 1 >= completion.context));
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn completion(ids: &[u32], context: usize) -> Completion {
        Completion {
            ids: ids.to_vec(),
            context,
        }
    }

    #[test]
    fn the_loss_counts_from_the_separator_to_the_last_token_but_one() {
        // Two of context (the second the separator), a text of two tokens and its end.
        let (long, short) = (completion(&[5, 1, 7, 8, 2], 2), completion(&[1, 2], 1));
        let batch = collate(&[(9, &long), (3, &short)], None);
        assert_eq!((batch.size, batch.seq), (2, 4));
        assert_eq!(batch.rows, [9, 3]);
        assert_eq!(batch.lengths, [4, 1]);
        assert_eq!(batch.ids, [5, 1, 7, 8, 1, 0, 0, 0]);
        assert_eq!(batch.labels, [1, 7, 8, 2, 2, 0, 0, 0]);
        assert_eq!(batch.mask, [0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(collate(&[(9, &long)], Some(512)).seq, 512);
        assert_eq!(collate(&[], None).seq, 0);
    }

    proptest! {
        #[test]
        fn as_many_positions_count_as_a_text_has_tokens(
            rows in prop::collection::vec((1usize..20, 1usize..20), 1..9),
            pad_to in prop::option::of(0usize..60),
        ) {
            let completions: Vec<Completion> = rows
                .iter()
                .map(|(context, text)| completion(&vec![3; context + text], *context))
                .collect();
            let numbered: Vec<(u32, &Completion)> = (0..).zip(&completions).collect();
            let batch = collate(&numbered, pad_to);
            for (i, (_, text)) in rows.iter().enumerate() {
                let row = &batch.mask[i * batch.seq..(i + 1) * batch.seq];
                prop_assert_eq!(row.iter().filter(|m| **m == 1.0).count(), *text);
            }
        }
    }
}

//! Templates and label words.
//!
//! A template is text with places: `{first}` and `{second}` for the texts, `{mask}` for the word to be predicted. A
//! space before a name (`{ second}`) puts one before the text, `-` after it (`{first-}`) drops the text's last character
//! (its full stop), `:lower` makes its first letter small. Each piece is tokenised on its own, as LM-BFF does; what is
//! too long is cut from the texts, the longer one first, never from the template.

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::example::Example;
use crate::task::Task;
use crate::tokenize::{Encoding, Tokenizer};

/// A template with its label words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// As it was written.
    pub template: String,
    pieces: Vec<Piece>,
    /// The word of each class, in class order.
    pub words: Vec<String>,
    /// Whether texts are lower-cased, as LiST does for MNLI alone.
    pub lower: bool,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Piece {
    Literal(String),
    Mask,
    Text {
        second: bool,
        space: bool,
        cut_last: bool,
        small_first: bool,
    },
}

/// The manual prompts of LM-BFF, which LiST uses: task, template, words in class order, lower-cased.
const MANUAL: [(&str, &str, &[&str], bool); 6] = [
    (
        "sst2",
        "{first} It was{mask}.",
        &["terrible", "great"],
        false,
    ),
    (
        "mpqa",
        "{first} It was{mask}.",
        &["terrible", "great"],
        false,
    ),
    (
        "subj",
        "{first} This is{mask}.",
        &["subjective", "objective"],
        false,
    ),
    (
        "mnli",
        "{first-}?{mask},{ second:lower}",
        &["Yes", "Maybe", "No"],
        true,
    ),
    (
        "rte",
        "{first-}?{mask},{ second:lower}",
        &["Yes", "No"],
        false,
    ),
    (
        "qqp",
        "{first}{mask},{ second:lower}",
        &["No", "Yes"],
        false,
    ),
];

impl Prompt {
    /// The manual prompt of a task; none where LM-BFF has none that LiST took.
    pub fn of(task: &Task) -> Option<Self> {
        let (_, template, words, lower) =
            MANUAL.into_iter().find(|(name, ..)| *name == task.name)?;
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Some(Self {
            lower,
            ..Self::parse(template, words).expect("a test parses the manual prompts")
        })
    }

    /// A prompt of one's own.
    ///
    /// # Errors
    /// [`DataError::Task`] if the template has no or several masks, or a place that is not known.
    pub fn parse(template: &str, words: Vec<String>) -> Result<Self, DataError> {
        let refuse = |message: String| DataError::Task {
            name: "prompt".into(),
            message: format!("template `{template}`: {message}"),
        };
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some(start) = rest.find('{') {
            if start > 0 {
                pieces.push(Piece::Literal(rest[..start].to_owned()));
            }
            let Some(length) = rest[start..].find('}') else {
                return Err(refuse("a place is not closed".into()));
            };
            let inside = &rest[start + 1..start + length];
            pieces.push(place(inside).ok_or_else(|| {
                refuse(format!(
                    "`{{{inside}}}` is not {{first}}, {{second}} or {{mask}}"
                ))
            })?);
            rest = &rest[start + length + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        match pieces.iter().filter(|piece| **piece == Piece::Mask).count() {
            1 => Ok(Self {
                template: template.to_owned(),
                pieces,
                words,
                lower: false,
            }),
            n => Err(refuse(format!("it has {n} masks; it needs one"))),
        }
    }

    /// Encodes an example: opening token, pieces, closing token, at most `max_len` of them; the texts are cut.
    ///
    /// # Errors
    /// If the vocabulary has no mask, a text holds the mask token itself, or the template alone is longer.
    pub fn encode(
        &self,
        tokenizer: &Tokenizer,
        example: &Example,
        max_len: usize,
    ) -> Result<Encoding, DataError> {
        let mask = tokenizer.mask()?;
        let mut parts: Vec<(bool, Vec<u32>)> = Vec::new();
        for piece in &self.pieces {
            parts.push(match piece {
                Piece::Literal(text) => (false, tokenizer.plain(text)?),
                Piece::Mask => (false, vec![mask]),
                Piece::Text { .. } => (true, tokenizer.plain(&self.text(piece, example))?),
            });
        }
        let total: usize = parts.iter().map(|(_, ids)| ids.len()).sum();
        let mut excess = (total + 2).saturating_sub(max_len);
        while excess > 0 {
            let texts = parts
                .iter_mut()
                .filter(|(text, ids)| *text && !ids.is_empty());
            // The longest, of equals the last.
            let Some((_, longest)) = texts.max_by_key(|(_, ids)| ids.len()) else {
                return Err(DataError::Task {
                    name: "prompt".into(),
                    message: format!(
                        "its words alone are longer than {max_len} tokens; raise `input.max_length` or shorten the template"
                    ),
                });
            };
            longest.pop();
            excess -= 1;
        }
        let mut ids = vec![tokenizer.cls_id];
        ids.extend(parts.into_iter().flat_map(|(_, ids)| ids));
        ids.push(tokenizer.sep_id);
        if ids.iter().filter(|id| **id == mask).count() != 1 {
            return Err(DataError::Task {
                name: "prompt".into(),
                message: format!(
                    "row {} holds the mask token itself; take it out of the text",
                    example.id
                ),
            });
        }
        let type_ids = vec![0; ids.len()];
        Ok(Encoding { ids, type_ids })
    }

    /// The token of each class: the first of its word, with the space before it that stands in running text.
    ///
    /// # Errors
    /// If a word is empty, or two classes have the same token.
    pub fn word_ids(&self, tokenizer: &Tokenizer) -> Result<Vec<u32>, DataError> {
        let refuse = |message: String| DataError::Task {
            name: "prompt".into(),
            message,
        };
        let mut ids: Vec<u32> = Vec::new();
        for word in &self.words {
            let tokens = tokenizer.plain(&format!(" {word}"))?;
            let Some(first) = tokens.first() else {
                return Err(refuse(format!("the label word `{word}` has no token")));
            };
            if let Some(other) = ids.iter().position(|id| id == first) {
                let other = &self.words[other];
                return Err(refuse(format!(
                    "the label words `{other}` and `{word}` begin with the same token"
                )));
            }
            ids.push(*first);
        }
        Ok(ids)
    }

    fn text(&self, piece: &Piece, example: &Example) -> String {
        let Piece::Text {
            second,
            space,
            cut_last,
            small_first,
        } = *piece
        else {
            return String::new();
        };
        let text = match second {
            true => example.second.as_deref().unwrap_or_default(),
            false => &example.first,
        };
        let mut text = if self.lower {
            text.to_lowercase()
        } else {
            text.to_owned()
        };
        if cut_last {
            text.pop();
        }
        if small_first && let Some(first) = text.chars().next() {
            text = first.to_lowercase().chain(text.chars().skip(1)).collect();
        }
        if space { format!(" {text}") } else { text }
    }
}

/// `first`, ` second:lower`, `first-`, `mask`.
fn place(inside: &str) -> Option<Piece> {
    if inside == "mask" {
        return Some(Piece::Mask);
    }
    let (inside, space) = match inside.strip_prefix(' ') {
        Some(rest) => (rest, true),
        None => (inside, false),
    };
    let (inside, small_first) = match inside.strip_suffix(":lower") {
        Some(rest) => (rest, true),
        None => (inside, false),
    };
    let (name, cut_last) = match inside.strip_suffix('-') {
        Some(rest) => (rest, true),
        None => (inside, false),
    };
    let second = match name {
        "first" => false,
        "second" => true,
        _ => return None,
    };
    Some(Piece::Text {
        second,
        space,
        cut_last,
        small_first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Target;

    #[test]
    fn manual_prompts_are_those_of_lm_bff() {
        type Words<'a> = &'a [(&'a str, &'a str)];
        // LiST's src/run.py, with the classes by name.
        let expected: [(&str, &str, Words<'_>, bool); 6] = [
            (
                "sst2",
                "{first} It was{mask}.",
                &[("negative", "terrible"), ("positive", "great")],
                false,
            ),
            (
                "mpqa",
                "{first} It was{mask}.",
                &[("negative", "terrible"), ("positive", "great")],
                false,
            ),
            (
                "subj",
                "{first} This is{mask}.",
                &[("subjective", "subjective"), ("objective", "objective")],
                false,
            ),
            (
                "mnli",
                "{first-}?{mask},{ second:lower}",
                &[
                    ("entailment", "Yes"),
                    ("neutral", "Maybe"),
                    ("contradiction", "No"),
                ],
                true,
            ),
            (
                "rte",
                "{first-}?{mask},{ second:lower}",
                &[("entailment", "Yes"), ("not_entailment", "No")],
                false,
            ),
            (
                "qqp",
                "{first}{mask},{ second:lower}",
                &[("not_duplicate", "No"), ("duplicate", "Yes")],
                false,
            ),
        ];
        for (name, template, words, lower) in expected {
            let task = super::super::task(name).unwrap();
            let prompt = Prompt::of(task).unwrap();
            assert_eq!(prompt.template, template, "{name}");
            assert_eq!(prompt.lower, lower, "{name}");
            assert_eq!(prompt.words.len(), task.labels.len(), "{name}");
            let labels = task.labels.iter().map(String::as_str);
            let found: Vec<_> = labels
                .zip(prompt.words.iter().map(String::as_str))
                .collect();
            assert_eq!(found, words, "{name}");
        }
        assert!(Prompt::of(Task::by_name("cola").unwrap()).is_none());
    }

    #[test]
    fn texts_are_changed_as_the_template_says() {
        let example = Example {
            id: 0,
            first: "A dog runs.".into(),
            second: Some("It Moves".into()),
            target: Target::Class(0),
        };
        let prompt = Prompt::parse("{first-}?{mask},{ second:lower}", Vec::new()).unwrap();
        let texts: Vec<String> = prompt
            .pieces
            .iter()
            .map(|p| prompt.text(p, &example))
            .collect();
        assert_eq!(texts, ["A dog runs", "", "", "", " it Moves"]);
        let lower = Prompt {
            lower: true,
            ..prompt
        };
        assert_eq!(lower.text(&lower.pieces[4], &example), " it moves");
    }

    #[test]
    fn a_wrong_template_is_named() {
        let error = |template: &str| Prompt::parse(template, Vec::new()).unwrap_err().to_string();
        assert!(error("{first} It was").contains("0 masks"));
        assert!(error("{mask}{mask}").contains("2 masks"));
        assert!(error("{third}{mask}").contains("{third}"));
        assert!(error("{first").contains("not closed"));
    }
}

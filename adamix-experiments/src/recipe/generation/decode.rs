//! From inputs to texts, as a config says.

use std::path::Path;

use adamix_data::Tokenizer;
use adamix_data::nlg::text_of;
use adamix_keys::Key;
use adamix_models::gpt2::Gpt2;
use adamix_models::gpt2::generate::{
    Greedy, HuggingFaceBeam, Hypothesis, ReleasedBeam, Sample, Served, once_each,
};
use adamix_models::hub::write;
use anyhow::{Result, ensure};
use serde::Serialize;

use super::super::mode::Mode;
use super::base::DecoderBase;
use crate::config::{Generation, Search};

/// A generated text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Text {
    /// On one line.
    pub text: String,
    /// Its tokens, the end included where one was reached.
    pub tokens: Vec<u32>,
    /// What the search ranked it by.
    pub score: f32,
}

/// How texts are generated.
#[derive(Clone, Debug)]
pub struct Decoding<'a> {
    settings: &'a Generation,
    tokenizer: &'a Tokenizer,
    end: Vec<u32>,
    key: Key,
}

impl<'a> Decoding<'a> {
    /// The settings with the tokens that end a text; sampling draws from `key`. They are the tokenizer's, and but for the
    /// released search those that the model's `config.json` names.
    pub fn new(settings: &'a Generation, base: &'a DecoderBase, key: Key) -> Self {
        let tokenizer = &base.tokenizer;
        let blank = tokenizer
            .blank_line_id()
            .filter(|_| settings.blank_line_ends);
        let mut end = vec![tokenizer.end_id];
        let named = match settings.search {
            Search::Released => Vec::new(),
            _ => base.config.end_ids(),
        };
        for id in blank.into_iter().chain(named) {
            if !end.contains(&id) {
                end.push(id);
            }
        }
        Self {
            settings,
            tokenizer,
            end,
            key,
        }
    }

    /// How many tokens of a prompt are read, so that the new ones have their positions.
    ///
    /// # Errors
    /// If none are.
    pub fn room(&self, model: &Gpt2) -> Result<usize> {
        let (new, positions) = (self.settings.new_tokens, model.longest_text());
        ensure!(
            new < positions,
            "`generation.new_tokens` is {new}, but the model has {positions} positions for a text in all"
        );
        Ok(positions - new)
    }

    /// A text for every prompt, each distinct prompt searched once. `model` is ready for the mode; a prompt
    /// that leaves no room for the new tokens keeps its last ones. `watch` hears how many are done.
    ///
    /// # Errors
    /// If a setting is out of range, a prompt is empty or not of this vocabulary, or `watch` fails.
    pub fn run(
        &self,
        model: &Gpt2,
        mode: &Mode<'_>,
        prompts: &[Vec<u32>],
        watch: &dyn Fn(usize) -> Result<()>,
    ) -> Result<Vec<Text>> {
        let room = self.room(model)?;
        let prompts: Vec<Vec<u32>> = prompts
            .iter()
            .map(|prompt| prompt[prompt.len().saturating_sub(room)..].to_vec())
            .collect();
        let served = Served {
            model,
            paths: mode.paths(model),
            inference: mode.inference,
        };
        let batch = self.settings.batch_size;
        let found = once_each(&prompts, batch, |group| -> Result<Vec<Hypothesis>> {
            let found = self.search(served.clone(), group)?;
            watch(group.len())?;
            Ok(found)
        })?;
        let text = |hypothesis: Hypothesis| {
            Ok(Text {
                text: text_of(
                    self.tokenizer,
                    &hypothesis.tokens,
                    self.settings.blank_line_ends,
                )?,
                tokens: hypothesis.tokens,
                score: hypothesis.score,
            })
        };
        found.into_iter().map(text).collect()
    }

    fn search(&self, served: Served<'_>, prompts: &[&[u32]]) -> Result<Vec<Hypothesis>> {
        let Generation {
            beams,
            length_penalty,
            no_repeat_ngram,
            new_tokens,
            early_stopping,
            temperature,
            top_k,
            top_p,
            ..
        } = *self.settings;
        let end = self.end.clone();
        Ok(match self.settings.search {
            Search::Released => ReleasedBeam {
                beams,
                length_penalty,
                no_repeat_ngram,
                new_tokens,
                end,
            }
            .search(served, prompts)?,
            Search::HuggingFace => HuggingFaceBeam {
                beams,
                length_penalty,
                no_repeat_ngram,
                new_tokens,
                end,
                early_stopping,
            }
            .search(served, prompts)?,
            Search::Greedy => Greedy { new_tokens, end }.search(served, prompts)?,
            Search::Sample => {
                let sample = Sample {
                    temperature,
                    top_k: Some(top_k).filter(|k| *k > 0),
                    top_p,
                    new_tokens,
                    end,
                };
                let names: Vec<u64> = prompts.iter().map(|prompt| name_of(prompt)).collect();
                sample.search(served, prompts, &names, self.key.purpose("sampling"))?
            }
        })
    }
}

/// A number that stands for a prompt, so that what is drawn for it depends on nothing else.
fn name_of(prompt: &[u32]) -> u64 {
    let bytes: Vec<u8> = prompt.iter().flat_map(|id| id.to_le_bytes()).collect();
    let hash = blake3::hash(&bytes);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes"))
}

/// Writes texts, one a line.
pub fn write_texts(path: &Path, texts: &[Text]) -> Result<()> {
    let lines: String = texts.iter().map(|text| text.text.clone() + "\n").collect();
    Ok(write::atomic(path, lines.as_bytes())?)
}

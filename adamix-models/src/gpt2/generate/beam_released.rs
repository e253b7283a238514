//! Beam search as the released code does it (`NLG/src/gpt2_beam.py`).
//!
//! What is peculiar to it: as many candidates as beams are kept, ended ones included, so an ended
//! hypothesis leaves its slot dead for a step; repeated n-grams are looked for among the new tokens only,
//! and banned before the softmax; it always runs to its limit, where unfinished hypotheses compete.

use super::candidates::{Best, LogSoftmax};
use super::ngram::ban_repeated;
use super::session::{Logits, Session};
use super::{GenerateError, Hypothesis, Served, require};

/// Beam search with the released semantics.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleasedBeam {
    /// How many hypotheses are followed; 10 in the released runs.
    pub beams: usize,
    /// The power of the length that sums are divided by; 0.8 in the released runs.
    pub length_penalty: f64,
    /// The n-grams of which none may repeat among the new tokens, 0 for no ban; 4 in the released runs.
    pub no_repeat_ngram: usize,
    /// The most tokens to add; 64 in the released runs.
    pub new_tokens: usize,
    /// The ids that end a text; end of text and blank line in the released runs.
    pub end: Vec<u32>,
}

/// A hypothesis that is being followed.
struct Beam {
    row: usize,
    score: f32,
    tokens: Vec<u32>,
}

/// The search for one prompt.
struct Search {
    prompt: usize,
    live: Vec<Beam>,
    best: Option<Hypothesis>,
}

impl Search {
    /// Takes a complete hypothesis if it is better than the best so far.
    fn offer(&mut self, tokens: Vec<u32>, score: f32) {
        if self.best.as_ref().is_none_or(|best| best.score < score) {
            self.best = Some(Hypothesis { tokens, score });
        }
    }
}

impl ReleasedBeam {
    /// The best hypothesis for each prompt.
    ///
    /// # Errors
    /// If a setting is out of range, a prompt does not fit the model, or a logit is not finite.
    pub fn search<'a>(
        &self,
        model: impl Into<Served<'a>>,
        prompts: &[&[u32]],
    ) -> Result<Vec<Hypothesis>, GenerateError> {
        self.search_with(&model.into(), prompts, true)
    }

    /// `stop_early` leaves out steps that cannot change the result.
    fn search_with(
        &self,
        served: &Served<'_>,
        prompts: &[&[u32]],
        stop_early: bool,
    ) -> Result<Vec<Hypothesis>, GenerateError> {
        require(self.beams > 0, "beams", self.beams, "at least 1")?;
        let limit = self.new_tokens;
        require(limit > 0, "new_tokens", limit, "at least 1")?;
        let penalty = self.length_penalty;
        require(
            penalty.is_finite(),
            "length_penalty",
            penalty,
            "a finite number",
        )?;
        let mut found: Vec<Option<Hypothesis>> = vec![None; prompts.len()];
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let (mut session, mut logits) = Session::start(served, prompts, limit)?;
        let start = |prompt| Search {
            prompt,
            live: vec![Beam {
                row: prompt,
                score: 0.0,
                tokens: Vec::new(),
            }],
            best: None,
        };
        let mut searches: Vec<Search> = (0..prompts.len()).map(start).collect();
        for length in 1..=limit {
            for search in &mut searches {
                self.advance(search, &mut logits, length)?;
            }
            searches.retain_mut(|search| {
                let ended = search.live.is_empty() || length == limit;
                let done = ended || (stop_early && self.is_settled(search, length));
                if done {
                    found[search.prompt] = search.best.take();
                }
                !done
            });
            if searches.is_empty() {
                break;
            }
            let (mut parents, mut tokens) = (Vec::new(), Vec::new());
            for beam in searches.iter_mut().flat_map(|search| &mut search.live) {
                parents.push(beam.row);
                tokens.push(
                    *beam
                        .tokens
                        .last()
                        .expect("a followed hypothesis has tokens"),
                );
                beam.row = parents.len() - 1;
            }
            logits = session.step(&parents, &tokens);
        }
        // Nothing is found only where every token was impossible.
        let nothing = || Hypothesis {
            tokens: Vec::new(),
            score: f32::NEG_INFINITY,
        };
        Ok(found
            .into_iter()
            .map(|best| best.unwrap_or_else(nothing))
            .collect())
    }

    /// Adds one token to the hypotheses, which then have `length`.
    fn advance(
        &self,
        search: &mut Search,
        logits: &mut Logits,
        length: usize,
    ) -> Result<(), GenerateError> {
        let mut best = Best::new(self.beams);
        for (slot, beam) in search.live.iter().enumerate() {
            let row = logits.row_mut(beam.row);
            ban_repeated(row, &beam.tokens, self.no_repeat_ngram);
            let softmax = LogSoftmax::of(row).ok_or(GenerateError::NotFinite {
                sequence: search.prompt,
                tokens: length - 1,
            })?;
            best.extend(slot, row, |logit| beam.score + softmax.log_p(logit));
        }
        let divisor = self.divisor(length);
        let mut live = Vec::new();
        for candidate in best.into_vec() {
            let parent = &search.live[candidate.parent];
            let (row, score) = (parent.row, candidate.score);
            let mut tokens = parent.tokens.clone();
            tokens.push(candidate.token);
            if self.end.contains(&candidate.token) {
                search.offer(tokens, score / divisor);
            } else {
                live.push(Beam { row, score, tokens });
            }
        }
        if length == self.new_tokens {
            for beam in live.drain(..) {
                search.offer(beam.tokens, beam.score / divisor);
            }
        }
        search.live = live;
        Ok(())
    }

    fn divisor(&self, length: usize) -> f32 {
        (length as f64).powf(self.length_penalty) as f32
    }

    /// Whether no followed hypothesis can still become better than the best complete one: a sum only
    /// falls, and it is divided at most by the largest power of a length to come.
    fn is_settled(&self, search: &Search, length: usize) -> bool {
        let Some(best) = &search.best else {
            return false;
        };
        let largest = self.divisor(length + 1).max(self.divisor(self.new_tokens));
        let reach = |beam: &Beam| beam.score / largest;
        search.live.iter().all(|beam| reach(beam) <= best.score)
    }
}

#[cfg(test)]
mod tests {
    use adamix_keys::Key;
    use burn::tensor::Device;

    use super::*;
    use crate::gpt2::{Gpt2, Gpt2Config};
    use crate::hub::Source;

    #[test]
    fn stopping_early_and_batching_change_nothing() {
        let mut config = Gpt2Config::new(40, 64, 16, 2, 2);
        config.initializer_range = 0.4;
        let mut shorter = 0;
        for seed in 0..6 {
            let source = Source::random(Key::new(seed), &Device::flex());
            let model = Gpt2::build(&config, &source).unwrap();
            let prompts: [&[u32]; 3] = [&[1, 2, 3], &[4], &[5, 6, 7, 8, 9]];
            for length_penalty in [0.8, -0.5] {
                let beam = ReleasedBeam {
                    beams: 4,
                    length_penalty,
                    no_repeat_ngram: 3,
                    new_tokens: 20,
                    end: (0..6).collect(),
                };
                let full = beam
                    .search_with(&Served::from(&model), &prompts, false)
                    .unwrap();
                let early = beam.search(&model, &prompts).unwrap();
                // A product over fewer rows may round differently.
                for (early, full) in early.iter().zip(&full) {
                    assert_eq!(early.tokens, full.tokens);
                    let far = (early.score - full.score).abs();
                    assert!(far < 1e-5 * full.score.abs(), "{early:?} {full:?}");
                }
                shorter += full.iter().filter(|h| h.tokens.len() < 20).count();
                for (prompt, hypothesis) in prompts.iter().zip(&full) {
                    let alone = beam.search(&model, &[prompt]).unwrap();
                    assert_eq!(alone[0].tokens, hypothesis.tokens);
                }
            }
        }
        assert!(shorter > 0, "no hypothesis ended before the limit");
    }

    #[test]
    fn settings_are_checked() {
        let config = Gpt2Config::new(10, 8, 4, 1, 1);
        let model = Gpt2::build(&config, &Source::zeros(&Device::flex())).unwrap();
        let beam = ReleasedBeam {
            beams: 2,
            length_penalty: 0.8,
            no_repeat_ngram: 4,
            new_tokens: 7,
            end: vec![0],
        };
        assert!(beam.search(&model, &[&[1, 2]]).is_ok());
        assert!(matches!(
            beam.search(&model, &[&[1, 2, 3]]),
            Err(GenerateError::Input(_))
        ));
        let none = ReleasedBeam { beams: 0, ..beam };
        let error = none.search(&model, &[&[1]]).unwrap_err().to_string();
        assert_eq!(error, "`beams` is 0, expected at least 1");
    }
}

//! Beam search as `transformers` does it.
//!
//! What is peculiar to it: more candidates than beams are looked at, so that enough unfinished ones are
//! left; only those among the best `beams` may finish; repeated n-grams are looked for in prompt and new
//! tokens, and banned after the softmax; it stops by a heuristic on the score that is still possible.

use serde::{Deserialize, Serialize};

use super::candidates::{Best, LogSoftmax};
use super::ngram::ban_repeated;
use super::session::{Logits, Session};
use super::{GenerateError, Hypothesis, Served, require};

/// When a search with enough finished hypotheses ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyStopping {
    /// When the best followed hypothesis, ended now, would be no better than the worst finished one:
    /// `early_stopping=False`.
    #[default]
    Heuristic,
    /// As soon as there are as many finished as beams: `early_stopping=True`.
    Full,
    /// When no followed hypothesis can become better: `early_stopping="never"`.
    Never,
}

/// Beam search with the semantics of `transformers`.
#[derive(Clone, Debug, PartialEq)]
pub struct HuggingFaceBeam {
    /// `num_beams`.
    pub beams: usize,
    /// `length_penalty`: the power of the length that sums are divided by.
    pub length_penalty: f64,
    /// `no_repeat_ngram_size`, 0 for no ban.
    pub no_repeat_ngram: usize,
    /// `max_new_tokens`.
    pub new_tokens: usize,
    /// `eos_token_id`.
    pub end: Vec<u32>,
    /// `early_stopping`.
    pub early_stopping: EarlyStopping,
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
    /// At most as many as beams, best first.
    finished: Vec<Hypothesis>,
}

impl HuggingFaceBeam {
    /// The best hypothesis for each prompt.
    ///
    /// # Errors
    /// If a setting is out of range, a prompt does not fit the model, or a logit is not finite.
    pub fn search<'a>(
        &self,
        model: impl Into<Served<'a>>,
        prompts: &[&[u32]],
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
        let nothing = Hypothesis {
            tokens: Vec::new(),
            score: f32::NEG_INFINITY,
        };
        let mut found = vec![nothing; prompts.len()];
        if prompts.is_empty() {
            return Ok(found);
        }
        let served = model.into();
        let (mut session, mut logits) = Session::start(&served, prompts, limit)?;
        let start = |prompt| Search {
            prompt,
            live: vec![Beam {
                row: prompt,
                score: 0.0,
                tokens: Vec::new(),
            }],
            finished: Vec::new(),
        };
        let mut searches: Vec<Search> = (0..prompts.len()).map(start).collect();
        for length in 1..=limit {
            for search in &mut searches {
                self.advance(search, prompts, &mut logits, length)?;
            }
            searches.retain_mut(|search| {
                let done = length == limit || self.is_done(search, length);
                if done && !search.finished.is_empty() {
                    found[search.prompt] = search.finished.swap_remove(0);
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
        Ok(found)
    }

    /// Adds one token to the hypotheses, which then have `length`.
    fn advance(
        &self,
        search: &mut Search,
        prompts: &[&[u32]],
        logits: &mut Logits,
        length: usize,
    ) -> Result<(), GenerateError> {
        let mut best = Best::new(self.beams * (1 + self.end.len()).max(2));
        for (slot, beam) in search.live.iter().enumerate() {
            let row = logits.row_mut(beam.row);
            let softmax = LogSoftmax::of(row).ok_or(GenerateError::NotFinite {
                sequence: search.prompt,
                tokens: length - 1,
            })?;
            let history = [prompts[search.prompt], &beam.tokens].concat();
            ban_repeated(row, &history, self.no_repeat_ngram);
            best.extend(slot, row, |logit| beam.score + softmax.log_p(logit));
        }
        let divisor = self.divisor(length);
        let mut live = Vec::new();
        for (rank, candidate) in best.into_vec().into_iter().enumerate() {
            let parent = &search.live[candidate.parent];
            let (row, score) = (parent.row, candidate.score);
            let mut tokens = parent.tokens.clone();
            tokens.push(candidate.token);
            if length < self.new_tokens && !self.end.contains(&candidate.token) {
                live.push(Beam { row, score, tokens });
            } else if rank < self.beams {
                let score = score / divisor;
                let place = search.finished.partition_point(|h| h.score >= score);
                search.finished.insert(place, Hypothesis { tokens, score });
            }
        }
        live.truncate(self.beams);
        search.live = live;
        search.finished.truncate(self.beams);
        Ok(())
    }

    fn divisor(&self, length: usize) -> f32 {
        (length as f64).powf(self.length_penalty) as f32
    }

    /// Whether the search ends with hypotheses of `length`.
    fn is_done(&self, search: &Search, length: usize) -> bool {
        let Some(first) = search.live.first() else {
            return true;
        };
        if search.finished.len() < self.beams {
            return false;
        }
        let length = match self.early_stopping {
            EarlyStopping::Full => return true,
            EarlyStopping::Never if self.length_penalty > 0.0 => self.new_tokens,
            EarlyStopping::Never | EarlyStopping::Heuristic => length,
        };
        let worst = search
            .finished
            .last()
            .map_or(f32::NEG_INFINITY, |h| h.score);
        first.score / self.divisor(length) <= worst
    }
}

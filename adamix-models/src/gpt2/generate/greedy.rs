//! The likeliest token, again and again.

use super::candidates::LogSoftmax;
use super::session::Session;
use super::{GenerateError, Hypothesis, Served, require};

/// Greedy decoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Greedy {
    /// The most tokens to add.
    pub new_tokens: usize,
    /// The ids that end a text.
    pub end: Vec<u32>,
}

impl Greedy {
    /// What follows each prompt.
    ///
    /// # Errors
    /// If a setting is out of range, a prompt does not fit the model, or a logit is not finite.
    pub fn search<'a>(
        &self,
        model: impl Into<Served<'a>>,
        prompts: &[&[u32]],
    ) -> Result<Vec<Hypothesis>, GenerateError> {
        continue_each(
            &model.into(),
            prompts,
            self.new_tokens,
            &self.end,
            |_, _, logits| {
                let better =
                    |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
                (0..logits.len()).reduce(better).unwrap_or(0) as u32
            },
        )
    }
}

/// Continues every prompt by tokens that `choose` takes from (prompt, step, logits), until an end token or
/// the limit.
pub(super) fn continue_each(
    served: &Served<'_>,
    prompts: &[&[u32]],
    new_tokens: usize,
    end: &[u32],
    mut choose: impl FnMut(usize, usize, &[f32]) -> u32,
) -> Result<Vec<Hypothesis>, GenerateError> {
    require(new_tokens > 0, "new_tokens", new_tokens, "at least 1")?;
    let nothing = Hypothesis {
        tokens: Vec::new(),
        score: 0.0,
    };
    let mut found = vec![nothing; prompts.len()];
    if prompts.is_empty() {
        return Ok(found);
    }
    let (mut session, mut logits) = Session::start(served, prompts, new_tokens)?;
    // The prompt that each row belongs to.
    let mut rows: Vec<usize> = (0..prompts.len()).collect();
    for step in 0..new_tokens {
        let (mut parents, mut tokens, mut live) = (Vec::new(), Vec::new(), Vec::new());
        for (row, prompt) in rows.iter().copied().enumerate() {
            let row_logits = logits.row(row);
            let softmax = LogSoftmax::of(row_logits).ok_or(GenerateError::NotFinite {
                sequence: prompt,
                tokens: step,
            })?;
            let token = choose(prompt, step, row_logits);
            let log_p = softmax.log_p(row_logits[token as usize]);
            found[prompt].tokens.push(token);
            found[prompt].score += log_p;
            if !end.contains(&token) {
                parents.push(row);
                tokens.push(token);
                live.push(prompt);
            }
        }
        if live.is_empty() || step + 1 == new_tokens {
            break;
        }
        logits = session.step(&parents, &tokens);
        rows = live;
    }
    Ok(found)
}

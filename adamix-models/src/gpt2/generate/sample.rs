//! Tokens at random, from keys.

use adamix_keys::Key;

use super::greedy::continue_each;
use super::{GenerateError, Hypothesis, Served, require};

/// Sampling from the tempered distribution, cut to its `top_k` likeliest tokens, then to the smallest set
/// that holds `top_p` of what is left.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What logits are divided by.
    pub temperature: f64,
    /// How many tokens may be drawn; `None` for all.
    pub top_k: Option<usize>,
    /// The probability that the tokens which may be drawn hold together, 1 for all.
    pub top_p: f64,
    /// The most tokens to add.
    pub new_tokens: usize,
    /// The ids that end a text.
    pub end: Vec<u32>,
}

impl Sample {
    /// What follows each prompt. A draw depends on `key`, the example's id and the step only: neither the
    /// other prompts nor their order change it.
    ///
    /// # Errors
    /// If a setting is out of range, a prompt does not fit the model, a logit is not finite, or `examples` are
    /// not as many as the prompts.
    pub fn search<'a>(
        &self,
        model: impl Into<Served<'a>>,
        prompts: &[&[u32]],
        examples: &[u64],
        key: Key,
    ) -> Result<Vec<Hypothesis>, GenerateError> {
        let (temperature, top_p) = (self.temperature, self.top_p);
        require(
            temperature > 0.0 && temperature.is_finite(),
            "temperature",
            temperature,
            "above 0",
        )?;
        require(
            top_p > 0.0 && top_p <= 1.0,
            "top_p",
            top_p,
            "above 0 and at most 1",
        )?;
        require(self.top_k != Some(0), "top_k", 0, "at least 1")?;
        require(
            examples.len() == prompts.len(),
            "examples",
            examples.len(),
            "one id for each prompt",
        )?;
        continue_each(
            &model.into(),
            prompts,
            self.new_tokens,
            &self.end,
            |prompt, step, logits| {
                let key = key.fold(examples[prompt]).fold(step as u64);
                self.draw(logits, key)
            },
        )
    }

    /// One token.
    fn draw(&self, logits: &[f32], key: Key) -> u32 {
        let kept = self.distribution(logits);
        let total: f64 = kept.iter().map(|(_, p)| p).sum();
        let mut rest = key.uniform() * total;
        for (token, p) in &kept {
            rest -= p;
            if rest < 0.0 {
                return *token;
            }
        }
        kept.last().map_or(0, |(token, _)| *token)
    }

    /// The tokens that may be drawn with their unnormalised probabilities, likeliest first.
    fn distribution(&self, logits: &[f32]) -> Vec<(u32, f64)> {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let by_logit = |a: &u32, b: &u32| {
            logits[*b as usize]
                .total_cmp(&logits[*a as usize])
                .then(a.cmp(b))
        };
        if let Some(k) = self.top_k.filter(|k| *k < order.len()) {
            order.select_nth_unstable_by(k - 1, by_logit);
            order.truncate(k);
        }
        order.sort_unstable_by(by_logit);
        let largest = order
            .first()
            .map_or(0.0, |t| f64::from(logits[*t as usize]));
        let weight =
            |t: &u32| ((f64::from(logits[*t as usize]) - largest) / self.temperature).exp();
        let mut kept: Vec<(u32, f64)> = order.iter().map(|t| (*t, weight(t))).collect();
        let total: f64 = kept.iter().map(|(_, p)| p).sum();
        let (mut before, mut count) = (0.0, 0);
        while count < kept.len() && before < self.top_p * total {
            before += kept[count].1;
            count += 1;
        }
        kept.truncate(count);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(temperature: f64, top_k: Option<usize>, top_p: f64) -> Sample {
        Sample {
            temperature,
            top_k,
            top_p,
            new_tokens: 1,
            end: Vec::new(),
        }
    }

    const PROBABILITIES: [f32; 3] = [0.1, 0.6, 0.3];

    fn logits() -> [f32; 3] {
        PROBABILITIES.map(f32::ln)
    }

    #[test]
    fn filters_keep_what_they_say() {
        let tokens = |s: Sample| -> Vec<u32> {
            let kept = s.distribution(&logits());
            kept.into_iter().map(|(token, _)| token).collect()
        };
        assert_eq!(tokens(sample(1.0, None, 1.0)), [1, 2, 0]);
        assert_eq!(tokens(sample(1.0, Some(2), 1.0)), [1, 2]);
        assert_eq!(tokens(sample(1.0, None, 0.5)), [1]);
        assert_eq!(tokens(sample(1.0, None, 0.7)), [1, 2]);
        // 0.6 / 0.9 of what top_k leaves is below 0.7 still.
        assert_eq!(tokens(sample(1.0, Some(2), 0.66)), [1]);
    }

    #[test]
    fn draws_follow_the_distribution_and_the_key() {
        let (key, n) = (Key::new(5), 20_000);
        let mut counts = [0f64; 3];
        for i in 0..n {
            counts[sample(1.0, None, 1.0).draw(&logits(), key.fold(i)) as usize] += 1.0;
        }
        // Chi-square with 2 degrees of freedom: 13.82 is the 0.999 quantile.
        let chi2: f64 = counts
            .iter()
            .zip([0.1, 0.6, 0.3])
            .map(|(c, p)| (c - p * n as f64).powi(2) / (p * n as f64))
            .sum();
        assert!(chi2 < 13.82, "{counts:?}");
        // Squared probabilities at temperature 0.5: 0.36 / 0.46.
        let cold = sample(0.5, None, 1.0);
        let likeliest = (0..n).filter(|i| cold.draw(&logits(), key.fold(*i)) == 1);
        let share = likeliest.count() as f64 / n as f64;
        assert!((share - 0.36 / 0.46).abs() < 0.01, "{share}");
    }
}

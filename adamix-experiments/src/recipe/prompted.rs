//! Rows as a run's model reads them: plain, or asked by a prompt.

use adamix_data::fewshot;
use adamix_data::{Encoding, Example, Task};
use adamix_models::encoder::Cloze;
use adamix_models::hub::adapter::PromptConfig;
use anyhow::{Context, Result, ensure};

use super::base::Base;
use crate::config::{self, RunConfig};

/// A prompt on a base model.
#[derive(Clone, Debug)]
pub struct Prompted {
    prompt: fewshot::Prompt,
    /// The same in words and in tokens, as an adapter's description holds it.
    pub described: PromptConfig,
}

impl Prompted {
    /// The prompt of a run; none where a head answers.
    ///
    /// # Errors
    /// If the template or its words do not fit the task or the base model's vocabulary.
    pub fn of(config: &RunConfig, task: &Task, base: &Base) -> Result<Option<Self>> {
        let config::Prompt {
            template,
            words,
            lower,
        } = &config.prompt;
        if !config.prompt.is_given() {
            return Ok(None);
        }
        if template == config::MANUAL {
            ensure!(
                words.is_empty() && !lower,
                "`prompt.template` is `manual`, which has its own words and case"
            );
            let prompt = fewshot::Prompt::of(task).with_context(|| {
                format!(
                    "task `{}` has no manual prompt; give `prompt.template` and `prompt.words`",
                    task.name
                )
            })?;
            return Self::new(prompt, task, base).map(Some);
        }
        let mut prompt = fewshot::Prompt::parse(template, words.clone())?;
        prompt.lower = *lower;
        Self::new(prompt, task, base).map(Some)
    }

    /// The prompt that an adapter was trained with.
    pub fn stored(described: &PromptConfig) -> Result<Self> {
        let words = described.words.clone();
        let mut prompt = fewshot::Prompt::parse(&described.template, words)?;
        prompt.lower = described.lower;
        Ok(Self {
            prompt,
            described: described.clone(),
        })
    }

    fn new(prompt: fewshot::Prompt, task: &Task, base: &Base) -> Result<Self> {
        ensure!(
            prompt.words.len() == task.num_outputs() && !task.is_regression(),
            "the prompt has {} words; task `{}` needs one for each of {:?}",
            prompt.words.len(),
            task.name,
            task.labels
        );
        let described = PromptConfig {
            template: prompt.template.clone(),
            words: prompt.words.clone(),
            lower: prompt.lower,
            cloze: Cloze {
                mask: base.tokenizer.mask()?,
                words: prompt.word_ids(&base.tokenizer)?,
            },
        };
        Ok(Self { prompt, described })
    }

    /// Token ids of all examples, in order.
    ///
    /// # Errors
    /// As [`Base::encode`].
    pub fn encode(
        &self,
        base: &Base,
        examples: &[Example],
        max_length: usize,
    ) -> Result<Vec<Encoding>> {
        let asked = |example| self.prompt.encode(&base.tokenizer, example, max_length);
        let encodings: Vec<Encoding> = examples.iter().map(asked).collect::<Result<_, _>>()?;
        base.check_tokens(examples, &encodings)?;
        Ok(encodings)
    }
}

impl Base {
    /// Token ids of a run's examples, by its prompt if it has one.
    pub fn read(
        &self,
        config: &RunConfig,
        task: &Task,
        examples: &[Example],
    ) -> Result<Vec<Encoding>> {
        let longest = self.longest_input(config);
        match Prompted::of(config, task, self)? {
            Some(prompted) => prompted.encode(self, examples, longest),
            None => self.encode(examples, longest),
        }
    }
}

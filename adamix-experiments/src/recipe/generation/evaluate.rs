//! A finished run's model, measured again.

use std::path::Path;

use adamix_core::routing::Inference;
use adamix_data::nlg::{Corpus, encode, prompts};
use adamix_keys::Key;
use anyhow::{Context, Result};
use burn::tensor::Device;
use indicatif::ProgressBar;

use super::super::mode::Mode;
use super::base::DecoderBase;
use super::data::GenerationData;
use super::decode::Decoding;
use super::measure::LossOn;
use super::score::score;
use crate::config::{InferenceChoice, RunConfig};
use crate::run::{Metrics, Tested};

/// What is to be measured, and how.
#[derive(Debug)]
pub struct Remeasure<'a> {
    /// The run's config.
    pub config: &'a RunConfig,
    /// Its data set.
    pub corpus: Corpus,
    /// The adapter's folder.
    pub adapter: &'a Path,
    /// How the mixture is run, if not as the config says.
    pub inference: InferenceChoice,
    /// How many random paths an ensemble of such has, likewise.
    pub paths: Option<usize>,
    /// Where random inference and sampling draw from.
    pub key: Key,
    /// Whether the test split is decoded and scored, too.
    pub test: bool,
}

impl Remeasure<'_> {
    /// How it was run, the development loss, its number of pairs, and the test scores if they are asked for.
    pub fn run(
        &self,
        base: &DecoderBase,
        device: &Device,
        progress: &ProgressBar,
    ) -> Result<(Inference, Metrics, usize, Option<Tested>)> {
        let config = self.config;
        let data = GenerationData::load(config, self.corpus)?;
        let model = base.served(self.adapter, device)?;
        let rule = config.merging.rule_for(&model)?;
        let mode = Mode::of(config, rule.as_ref(), self.key)?.asked(self.inference, self.paths);
        let model = mode.ready(&model)?;
        let max_length = base.longest_input(config);
        let dev = LossOn {
            pairs: &data.dev,
            completions: &encode(&base.tokenizer, &data.dev, max_length)
                .with_context(|| data.named("development"))?,
            device,
        };
        let watch = |done| {
            progress.inc(done as u64);
            Ok(())
        };
        progress.set_length(data.dev.len() as u64);
        let metrics = dev.measure(&model, &mode, &watch)?;
        if !self.test {
            return Ok((mode.inference, metrics, data.dev.len(), None));
        }
        progress.set_position(0);
        progress.set_length(data.test.len() as u64);
        let inputs: Vec<String> = data.test.iter().map(|i| i.context.clone()).collect();
        let inputs = prompts(&base.tokenizer, &inputs)?;
        let decoding = Decoding::new(&config.generation, base, self.key);
        let texts = decoding.run(&model, &mode, &inputs, &watch)?;
        let tested = score(self.corpus, &data.test, &texts, &config.generation)?;
        Ok((mode.inference, metrics, data.dev.len(), Some(tested)))
    }
}

//! Causal language modelling: GPT-2.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::parameter;
use adamix_keys::Key;
use adamix_models::gpt2::{DecoderInput, Gpt2, Gpt2Config, TokenIds};
use adamix_models::hub::{HubError, Source, Weights};
use adamix_models::pass::Pass;
use anyhow::Result;
use burn::tensor::{Device, Tensor};
use serde_json::Value;

use super::{Batch, LanguageModel, ModelConfig, Trained, Vocabulary, waves};

impl LanguageModel for Gpt2 {
    type Dimensions = Gpt2Config;

    fn dimensions(model: &ModelConfig, vocabulary: &Vocabulary, tokens: usize) -> Gpt2Config {
        // What stands between two texts also begins and ends one.
        let end = vocabulary.framing.between_files.first().copied();
        Gpt2Config {
            n_inner: Some(model.intermediate_size),
            initializer_range: model.initializer_range,
            bos_token_id: end,
            eos_token_id: end.map(TokenIds::One),
            ..Gpt2Config::new(
                vocabulary.tokenizer.vocab_size(),
                model.positions.unwrap_or(tokens),
                model.hidden_size,
                model.num_hidden_layers,
                model.num_attention_heads,
            )
        }
    }

    fn read_dimensions(folder: &Path) -> Result<Gpt2Config, HubError> {
        Gpt2Config::from_folder(folder)
    }

    fn limits(dimensions: &Gpt2Config) -> [usize; 2] {
        [dimensions.vocab_size, dimensions.n_positions]
    }

    fn config_file(dimensions: &Gpt2Config, _: &Vocabulary) -> Result<Value> {
        Ok(serde_json::to_value(dimensions)?)
    }

    /// Projections into the residual stream are smaller by the root of their number, as GPT-2's were. There
    /// is no output bias to start at the log-frequencies.
    fn fresh(
        dimensions: &Gpt2Config,
        key: Key,
        _log_frequencies: Vec<f32>,
        device: &Device,
    ) -> Result<Self> {
        let model = Self::build(dimensions, &Source::random(key, device))?;
        let projections = |info: &parameter::ParameterInfo| info.name.ends_with("c_proj.weight");
        let mut values = parameter::export(&model, projections);
        let factor = 1.0 / (values.len() as f32).sqrt();
        for value in values.values_mut().flat_map(|tensor| &mut tensor.values) {
            *value *= factor;
        }
        let positions = waves(
            dimensions.n_positions,
            dimensions.n_embd,
            dimensions.initializer_range,
        );
        values.extend(BTreeMap::from([(
            "transformer.wpe.weight".to_owned(),
            positions,
        )]));
        Ok(parameter::assign(model, values)?)
    }

    fn on_base(
        dimensions: &Gpt2Config,
        weights: &Weights,
        _: Trained,
        _: Key,
        _: Vec<f32>,
        device: &Device,
    ) -> Result<Self> {
        let model = Gpt2::load(dimensions, weights, device)?;
        Ok(parameter::set_trainable(model, |_| true))
    }

    fn load(dimensions: &Gpt2Config, weights: &Weights, device: &Device) -> Result<Self, HubError> {
        Gpt2::load(dimensions, weights, device)
    }

    fn logits(
        &self,
        dimensions: &Gpt2Config,
        batch: &Batch,
        tokens: usize,
        device: &Device,
    ) -> Tensor<2> {
        let input = DecoderInput::new(dimensions, &batch.ids, tokens, device)
            .expect("rows fit the model, which was checked before");
        self.logits_at(&input, &batch.places, &Pass::EVALUATION)
    }
}

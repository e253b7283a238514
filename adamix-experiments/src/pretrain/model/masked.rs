//! Masked language modelling: a fresh RoBERTa, or an encoder that is there.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::parameter::{self, HostTensor};
use adamix_keys::Key;
use adamix_models::encoder::{EncoderConfig, EncoderInput, MaskedLm, ModelType};
use adamix_models::hub::{HubError, Source, Weights};
use adamix_models::pass::Pass;
use anyhow::Result;
use burn::tensor::{Device, Int, Tensor};
use serde_json::Value;

use super::{Batch, LanguageModel, ModelConfig, Trained, Vocabulary, waves};

impl LanguageModel for MaskedLm {
    type Dimensions = EncoderConfig;

    fn dimensions(model: &ModelConfig, vocabulary: &Vocabulary, tokens: usize) -> EncoderConfig {
        let pad = vocabulary.tokenizer.pad_id;
        EncoderConfig {
            model_type: ModelType::Roberta,
            vocab_size: vocabulary.tokenizer.vocab_size(),
            hidden_size: model.hidden_size,
            num_hidden_layers: model.num_hidden_layers,
            num_attention_heads: model.num_attention_heads,
            intermediate_size: model.intermediate_size,
            hidden_act: "gelu".to_owned(),
            max_position_embeddings: model.positions.unwrap_or(tokens) + pad as usize + 1,
            type_vocab_size: 1,
            layer_norm_eps: 1e-5,
            initializer_range: model.initializer_range,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            classifier_dropout: None,
            pad_token_id: Some(pad),
            // Said, not left out: `transformers` adds no positions at all if the key is null.
            position_embedding_type: Some("absolute".to_owned()),
            is_decoder: false,
            architectures: vec!["RobertaForMaskedLM".to_owned()],
            id2label: Default::default(),
        }
    }

    fn read_dimensions(folder: &Path) -> Result<EncoderConfig, HubError> {
        let mut dimensions = EncoderConfig::from_folder(folder)?;
        dimensions.architectures = vec![match dimensions.model_type {
            ModelType::Bert => "BertForMaskedLM".to_owned(),
            ModelType::Roberta => "RobertaForMaskedLM".to_owned(),
        }];
        Ok(dimensions)
    }

    fn limits(dimensions: &EncoderConfig) -> [usize; 2] {
        [dimensions.vocab_size, dimensions.max_length()]
    }

    fn config_file(dimensions: &EncoderConfig, vocabulary: &Vocabulary) -> Result<Value> {
        let mut config = serde_json::to_value(dimensions)?;
        if dimensions.model_type == ModelType::Roberta {
            config["bos_token_id"] = vocabulary.tokenizer.cls_id.into();
            config["eos_token_id"] = vocabulary.tokenizer.sep_id.into();
        }
        Ok(config)
    }

    /// The output bias starts at the log-frequencies, where it would come to in some thousand steps.
    fn fresh(
        dimensions: &EncoderConfig,
        key: Key,
        log_frequencies: Vec<f32>,
        device: &Device,
    ) -> Result<Self> {
        let model = Self::build(dimensions, &Source::random(key, device))?;
        let model = with_bias(model, "lm_head.bias", log_frequencies)?;
        let positions = waves(
            dimensions.max_position_embeddings,
            dimensions.hidden_size,
            dimensions.initializer_range,
        );
        let name = "roberta.embeddings.position_embeddings.weight".to_owned();
        let values = BTreeMap::from([(name, positions)]);
        Ok(parameter::assign(model, values)?)
    }

    fn on_base(
        dimensions: &EncoderConfig,
        weights: &Weights,
        trained: Trained,
        key: Key,
        log_frequencies: Vec<f32>,
        device: &Device,
    ) -> Result<Self> {
        let mut model = Self::on_encoder(dimensions, weights, key, device)?;
        let bias = match dimensions.model_type {
            ModelType::Bert => "cls.predictions.bias",
            ModelType::Roberta => "lm_head.bias",
        };
        if !weights.contains(bias) {
            model = with_bias(model, bias, log_frequencies)?;
        }
        let prefix = format!("{}.", dimensions.model_type.prefix());
        Ok(parameter::set_trainable(model, |info| match trained {
            Trained::All => !info.name.contains(".pooler."),
            Trained::Head => !info.name.starts_with(&prefix),
        }))
    }

    fn load(
        dimensions: &EncoderConfig,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, HubError> {
        MaskedLm::load(dimensions, weights, device)
    }

    fn logits(
        &self,
        dimensions: &EncoderConfig,
        batch: &Batch,
        tokens: usize,
        device: &Device,
    ) -> Tensor<2> {
        let ids: Vec<i32> = batch.ids.iter().map(|id| *id as i32).collect();
        let (types, mask) = (vec![0; ids.len()], vec![1.0; ids.len()]);
        let input = EncoderInput::new(dimensions, &ids, &types, &mask, tokens, device);
        let places = Tensor::<1, Int>::from_data(batch.places.as_slice(), device);
        self.forward(&input, places, &Pass::EVALUATION)
    }
}

fn with_bias(model: MaskedLm, name: &str, values: Vec<f32>) -> Result<MaskedLm> {
    let shape = vec![values.len()];
    let values = BTreeMap::from([(name.to_owned(), HostTensor { shape, values })]);
    Ok(parameter::assign(model, values)?)
}

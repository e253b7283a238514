//! Logits of `transformers` on the checkpoints of `golden/hf`.

mod shared;

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::parameter::{self, HostTensor};
use adamix_keys::Key;
use adamix_models::encoder::{
    Cloze, EncoderConfig, EncoderInput, MaskedLm, Pooling, SequenceClassifier,
    SequenceClassifierConfig,
};
use adamix_models::hub::{Source, Weights};
use adamix_models::pass::Pass;
use burn::tensor::{Device, Int, Tensor};
use serde_json::Value;

fn integers(value: &Value) -> Vec<i32> {
    shared::numbers(value)
        .into_iter()
        .map(|v| v as i32)
        .collect()
}

fn input(config: &EncoderConfig, inputs: &Value, device: &Device) -> EncoderInput {
    let ids = integers(&inputs["input_ids"]);
    let tokens = inputs["input_ids"][0]
        .as_array()
        .expect("rows of ids")
        .len();
    let types = inputs
        .get("token_type_ids")
        .map_or(vec![0; ids.len()], integers);
    let mask: Vec<f32> = integers(&inputs["attention_mask"])
        .into_iter()
        .map(|m| m as f32)
        .collect();
    EncoderInput::new(config, &ids, &types, &mask, tokens, device)
}

fn close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (f, e) in found.iter().zip(expected) {
        assert!(
            (f64::from(*f) - e).abs() < 1e-4,
            "{what}: {f} instead of {e}"
        );
    }
}

fn check_classifier(folder: &Path) {
    let device = Device::flex();
    let encoder = EncoderConfig::from_folder(folder).unwrap();
    let weights = Weights::open(folder).unwrap();
    let outputs = weights
        .shape("classifier.weight")
        .or(weights.shape("classifier.out_proj.weight"))
        .unwrap()[0];
    let config = SequenceClassifierConfig {
        encoder,
        outputs,
        pooling: Pooling::Pooler,
    };
    let model = config.load(&weights, Key::new(0), true, &device).unwrap();
    assert_eq!(weights.unused(), Vec::<String>::new());
    for case in shared::json(&folder.join("golden.json"))["cases"]
        .as_array()
        .unwrap()
    {
        let input = input(&config.encoder, &case["inputs"], &device);
        let logits = model
            .forward(&input, &Pass::EVALUATION)
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        close(
            &logits,
            &shared::numbers(&case["logits"]),
            &format!("{} logits", case["name"]),
        );
        let hidden = model.base.forward(&input, &Pass::EVALUATION);
        let first = hidden
            .narrow(0, 0, 1)
            .narrow(1, 0, 1)
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        close(
            &first,
            &shared::numbers(&case["last_hidden_first_row"]),
            &format!("{} hidden", case["name"]),
        );
    }
}

#[test]
fn sequence_classifiers_give_the_logits_of_transformers() {
    for name in ["golden/hf/bert-tiny", "golden/hf/roberta-tiny"] {
        if let Some(folder) = shared::folder(name) {
            check_classifier(&folder);
        }
    }
}

#[test]
fn the_masked_language_model_gives_the_logits_of_transformers() {
    let Some(folder) = shared::folder("golden/hf/roberta-tiny-mlm") else {
        return;
    };
    let device = Device::flex();
    let config = EncoderConfig::from_folder(&folder).unwrap();
    let weights = Weights::open(&folder).unwrap();
    let model = MaskedLm::load(&config, &weights, &device).unwrap();
    let golden = shared::json(&folder.join("golden.json"));
    let ids = integers(&golden["input_ids"]);
    let input = EncoderInput::new(
        &config,
        &ids,
        &vec![0; ids.len()],
        &vec![1.0; ids.len()],
        ids.len(),
        &device,
    );
    let place = golden["mask_position"].as_i64().unwrap() as i32;
    let mask = ids[place as usize] as u32;
    let place = Tensor::<1, Int>::from_data([place], &device);
    let logits = model
        .forward(&input, place, &Pass::EVALUATION)
        .into_data()
        .try_to_vec::<f32>()
        .unwrap();
    let expected = shared::numbers(&golden["mask_logits"]);
    close(&logits, &expected, "mask logits");

    let words = [5, 300, 17];
    let cloze = Cloze {
        mask,
        words: words.to_vec(),
    };
    let source = Source::files(&weights, &device);
    let model = SequenceClassifier::cloze(&config, model.base, &source, cloze).unwrap();
    let check = |model: &SequenceClassifier, expected: [f64; 3]| {
        let logits = model.forward(&input, &Pass::EVALUATION).into_data();
        close(&logits.try_to_vec::<f32>().unwrap(), &expected, "cloze");
    };
    let expected = words.map(|word| expected[word as usize]);
    check(&model, expected);
    // The files' bias is zero: another one is added word by word.
    let bias = |word: u32| f64::from(word) / 100.0;
    let tensor = HostTensor {
        shape: vec![config.vocab_size],
        values: (0..config.vocab_size as u32)
            .map(|word| bias(word) as f32)
            .collect(),
    };
    let tensors = BTreeMap::from([("lm_head.bias".to_owned(), tensor)]);
    let model = parameter::assign(model, tensors).unwrap();
    check(&model, [0, 1, 2].map(|i| expected[i] + bias(words[i])));
}

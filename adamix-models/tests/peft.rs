//! Adapters that Python's `peft` wrote, on the bases of `golden/hf`: its logits are ours.

mod shared;

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::adaptation::{AdaptationConfig, LowRankConfig};
use adamix_core::merging::Uniform;
use adamix_core::parameter;
use adamix_core::random::Initializer;
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, EncoderInput, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::gpt2::{DecoderInput, Gpt2, Gpt2Config};
use adamix_models::hub::peft::{self, PeftFolder, Setting};
use adamix_models::hub::{Layout, Source, Weights, affine_modules, attach, fold_into, portable};
use adamix_models::pass::Pass;
use adamix_models::site::{Adaptable, Attachment};
use burn::tensor::{Device, Tensor};
use serde_json::Value;

fn integers(value: &Value) -> Vec<i32> {
    let numbers = shared::numbers(value);
    numbers.into_iter().map(|v| v as i32).collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

fn close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (f, e) in found.iter().zip(expected) {
        let distance = (f64::from(*f) - e).abs();
        assert!(distance < 1e-4, "{what}: {f} instead of {e}");
    }
}

fn classifier(base: &Path, device: &Device) -> (EncoderConfig, SequenceClassifier) {
    let encoder = EncoderConfig::from_folder(base).unwrap();
    let config = SequenceClassifierConfig {
        encoder: encoder.clone(),
        outputs: 3,
        pooling: Pooling::Pooler,
    };
    let weights = Weights::open(base).unwrap();
    let model = config.load(&weights, Key::new(0), true, device).unwrap();
    (encoder, model)
}

/// The adapter's logits for every case of its golden file.
fn check_classifier(adapter: &Path, base: &Path, golden: &Value) {
    let device = Device::flex();
    let (encoder, model) = classifier(base, &device);
    let folder = PeftFolder::open(adapter, "roberta").unwrap();
    let modules = affine_modules(&model);
    folder
        .check_whole(modules.iter().map(String::as_str))
        .unwrap();
    let model = fold_into(model, &folder.adapter, Layout::OutIn).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let inputs = &case["inputs"];
        let ids = integers(&inputs["input_ids"]);
        let mask: Vec<f32> = integers(&inputs["attention_mask"])
            .iter()
            .map(|m| *m as f32)
            .collect();
        let tokens = inputs["input_ids"][0].as_array().unwrap().len();
        let types = vec![0; ids.len()];
        let input = EncoderInput::new(&encoder, &ids, &types, &mask, tokens, &device);
        let logits = values(model.forward(&input, &Pass::EVALUATION));
        close(&logits, &shared::numbers(&case["logits"]), "logits");
    }
}

#[test]
fn a_classifiers_low_rank_adapter_and_what_is_written_of_it() {
    let Some(folder) = shared::folder("golden/hf/roberta-tiny-lora") else {
        return;
    };
    let base = folder.parent().unwrap().join("roberta-tiny");
    let golden = shared::json(&folder.join("golden.json"));
    check_classifier(&folder, &base, &golden);

    let read = PeftFolder::open(&folder, "roberta").unwrap().adapter;
    let (encoder, model) = classifier(&base, &Device::flex());
    let setting = Setting {
        task_type: "SEQ_CLS",
        base: None,
        layout: Layout::OutIn,
        modules: affine_modules(&model),
        heads: encoder.num_attention_heads,
        layers: encoder.num_hidden_layers,
    };
    let out = tempfile::tempdir().unwrap();
    peft::save(out.path(), &read, &setting).unwrap();
    let again = PeftFolder::open(out.path(), "roberta").unwrap().adapter;
    assert_eq!(again, read);
    let config = shared::json(&out.path().join(peft::CONFIG));
    assert_eq!(
        config["target_modules"],
        serde_json::json!(["query", "value"])
    );
    assert_eq!(
        (&config["r"], &config["lora_alpha"]),
        (&4.into(), &32.into())
    );
    assert_eq!(config["modules_to_save"], serde_json::json!(["classifier"]));
    check_classifier(out.path(), &base, &golden);
}

#[test]
fn a_decoders_low_rank_adapter_on_its_fused_map() {
    let Some(folder) = shared::folder("golden/hf/gpt2-tiny-lora") else {
        return;
    };
    let base = folder.parent().unwrap().join("gpt2-tiny");
    let device = Device::flex();
    let config = Gpt2Config::from_folder(&base).unwrap();
    let model = Gpt2::load(&config, &Weights::open(&base).unwrap(), &device).unwrap();
    let folder_read = PeftFolder::open(&folder, "transformer").unwrap();
    let modules = affine_modules(&model);
    folder_read
        .check_whole(modules.iter().map(String::as_str))
        .unwrap();
    let model = fold_into(model, &folder_read.adapter, Layout::InOut).unwrap();
    for case in shared::json(&folder.join("golden.json"))["cases"]
        .as_array()
        .unwrap()
    {
        let ids: Vec<u32> = integers(&case["input_ids"])
            .iter()
            .map(|i| *i as u32)
            .collect();
        let input = DecoderInput::new(&config, &ids, ids.len(), &device).unwrap();
        let logits = model.logits_at(&input, &[ids.len() as i32 - 1], &Pass::EVALUATION);
        close(
            &values(logits),
            &shared::numbers(&case["logits_last"]),
            "logits",
        );
    }
}

#[test]
fn a_damaged_folder_is_refused_by_what_it_lacks() {
    let Some(folder) = shared::folder("golden/hf/roberta-tiny-lora") else {
        return;
    };
    let damaged = |change: &dyn Fn(&mut Value)| {
        let out = tempfile::tempdir().unwrap();
        let mut config = shared::json(&folder.join(peft::CONFIG));
        change(&mut config);
        std::fs::write(out.path().join(peft::CONFIG), config.to_string()).unwrap();
        std::fs::copy(folder.join(peft::TENSORS), out.path().join(peft::TENSORS)).unwrap();
        PeftFolder::open(out.path(), "roberta")
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let error = damaged(&|config| config["r"] = 3.into());
    assert!(
        error.contains("lora_A.weight") && error.contains("[3, 48]"),
        "{error}"
    );
    let error = damaged(&|config| config["use_dora"] = true.into());
    assert!(error.contains("`use_dora`"), "{error}");
    let error = damaged(&|config| config["target_modules"] = serde_json::json!(["key"]));
    assert!(error.contains("does not name"), "{error}");
    let error = damaged(&|config| config["bias"] = "all".into());
    assert!(error.contains("bias"), "{error}");

    let (_, model) = classifier(
        &folder.parent().unwrap().join("roberta-tiny"),
        &Device::flex(),
    );
    let out = tempfile::tempdir().unwrap();
    let mut config = shared::json(&folder.join(peft::CONFIG));
    config["target_modules"] = serde_json::json!(["query", "value", "key"]);
    std::fs::write(out.path().join(peft::CONFIG), config.to_string()).unwrap();
    std::fs::copy(folder.join(peft::TENSORS), out.path().join(peft::TENSORS)).unwrap();
    let read = PeftFolder::open(out.path(), "roberta").unwrap();
    let modules = affine_modules(&model);
    let error = read
        .check_whole(modules.iter().map(String::as_str))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("layer.0.attention.self.key.lora_A"),
        "{error}"
    );
}

/// The released form of GPT-2's LoRA, as one update of the whole map: twice the rank, B block-diagonal.
#[test]
fn a_mixture_on_queries_and_values_is_one_adapter_of_twice_the_rank() {
    let device = Device::flex();
    let config = Gpt2Config {
        vocab_size: 40,
        n_positions: 16,
        n_embd: 12,
        n_layer: 2,
        n_head: 3,
        initializer_range: 0.3,
        ..Gpt2Config::named("gpt2").unwrap()
    };
    let base = Gpt2::build(&config, &Source::random(Key::new(5), &device)).unwrap();
    let low_rank = LowRankConfig::new(2)
        .with_alpha(6.0)
        .with_experts(3)
        .with_equal_start(false);
    let attachment = Attachment::new(AdaptationConfig::LowRank(low_rank));
    let mixture = base
        .clone()
        .attach(&[attachment], 0, Key::new(1), &device)
        .unwrap();
    // B starts at zero: give it values.
    let mut tensors = parameter::export(&mixture, |info| info.name.contains(".adamix."));
    for (name, tensor) in &mut tensors {
        if name.contains(".up.") {
            let count = tensor.values.len();
            tensor.values = Initializer::Normal(0.5).sample(Key::new(2).purpose(name), count);
        }
    }
    let mixture = parameter::assign(mixture, tensors).unwrap();
    let merged = mixture.merged(&Uniform {}).unwrap();

    // `peft` loads a module that is stored beside an adapter whole, whatever was trained of it.
    let bias = parameter::export(&merged, |info| info.name.ends_with("h.0.ln_1.bias"));
    let beside = portable(&merged, bias).unwrap().parameters;
    let names: Vec<&str> = beside.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["transformer.h.0.ln_1.bias", "transformer.h.0.ln_1.weight"]
    );

    // What no portable adapter holds is refused, not dropped.
    let both = Attachment::new(AdaptationConfig::LowRank(
        LowRankConfig::new(2).with_experts(1),
    ))
    .at(["query", "query-key-value"]);
    let both = (base.clone())
        .attach(&[both], 0, Key::new(1), &device)
        .unwrap();
    let error = portable(&both, BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("in its parts"), "{error}");

    let adapter = portable(&merged, BTreeMap::new()).unwrap();
    let setting = Setting {
        task_type: "CAUSAL_LM",
        base: None,
        layout: Layout::InOut,
        modules: affine_modules(&base),
        heads: 3,
        layers: 2,
    };
    let out = tempfile::tempdir().unwrap();
    peft::save(out.path(), &adapter, &setting).unwrap();
    let written = shared::json(&out.path().join(peft::CONFIG));
    assert_eq!(
        (&written["r"], &written["lora_alpha"]),
        (&4.into(), &12.into())
    );
    assert_eq!(written["fan_in_fan_out"], true);
    assert_eq!(written["target_modules"], serde_json::json!(["c_attn"]));
    let b = Weights::from_files(out.path(), vec![out.path().join(peft::TENSORS)]).unwrap();
    let b = b
        .tensor("base_model.model.transformer.h.0.attn.c_attn.lora_B.weight")
        .unwrap();
    assert_eq!(b.shape, [36, 4]);
    for (row, values) in b.values.chunks(4).enumerate() {
        let zero: &[usize] = match row / 12 {
            0 => &[2, 3],
            1 => &[0, 1, 2, 3],
            _ => &[0, 1],
        };
        assert!(
            zero.iter().all(|column| values[*column] == 0.0),
            "row {row}"
        );
    }

    let read = PeftFolder::open(out.path(), "transformer").unwrap();
    let attached = attach(base.clone(), &read.adapter, Layout::InOut, &device).unwrap();
    let folded = fold_into(base.clone(), &read.adapter, Layout::InOut).unwrap();
    let input = DecoderInput::new(&config, &[3, 1, 4, 1, 5, 9], 6, &device).unwrap();
    let logits = |model: &Gpt2| values(model.forward(&input, &Pass::EVALUATION));
    let (expected, plain) = (logits(&merged), logits(&base));
    let distance = |found: Vec<f32>| {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().chain(&expected).all(|v| v.is_finite()));
        let pairs = found.iter().zip(&expected);
        pairs.fold(0f32, |largest, (f, e)| largest.max((f - e).abs()))
    };
    assert!(distance(plain) > 1e-2);
    assert!(distance(logits(&attached)) < 1e-5);
    assert!(distance(logits(&folded)) < 1e-5);
}

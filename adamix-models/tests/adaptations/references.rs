//! Every adaptation against `peft`, and against hooks on `transformers`' models where `peft` has none
//! (`tools/make_adaptation_references.py` wrote the values).

use std::collections::BTreeMap;

use adamix_core::adaptation::{
    Activation, AdaptationConfig, BottleneckConfig, LowRankConfig, Placement, PrefixConfig,
    ScaleConfig, ScaledSide, VirtualTokensConfig,
};
use adamix_core::parameter;
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, EncoderInput, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::gpt2::{Cache, DecoderInput, Gpt2, Gpt2Config};
use adamix_models::hub::peft::{self, PeftFolder, Setting};
use adamix_models::hub::{Layout, Weights, affine_modules, attach, portable};
use adamix_models::pass::Pass;
use adamix_models::site::{Adaptable, Attachment};
use burn::tensor::{Device, Int, Tensor};

use crate::compare::{distance, values};
use crate::shared;

const IDS: [[i32; 7]; 2] = [[0, 317, 297, 286, 359, 18, 2], [0, 55, 262, 326, 2, 1, 1]];
const MASK: [[f32; 7]; 2] = [[1.0; 7], [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]];
const GPT2_IDS: [u32; 7] = [11, 317, 297, 286, 359, 18, 25];

/// The adaptations of a case's name, and the roles or patterns they go to.
fn attachments(name: &str) -> Vec<Attachment> {
    let adapter = |activation, placement| {
        BottleneckConfig::new(5)
            .with_experts(1)
            .with_activation(activation)
            .with_placement(placement)
    };
    let bottleneck = |config| Attachment::new(AdaptationConfig::Bottleneck(config));
    let low_rank = LowRankConfig::new(5).with_experts(1).with_alpha(10.0);
    let low_rank = |config: fn(LowRankConfig) -> LowRankConfig| {
        Attachment::new(AdaptationConfig::LowRank(config(low_rank.clone())))
    };
    let tokens = || Attachment::new(AdaptationConfig::VirtualTokens(VirtualTokensConfig::new(4)));
    let scale = |side| Attachment::new(AdaptationConfig::Scale(ScaleConfig::new().with_side(side)));
    let prefix = PrefixConfig::new(4).with_shift_positions(true);
    vec![match name {
        "houlsby" => bottleneck(adapter(Activation::Swish, Placement::Output)),
        "list" => bottleneck(adapter(Activation::Identity, Placement::Projection).with_bias(false))
            .at(["attention-block", "ffn-block"]),
        "pfeiffer" => bottleneck(adapter(Activation::Relu, Placement::Norm)),
        "pfeiffer gated" => bottleneck(adapter(Activation::Relu, Placement::Norm).with_gate(true)),
        "parallel" => bottleneck(adapter(Activation::Relu, Placement::Parallel)),
        "lin" => {
            bottleneck(adapter(Activation::Relu, Placement::Output).with_norm(true)).at(["layer"])
        }
        "lora gated" => low_rank(|config| config.with_gate(true)),
        "lora whole" => low_rank(|config| config).at(["query-key-value"]),
        "ia3" => return vec![scale(ScaledSide::Output), scale(ScaledSide::Input)],
        "prefix" => Attachment::new(AdaptationConfig::Prefix(prefix)),
        "prompt" => tokens(),
        "prelayer" => tokens().at(["layer"]),
        other => panic!("{other}"),
    }]
}

/// The same for a family: `peft` scales queries too, where the map is one.
fn attachments_on(family: &str, name: &str) -> Vec<Attachment> {
    let mut attachments = attachments(name);
    if (family, name) == ("gpt2", "ia3") {
        attachments[0].sites = vec!["query-key-value".to_owned()];
    }
    attachments
}

/// What the references give for each case, a family and an adaptation.
fn cases() -> BTreeMap<String, Vec<f32>> {
    serde_json::from_str(include_str!("../data/adaptations.json")).unwrap()
}

/// The model with the values that the references were made with.
fn adapted<M: Adaptable>(model: M, what: &[Attachment]) -> M {
    let model = model.attach(what, 0, Key::new(1), &Device::flex()).unwrap();
    let mut tensors = parameter::export(&model, |info| info.name.contains(".adamix."));
    for (name, tensor) in &mut tensors {
        let phase = f64::from(name.bytes().map(u32::from).sum::<u32>() % 97);
        for (i, value) in tensor.values.iter_mut().enumerate() {
            *value = (0.2 * (1.3 * i as f64 + phase).sin()) as f32;
        }
    }
    parameter::assign(model, tensors).unwrap()
}

fn encoder(folder: &std::path::Path) -> (EncoderConfig, SequenceClassifier) {
    let config = EncoderConfig::from_folder(folder).unwrap();
    let classifier = SequenceClassifierConfig {
        encoder: config.clone(),
        outputs: 2,
        pooling: Pooling::Cls,
    };
    let weights = Weights::open(folder).unwrap();
    let model = classifier.load(&weights, Key::new(0), false, &Device::flex());
    (config, model.unwrap())
}

/// Every twelfth value of the last hidden states that are no padding.
fn run_encoder(config: &EncoderConfig, model: &SequenceClassifier) -> Vec<f32> {
    let device = Device::flex();
    let input = EncoderInput::new(config, &IDS.concat(), &[0; 14], &MASK.concat(), 7, &device);
    let hidden = values(model.base.forward(&input, &Pass::EVALUATION));
    let rows = hidden.chunks(config.hidden_size).zip(MASK.concat());
    let kept = rows.filter(|(_, mask)| *mask == 1.0);
    kept.flat_map(|(row, _)| row.iter().step_by(12).copied())
        .collect()
}

fn gpt2(folder: &std::path::Path) -> Gpt2 {
    let config = Gpt2Config::from_folder(folder).unwrap();
    Gpt2::load(&config, &Weights::open(folder).unwrap(), &Device::flex()).unwrap()
}

/// Every 400th logit at every position.
fn run_gpt2(model: &Gpt2) -> Vec<f32> {
    let device = Device::flex();
    let input = DecoderInput::new(model.config(), &GPT2_IDS, 7, &device).unwrap();
    sampled(model.forward(&input, &Pass::EVALUATION))
}

fn sampled(logits: Tensor<3>) -> Vec<f32> {
    let vocabulary = logits.dims()[2];
    let rows = values(logits);
    let rows = rows.chunks(vocabulary);
    rows.flat_map(|row| row.iter().step_by(400).copied())
        .collect()
}

/// The same, one token at a time through a cache.
fn run_gpt2_stepwise(model: &Gpt2) -> Vec<f32> {
    let device = Device::flex();
    let mut cache = Cache::new();
    let mut found = Vec::new();
    for (i, id) in GPT2_IDS.into_iter().enumerate() {
        let one = |value: i32| Tensor::<2, Int>::from_data([[value]], &device);
        let input = DecoderInput {
            ids: one(id as i32),
            positions: one(i as i32),
            mask: None,
            counted: None,
        };
        let hidden = model
            .transformer
            .forward(&input, Some(&mut cache), &Pass::EVALUATION);
        found.extend(sampled(model.logits(hidden)));
    }
    found
}

#[test]
fn outputs_are_those_of_peft_and_transformers() {
    let Some(folder) = shared::folder("golden/hf") else {
        return;
    };
    let cases = cases();
    for (name, expected) in &cases {
        let (family, what) = name.split_once(' ').unwrap();
        let folder = folder.join(format!("{family}-tiny"));
        let what = attachments_on(family, what);
        let far = if family == "gpt2" {
            let model = adapted(gpt2(&folder), &what);
            let stepwise = distance(&run_gpt2_stepwise(&model), expected);
            assert!(stepwise < 2e-5, "{name} through the cache: {stepwise}");
            distance(&run_gpt2(&model), expected)
        } else {
            let (config, model) = encoder(&folder);
            run_encoder_distance(&config, model, &what, expected)
        };
        println!("{name}: {far:.1e}");
        assert!(far < 2e-5, "{name}: {far}");
    }
    assert_eq!(cases.len(), 26);
}

/// The base with what a PEFT folder keeps of its adaptations; `prefix` is the base's.
fn through_peft<M: Adaptable>(
    base: M,
    what: &[Attachment],
    prefix: &str,
    [heads, layers]: [usize; 2],
    layout: Layout,
) -> M {
    let adapter = portable(&adapted(base.clone(), what), BTreeMap::new()).unwrap();
    let setting = Setting {
        task_type: "SEQ_CLS",
        base: None,
        layout,
        modules: affine_modules(&base),
        heads,
        layers,
    };
    let out = tempfile::tempdir().unwrap();
    peft::save(out.path(), &adapter, &setting).unwrap();
    let read = PeftFolder::open(out.path(), prefix).unwrap();
    let modules = setting.modules.iter().map(String::as_str);
    read.check_whole(modules).unwrap();
    attach(base, &read.adapter, layout, &Device::flex()).unwrap()
}

#[test]
fn factors_and_prefixes_come_back_from_pefts_folders() {
    let Some(folder) = shared::folder("golden/hf") else {
        return;
    };
    let mut read = 0;
    for (name, expected) in cases() {
        let (family, what) = name.split_once(' ').unwrap();
        if !["ia3", "prefix"].contains(&what) {
            continue;
        }
        let what = attachments_on(family, what);
        let folder = folder.join(format!("{family}-tiny"));
        let found = if family == "gpt2" {
            let base = gpt2(&folder);
            let sizes = [base.config().n_head, base.config().n_layer];
            run_gpt2(&through_peft(
                base,
                &what,
                "transformer",
                sizes,
                Layout::InOut,
            ))
        } else {
            let (config, base) = encoder(&folder);
            let sizes = [config.num_attention_heads, config.num_hidden_layers];
            let model = through_peft(base, &what, family, sizes, Layout::OutIn);
            run_encoder(&config, &model)
        };
        let far = distance(&found, &expected);
        assert!(far < 2e-5, "{name}: {far}");
        read += 1;
    }
    assert_eq!(read, 6);
}

fn run_encoder_distance(
    config: &EncoderConfig,
    model: SequenceClassifier,
    what: &[Attachment],
    expected: &[f32],
) -> f32 {
    let plain = run_encoder(config, &model);
    assert!(
        distance(&plain, expected) > 1e-2,
        "the adaptation does something"
    );
    distance(&run_encoder(config, &adapted(model, what)), expected)
}

//! Every adaptation on both families: what is trained, what it costs, and what `peft` gives for it.

#[path = "shared/compare.rs"]
mod compare;
mod shared;

use std::collections::BTreeMap;

use adamix_core::account::Account;
use adamix_core::adaptation::{AdaptationConfig, LowRankConfig, Share};
use adamix_core::parameter::{self, HostTensor};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, EncoderInput, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::hub::{Source, Weights};
use adamix_models::pass::Pass;
use adamix_models::site::{Adaptable, Attachment, SiteError};
use burn::tensor::Device;
use compare::{distance, floats, values};

fn lora(rank: usize) -> LowRankConfig {
    LowRankConfig::new(rank).with_experts(1)
}

/// An architecture without weights.
fn counted(name: &str) -> SequenceClassifier {
    let config = SequenceClassifierConfig {
        encoder: EncoderConfig::named(name).unwrap(),
        outputs: 2,
        pooling: Pooling::Pooler,
    };
    config.build_all(&Source::zeros(&Device::flex())).unwrap()
}

fn attach(model: SequenceClassifier, what: Attachment) -> Result<SequenceClassifier, SiteError> {
    model.attach(&[what], 0, Key::new(1), &Device::flex())
}

fn merged_count(model: &SequenceClassifier) -> usize {
    let is_head = |name: &str| name.starts_with("classifier");
    Account::new(&parameter::parameters(model), is_head).merged
}

#[test]
fn low_rank_counts_are_the_papers() {
    for (name, count) in [("roberta-large", 786_432), ("bert-base-uncased", 294_912)] {
        for experts in [1, 4] {
            let config = AdaptationConfig::LowRank(lora(8).with_experts(experts));
            let model = attach(counted(name), Attachment::new(config)).unwrap();
            assert_eq!(merged_count(&model), count);
        }
    }
}

#[test]
fn sites_are_chosen_by_pattern_and_faults_are_named() {
    let low_rank = || Attachment::new(AdaptationConfig::LowRank(lora(2).with_share(Share::None)));
    let sites = |patterns: &[&str]| {
        let model = counted("minilm-l6");
        let model = attach(model, low_rank().at(patterns.iter().copied())).unwrap();
        let sites = model.sites();
        sites.into_iter().map(|site| site.name).collect::<Vec<_>>()
    };
    assert_eq!(sites(&["query", "attention.self.value"]).len(), 12);
    assert_eq!(
        sites(&["layer.4.*.dense", "bert.encoder.layer.5.attention.self.key"]),
        [
            "bert.encoder.layer.4.intermediate.dense",
            "bert.encoder.layer.4.output.dense",
            "bert.encoder.layer.5.attention.self.key"
        ]
    );
    let fault = |what: Attachment| attach(counted("minilm-l6"), what).unwrap_err().to_string();
    assert!(fault(low_rank().at(["qery"])).starts_with(
        "no site matches `qery`; sites end in attention.self.query, attention.self.key"
    ));
    assert_eq!(
        fault(low_rank().at(["layer.*.output"])),
        "`bert.encoder.layer.0.output` cannot hold the adaptation `low-rank`"
    );
    assert_eq!(
        fault(low_rank().at(["query", "layer.3.*.*.query"])),
        "`bert.encoder.layer.3.attention.self.query` would hold two adaptations"
    );
}

/// The tensors of a PEFT file under our names.
fn peft_tensors(folder: &std::path::Path) -> BTreeMap<String, HostTensor> {
    let file = folder.join("adapter_model.safetensors");
    let weights = Weights::from_files(folder, vec![file]).unwrap();
    let tensor = |name: &str| {
        let shape = weights.shape(name).unwrap().to_vec();
        let values = weights.read(name, &shape).unwrap();
        let ours = name
            .trim_start_matches("base_model.model.")
            .replace("lora_A.weight", "adamix.down.0.weight")
            .replace("lora_B.weight", "adamix.up.0.weight");
        (ours, HostTensor { shape, values })
    };
    weights.names().map(tensor).collect()
}

#[test]
fn a_low_rank_update_gives_pefts_logits() {
    let Some(folder) = shared::folder("golden/hf") else {
        return;
    };
    let device = Device::flex();
    let base = folder.join("roberta-tiny");
    let encoder = EncoderConfig::from_folder(&base).unwrap().with_dropout(0.0);
    let config = SequenceClassifierConfig {
        encoder,
        outputs: 3,
        pooling: Pooling::Pooler,
    };
    let weights = Weights::open(&base).unwrap();
    let model = config.load(&weights, Key::new(0), true, &device).unwrap();
    let update = AdaptationConfig::LowRank(lora(4).with_alpha(32.0));
    let model = attach(model, Attachment::new(update)).unwrap();
    let tensors = peft_tensors(&folder.join("roberta-tiny-lora"));
    let trained = tensors.keys().filter(|n| n.contains(".adamix.")).count();
    assert_eq!(trained, 3 * 2 * 2);
    let model = parameter::assign(model, tensors).unwrap();
    let golden = shared::json(&folder.join("roberta-tiny-lora/golden.json"));
    for case in golden["cases"].as_array().unwrap() {
        let ids = &case["inputs"]["input_ids"];
        let tokens = ids[0].as_array().unwrap().len();
        let ids: Vec<i32> = compare::ids(ids).iter().map(|id| *id as i32).collect();
        let mask = floats(&case["inputs"]["attention_mask"]);
        let types = vec![0; ids.len()];
        let input = EncoderInput::new(&config.encoder, &ids, &types, &mask, tokens, &device);
        let logits = values(model.forward(&input, &Pass::EVALUATION));
        let far = distance(&logits, &floats(&case["logits"]));
        assert!(far < 1e-5, "{far}");
    }
}

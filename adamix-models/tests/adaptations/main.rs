//! Every adaptation on both families: what is trained, what it costs, and what `peft` gives for it.

#[path = "../shared/compare.rs"]
mod compare;
mod references;
#[path = "../shared/mod.rs"]
mod shared;

use std::collections::{BTreeMap, BTreeSet};

use adamix_core::account::Account;
use adamix_core::adaptation::{
    AdaptationConfig, BottleneckConfig, LowRankConfig, Placement, PrefixConfig, ScaleConfig,
    ScaledSide, Share, VirtualTokensConfig,
};
use adamix_core::parameter::{self, HostTensor};
use adamix_core::random::Initializer;
use adamix_core::routing::{Decision, Routes, Site};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, EncoderInput, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::gpt2::{DecoderInput, Gpt2, Gpt2Config};
use adamix_models::hub::{Source, Weights};
use adamix_models::pass::Pass;
use adamix_models::site::{Adaptable, Attachment, SiteError, layer_of};
use burn::tensor::{Device, Tensor};
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
    // Only a device with autodiff knows what is trainable.
    let device = Device::flex().autodiff();
    config.build_all(&Source::zeros(&device)).unwrap()
}

fn attach(model: SequenceClassifier, what: Attachment) -> Result<SequenceClassifier, SiteError> {
    let device = Device::flex().autodiff();
    model.attach(&[what], 0, Key::new(1), &device)
}

fn merged_count(model: &SequenceClassifier) -> usize {
    let is_head = |name: &str| name.starts_with("classifier");
    Account::new(&parameter::parameters(model), is_head).merged
}

#[test]
fn low_rank_counts_are_the_papers() {
    for (name, count) in [("minilm-l6", 73_728), ("bert-base-uncased", 294_912)] {
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
    let device = Device::flex().autodiff();
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

/// Every kind of adaptation, as a mixture of three, with the places of both families that can hold it.
fn every_kind() -> Vec<Attachment> {
    let adapter = || BottleneckConfig::new(3).with_experts(3);
    let placed = |placement| AdaptationConfig::Bottleneck(adapter().with_placement(placement));
    let scale = |side| {
        let config = ScaleConfig::new().with_side(side);
        AdaptationConfig::Scale(config.with_experts(3))
    };
    let low_rank = LowRankConfig::new(2).with_experts(3);
    let prefix = PrefixConfig::new(2).with_experts(3);
    let tokens = || {
        let config = VirtualTokensConfig::new(2).with_experts(3);
        Attachment::new(AdaptationConfig::VirtualTokens(config))
    };
    let own = [
        placed(Placement::Projection),
        placed(Placement::Output),
        placed(Placement::Parallel),
        AdaptationConfig::LowRank(low_rank),
        scale(ScaledSide::Output),
        scale(ScaledSide::Input),
        AdaptationConfig::Prefix(prefix),
    ];
    let mut all: Vec<_> = own.map(Attachment::new).into();
    all.extend([
        tokens(),
        tokens().at(["layer"]),
        Attachment::new(placed(Placement::Output)).at(["layer"]),
    ]);
    all
}

/// Gradients reach one expert of every bank that is attached, and nothing of the base.
fn check_gradients<M: Adaptable>(model: &M, run: impl Fn(&M, &Pass<'_>) -> Tensor<1>) {
    let device = Device::flex().autodiff();
    for what in every_kind() {
        let model = parameter::set_trainable(model.clone(), |_| false);
        let attached = model.attach(core::slice::from_ref(&what), 0, Key::new(3), &device);
        // A side of zeros would hide the other's gradient.
        let mut tensors = parameter::export(attached.as_ref().unwrap(), |info| info.trainable);
        for (i, tensor) in tensors.values_mut().enumerate() {
            let key = Key::new(i as u64);
            tensor.values = Initializer::Normal(0.3).sample(key, tensor.values.len());
        }
        let model = parameter::assign(attached.unwrap(), tensors).unwrap();
        let at = |site: Site| (site.name, Decision::diagonal(1, site.down, site.up));
        let routes: Routes = model.sites().into_iter().map(at).collect();
        let mut tape = run(&model, &Pass::along(&routes)).backward();
        let reached = parameter::gradients(&model, &mut tape);
        let bank = |name: &str| name.rsplitn(3, '.').nth(2).unwrap().to_owned();
        let trained = parameter::parameters(&model);
        let trained = trained.iter().filter(|info| info.trainable);
        let banks: BTreeSet<_> = trained.map(|info| bank(&info.name)).collect();
        let weights = reached.keys().filter(|name| name.ends_with(".weight"));
        let found: Vec<_> = weights.map(|name| bank(name)).collect();
        assert!(banks.iter().all(|bank| bank.contains(".adamix.")));
        assert_eq!(found, banks.into_iter().collect::<Vec<_>>(), "{what:?}");
    }
}

#[test]
fn gradients_reach_every_bank_of_every_kind() {
    let device = Device::flex().autodiff();
    let source = Source::random(Key::new(1), &device);
    let mut encoder = EncoderConfig::named("roberta-base").unwrap();
    encoder.vocab_size = 30;
    encoder.hidden_size = 8;
    encoder.num_hidden_layers = 2;
    encoder.num_attention_heads = 2;
    encoder.intermediate_size = 12;
    encoder.max_position_embeddings = 16;
    let classifier = SequenceClassifierConfig {
        encoder: encoder.clone(),
        outputs: 2,
        pooling: Pooling::Mean,
    };
    let ids = [0, 5, 6, 2, 0, 7, 2, 1];
    let mask = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0];
    let input = EncoderInput::new(&encoder, &ids, &[0; 8], &mask, 4, &device);
    let model = classifier.build_all(&source).unwrap();
    check_gradients(&model, |model, pass| {
        model.forward(&input, pass).sin().sum()
    });
    let config = Gpt2Config::new(30, 16, 8, 2, 2);
    let model = Gpt2::build(&config, &source).unwrap();
    let input = DecoderInput::new(&config, &[3, 5, 6, 7, 9, 2], 3, &device).unwrap();
    check_gradients(&model, |model, pass| {
        model.forward(&input, pass).sin().sum()
    });
}

#[test]
fn what_is_attached_comes_back_from_its_description() {
    let device = Device::flex();
    for what in every_kind() {
        let build = || {
            let config = Gpt2Config::new(30, 16, 8, 3, 2);
            Gpt2::build(&config, &Source::zeros(&device)).unwrap()
        };
        let model = (build().attach(&[what], 2, Key::new(1), &device)).unwrap();
        let described = model.attachments();
        let again = (build().attach(&described, 0, Key::new(1), &device)).unwrap();
        assert_eq!(parameter::parameters(&again), parameter::parameters(&model));
        assert_eq!(again.sites(), model.sites());
    }
}

#[test]
fn the_last_layers_are_those_farthest_from_the_embeddings() {
    let device = Device::flex().autodiff();
    let update = Attachment::new(AdaptationConfig::LowRank(lora(2)));
    let model = counted("minilm-l6").attach(&[update], 2, Key::new(1), &device);
    let sites = model.unwrap().sites();
    let layers: Vec<_> = sites.iter().map(|site| layer_of(&site.name)).collect();
    assert_eq!(layers, [4, 4, 5, 5].map(Some));
    let model = counted("bert-base-uncased").train_base(&["*".to_owned()], 2);
    let all = parameter::parameters(&model.unwrap());
    let trained = all.iter().filter(|info| info.trainable);
    let layers: BTreeSet<_> = trained.map(|info| layer_of(&info.name)).collect();
    assert_eq!(layers, BTreeSet::from([10, 11].map(Some)));
}

#[test]
fn the_experts_of_a_prompt_are_no_layers() {
    let prompt = VirtualTokensConfig::new(2).with_experts(8);
    let prompt = Attachment::new(AdaptationConfig::VirtualTokens(prompt));
    let model = attach(counted("minilm-l6"), prompt).unwrap();
    let model = model.train_base(&["LayerNorm".to_owned()], 1);
    let all = parameter::parameters(&model.unwrap());
    let trained = all.iter().filter(|info| info.trainable);
    let norms = trained.filter(|info| info.name.contains("LayerNorm"));
    let layers: BTreeSet<_> = norms.map(|info| layer_of(&info.name)).collect();
    assert_eq!(layers, BTreeSet::from([Some(5)]));
}

#[test]
fn layers_start_alike_where_asked() {
    for same_in_layers in [true, false] {
        let update = Attachment {
            same_in_layers,
            ..Attachment::new(AdaptationConfig::LowRank(lora(2)))
        };
        let model = attach(counted("minilm-l6"), update).unwrap();
        let start = parameter::export(&model, |info| info.name.contains(".adamix.down."));
        let of = |layer: usize, map: &str| {
            let site = format!("bert.encoder.layer.{layer}.attention.self.{map}");
            &start[&format!("{site}.adamix.down.0.weight")]
        };
        for map in ["query", "value"] {
            assert_eq!(of(0, map) == of(1, map), same_in_layers, "{map}");
        }
    }
}

#[test]
fn the_bases_parameters_are_unfrozen_by_name_and_depth() {
    let trained = |patterns: &[&str], layers| {
        let patterns: Vec<_> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let model = counted("bert-base-uncased").train_base(&patterns, layers);
        let all = parameter::parameters(&model.unwrap());
        let trained = all.iter().filter(|info| info.trainable);
        trained.map(|info| info.count()).sum::<usize>()
    };
    // BitFit: 12 layers of 8,448, the embeddings' norm, the pooler and the head.
    assert_eq!(trained(&["bias"], 0), 12 * 8_448 + 768 + 768 + 2);
    assert_eq!(trained(&["*"], 0), 109_482_240 + 2 * 768 + 2);
    let layer = 4 * (768 * 768 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768;
    assert_eq!(trained(&["*"], 2), 2 * layer);
    let unknown = counted("bert-base-uncased").train_base(&["ln_1".to_owned()], 0);
    assert_eq!(
        unknown.unwrap_err().to_string(),
        "no parameter of the base model is named by `ln_1`"
    );
    // FT-Top2 of GPT-2 medium in table 3: 25.19 M.
    let config = Gpt2Config::named("gpt2-medium").unwrap();
    let device = Device::flex().autodiff();
    let model = Gpt2::build(&config, &Source::zeros(&device)).unwrap();
    let model = model.train_base(&["*".to_owned()], 2).unwrap();
    let all = parameter::parameters(&model);
    let trained = all.iter().filter(|info| info.trainable);
    assert_eq!(trained.map(|info| info.count()).sum::<usize>(), 25_192_448);
}

//! An adapted model made by this test: what is frozen, what merging does, what a file gives back.

use std::collections::BTreeMap;

use adamix_core::adaptation::{AdaptationConfig, BottleneckConfig, Share};
use adamix_core::merging::Uniform;
use adamix_core::objective::{StepLoss, Targets};
use adamix_core::optimizer::{AdamW, AdamWConfig};
use adamix_core::parameter::{self, HostTensor};
use adamix_core::routing::{Choice, Decision, Routes};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, EncoderInput, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::hub::write::{Precision, safetensors};
use adamix_models::hub::{HubError, Source, Weights};
use adamix_models::pass::{Pass, PassDropout};
use adamix_models::site::{Adaptable, Attachment};
use burn::tensor::{Device, Tensor};

fn config() -> SequenceClassifierConfig {
    let mut encoder = EncoderConfig::named("minilm-l6").unwrap();
    encoder.vocab_size = 40;
    encoder.hidden_size = 16;
    encoder.num_hidden_layers = 3;
    encoder.num_attention_heads = 2;
    encoder.intermediate_size = 32;
    encoder.max_position_embeddings = 12;
    encoder.initializer_range = 0.2;
    SequenceClassifierConfig {
        encoder,
        outputs: 3,
        pooling: Pooling::Mean,
    }
}

fn model(share: Share, device: &Device) -> SequenceClassifier {
    let model = config()
        .build_all(&Source::random(Key::new(1), device))
        .unwrap();
    let model = parameter::set_trainable(model, |info| info.name.starts_with("classifier"));
    let mixture = BottleneckConfig::new(4)
        .with_share(share)
        .with_initializer_range(0.3);
    let mixture = Attachment::new(AdaptationConfig::Bottleneck(mixture));
    model.attach(&[mixture], 0, Key::new(2), device).unwrap()
}

/// Two rows of six tokens, the second with two of padding.
fn input(device: &Device) -> EncoderInput {
    let ids = [2, 7, 9, 11, 13, 3, 2, 8, 10, 3, 0, 0];
    let mask = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0];
    EncoderInput::new(&config().encoder, &ids, &[0; 12], &mask, 6, device)
}

fn routes(model: &SequenceClassifier, expert: usize) -> Routes {
    model
        .sites()
        .into_iter()
        .map(|s| (s.name, Decision::diagonal(expert, s.down, s.up)))
        .collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

#[test]
fn only_drawn_experts_and_the_head_get_gradients_and_state() {
    let device = Device::flex().autodiff();
    let model = model(Share::Up, &device);
    let trainable = parameter::parameters(&model)
        .into_iter()
        .filter(|p| p.trainable)
        .count();
    // Three layers of four downs and one up, each with weight and bias, and the head's two.
    assert_eq!(trainable, 3 * 5 * 2 + 2);
    let routes = routes(&model, 2);
    let logits = model.forward(&input(&device), &Pass::along(&routes));
    let loss = StepLoss::new(
        &Default::default(),
        &Targets::Classes(vec![0, 2]),
        logits,
        None,
    );
    let gradients = parameter::gradients(&model, &mut loss.total.backward());
    assert_eq!(gradients.len(), 3 * 2 * 2 + 2);
    assert!(gradients.keys().all(|name| name.contains(".adamix.down.2.")
        || name.contains(".adamix.up.0.")
        || name.starts_with("classifier")));
    let before = parameter::export(&model, |info| !info.trainable);
    let mut optimizer = AdamW::new(AdamWConfig::default());
    let model = optimizer.step(model, gradients, 0.1);
    assert_eq!(optimizer.moments().len(), 3 * 2 * 2 + 2);
    assert!(
        parameter::export(&model, |info| !info.trainable) == before,
        "the backbone moved"
    );
}

#[test]
fn merged_logits_are_those_of_banks_replaced_by_their_mean() {
    let device = Device::flex();
    for share in [Share::None, Share::Up, Share::Down, Share::Both] {
        let model = model(share, &device);
        let merged = values(
            model
                .merged(&Uniform {})
                .unwrap()
                .forward(&input(&device), &Pass::EVALUATION),
        );
        let mut bank: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut tensors = parameter::export(&model, |info| info.name.contains(".adamix."));
        for name in tensors.keys() {
            let mut place: Vec<&str> = name.split('.').collect();
            place.remove(place.len() - 2);
            bank.entry(place.join(".")).or_default().push(name.clone());
        }
        for names in bank.values() {
            let count = names.len() as f64;
            let mean: Vec<f32> = (0..tensors[&names[0]].values.len())
                .map(|i| {
                    (names
                        .iter()
                        .map(|n| f64::from(tensors[n].values[i]))
                        .sum::<f64>()
                        / count) as f32
                })
                .collect();
            for name in names {
                tensors.get_mut(name).unwrap().values = mean.clone();
            }
        }
        let replaced = parameter::assign(model, tensors).unwrap();
        for expert in 0..4 {
            let routes = routes(&replaced, expert);
            let logits = values(replaced.forward(&input(&device), &Pass::along(&routes)));
            for (a, b) in merged.iter().zip(&logits) {
                assert!(
                    (a - b).abs() <= 1e-5 * b.abs().max(1.0),
                    "{share:?} {expert}: {a} {b}"
                );
            }
        }
    }
}

#[test]
fn padding_and_company_change_neither_logits_nor_masks() {
    let device = Device::flex();
    let model = model(Share::Up, &device);
    let dropout = |examples: &'static [u32]| Pass {
        dropout: Some(PassDropout {
            key: Key::new(5),
            examples,
        }),
        ..Pass::EVALUATION
    };
    let both = values(model.forward(&input(&device), &dropout(&[40, 41])));
    let alone = EncoderInput::new(
        &config().encoder,
        &[2, 8, 10, 3],
        &[0; 4],
        &[1.0; 4],
        4,
        &device,
    );
    let alone = values(model.forward(&alone, &dropout(&[41])));
    for (a, b) in both[3..].iter().zip(&alone) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let other = values(model.forward(&input(&device), &dropout(&[42, 43])));
    assert!(
        both.iter().zip(&other).any(|(a, b)| (a - b).abs() > 1e-3),
        "another example has another mask"
    );
}

#[test]
fn nothing_reads_the_backends_global_generator() {
    let device = Device::flex();
    let run = |seed| {
        device.seed(seed);
        let model = model(Share::Up, &device);
        let pass = Pass {
            dropout: Some(PassDropout {
                key: Key::new(5),
                examples: &[1, 2],
            }),
            ..Pass::EVALUATION
        };
        values(model.forward(&input(&device), &pass))
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn per_example_routes_equal_each_example_alone() {
    let device = Device::flex();
    let model = model(Share::None, &device);
    let choose = |down: Vec<usize>, up: Vec<usize>| Decision::Experts {
        down: Choice::PerExample(down),
        up: Choice::PerExample(up),
    };
    let sites = model.sites();
    let routes: Routes = sites
        .iter()
        .map(|s| (s.name.clone(), choose(vec![3, 1], vec![0, 2])))
        .collect();
    let both = values(model.forward(&input(&device), &Pass::along(&routes)));
    for (row, (down, up)) in [(3, 0), (1, 2)].into_iter().enumerate() {
        let single = Decision::Experts {
            down: Choice::One(down),
            up: Choice::One(up),
        };
        let routes: Routes = sites
            .iter()
            .map(|s| (s.name.clone(), single.clone()))
            .collect();
        let alone = values(model.forward(&input(&device), &Pass::along(&routes)));
        for (a, b) in both[3 * row..3 * row + 3]
            .iter()
            .zip(&alone[3 * row..3 * row + 3])
        {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

#[test]
fn shards_and_half_precision_give_the_same_model() {
    let device = Device::flex();
    let folder = tempfile::TempDir::new().unwrap();
    let original = config()
        .build_all(&Source::random(Key::new(1), &device))
        .unwrap();
    let tensors = parameter::export(&original, |_| true);
    let split = tensors.len() / 2;
    let (mut first, mut second, mut map) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (i, (name, tensor)) in tensors.into_iter().enumerate() {
        let (file, part) = if i < split {
            ("a.safetensors", &mut first)
        } else {
            ("b.safetensors", &mut second)
        };
        map.insert(name.clone(), file);
        part.insert(name, tensor);
    }
    safetensors(&folder.path().join("a.safetensors"), &first, Precision::F32).unwrap();
    safetensors(
        &folder.path().join("b.safetensors"),
        &second,
        Precision::F16,
    )
    .unwrap();
    let index = serde_json::json!({"weight_map": map}).to_string();
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    let loaded = config()
        .load(
            &Weights::open(folder.path()).unwrap(),
            Key::new(9),
            true,
            &device,
        )
        .unwrap();
    let logits =
        |model: &SequenceClassifier| values(model.forward(&input(&device), &Pass::EVALUATION));
    for (a, b) in logits(&original).iter().zip(logits(&loaded)) {
        assert!((a - b).abs() < 2e-2 && *a != 0.0, "{a} {b}");
    }
    let outside = serde_json::json!({"weight_map": {"x": "../b.safetensors"}}).to_string();
    std::fs::write(folder.path().join("model.safetensors.index.json"), outside).unwrap();
    assert!(matches!(
        Weights::open(folder.path()),
        Err(HubError::Format { .. })
    ));
}

#[test]
fn a_missing_backbone_tensor_is_named_and_an_absent_head_is_not_fatal() {
    let device = Device::flex();
    let folder = tempfile::TempDir::new().unwrap();
    let original = config()
        .build_all(&Source::random(Key::new(1), &device))
        .unwrap();
    let mut tensors = parameter::export(&original, |info| info.name.starts_with("bert."));
    let write = |tensors: &BTreeMap<String, HostTensor>| {
        safetensors(
            &folder.path().join("model.safetensors"),
            tensors,
            Precision::F32,
        )
        .unwrap();
        config().load(
            &Weights::open(folder.path()).unwrap(),
            Key::new(9),
            false,
            &device,
        )
    };
    write(&tensors).unwrap();
    let bare = tensors
        .iter()
        .map(|(name, t)| (name.trim_start_matches("bert.").to_owned(), t.clone()))
        .collect();
    write(&bare).unwrap();
    tensors.remove("bert.encoder.layer.1.output.dense.weight");
    let error = write(&tensors).unwrap_err().to_string();
    assert!(
        error.contains("`bert.encoder.layer.1.output.dense.weight` is missing"),
        "{error}"
    );
}

//! Configs, run folders and checkpoints that nobody means well with: refused in words, never a panic.

#[path = "../../adamix-data/tests/damage/mod.rs"]
mod damage;
mod fixture;

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::optimizer::{AdamW, AdamWConfig};
use adamix_core::parameter::export;
use adamix_experiments::checkpoint::{Kept, Origin, State, Store};
use adamix_experiments::config::{self, RunConfig};
use adamix_experiments::pretrain::PretrainConfig;
use adamix_experiments::run::{Measured, RunFolder};
use adamix_experiments::{plot, recipe};
use adamix_keys::Key;
use adamix_models::encoder::{EncoderConfig, MaskedLm};
use adamix_models::hub::Source;
use burn::tensor::{Device, Tensor};
use damage::hostile;
use fixture::Fixture;
use proptest::prelude::*;
use tempfile::TempDir;

const METRICS: &str = r#"{"consistency_loss":0.1,"epoch":1,"grad_norm":1.5,"loss":0.7,"lr":0.001,"step":1,"task_loss":0.6}
{"epoch":1,"inference":"merged","metrics":{"accuracy":0.5},"split":"dev","step":1}
"#;

fn origin() -> Origin {
    Origin::new(&"seed = 2".parse().unwrap(), &[("data", "d")])
}

fn model(seed: u64) -> MaskedLm {
    let fixture = Fixture::new();
    let config = EncoderConfig::from_folder(&fixture.model()).unwrap();
    let source = Source::random(Key::new(seed), &Device::flex().autodiff());
    MaskedLm::build(&config, &source).unwrap()
}

/// An optimiser that took a step, a measured state and the rest of a checkpoint.
fn save(run: &Path, model: &MaskedLm) {
    let name = "bert.embeddings.LayerNorm.bias";
    let gradient = Tensor::<1>::from_data([0.5f32; 16], &Device::flex());
    let mut optimizer = AdamW::new(AdamWConfig::default());
    let gradients = BTreeMap::from([(name.to_owned(), gradient)]);
    let moved = optimizer.step(model.clone(), gradients, 0.1);
    let measured = Measured {
        epoch: 1,
        step: 1,
        metrics: BTreeMap::from([("accuracy".to_owned(), Some(0.5))]),
        further: BTreeMap::new(),
    };
    let state = State {
        best: Some(Kept {
            values: export(&moved, |info| info.name == name),
            measured,
            predictions: vec![1u32, 2],
        }),
        ..State::default()
    };
    let lengths = BTreeMap::from([("metrics.jsonl".to_owned(), 7)]);
    let mut store = Store::claim(run, origin()).unwrap();
    store
        .save(&moved, |_| true, &optimizer, &state, lengths)
        .unwrap();
}

/// What a checkpoint comes to: the model, or an error.
fn restore(run: &Path, fresh: &MaskedLm) -> anyhow::Result<Option<MaskedLm>> {
    let mut store = Store::claim(run, origin())?;
    let mut optimizer = AdamW::new(AdamWConfig::default());
    let device = Device::flex().autodiff();
    let saved = store.restore::<_, Vec<u32>>(fresh, |_| true, &mut optimizer, &device)?;
    Ok(saved.map(|saved| saved.model))
}

#[test]
fn a_checkpoint_is_what_was_saved() {
    let run = TempDir::new().unwrap();
    let (model, fresh) = (model(1), model(2));
    assert!(restore(run.path(), &fresh).unwrap().is_none());
    save(run.path(), &model);
    let restored = restore(run.path(), &fresh).unwrap().unwrap();
    let (restored, model) = (export(&restored, |_| true), export(&model, |_| true));
    for (name, tensor) in restored {
        let moved = name == "bert.embeddings.LayerNorm.bias";
        assert_eq!(model[&name] != tensor, moved, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn configs(
        run in hostile(toml::to_string(&RunConfig::default()).unwrap().into_bytes()),
        pretraining in hostile(include_bytes!("../embedded/roberta-mini/pretrain.toml").to_vec()),
        settings in proptest::collection::vec("[a-z.]{0,12}=[ -~]{0,12}", 0..3),
    ) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, run).unwrap();
        if let Err(error) = config::read(Some(&path), &settings) {
            let error = format!("{error:#}");
            prop_assert!(error.contains("run.toml") || error.contains("--set"), "{error}");
        }
        let path = folder.path().join("pretrain.toml");
        std::fs::write(&path, pretraining).unwrap();
        if let Err(error) = PretrainConfig::read(&path) {
            let error = format!("{error:#}");
            prop_assert!(error.contains("pretrain.toml"), "{error}");
        }
    }

    #[test]
    fn records(metrics in hostile(METRICS.into()), result in hostile(b"{\"id\":\"0\",\"best\":{}}".to_vec())) {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("run.toml"), "").unwrap();
        std::fs::write(folder.path().join("metrics.jsonl"), metrics).unwrap();
        std::fs::write(folder.path().join("result.json"), result).unwrap();
        let run = RunFolder::open(folder.path()).unwrap();
        let error = format!("{:#}", run.result().unwrap_err());
        prop_assert!(error.contains("result.json"), "{error}");
        let _ = plot::learning_curve(&run);
    }
}

/// Each damage on its own, and each on a fresh copy.
#[test]
fn damaged_checkpoints() {
    let good = TempDir::new().unwrap();
    let fresh = model(2);
    save(good.path(), &model(1));
    let read = |name: &str| std::fs::read(good.path().join("checkpoint").join(name)).unwrap();
    let names = ["state.json", "step-0.safetensors", "best-1.safetensors"];
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    for name in names {
        let run = |bytes: Vec<u8>| {
            let folder = TempDir::new().unwrap();
            std::fs::create_dir(folder.path().join("checkpoint")).unwrap();
            for other in names {
                let path = folder.path().join("checkpoint").join(other);
                std::fs::write(
                    path,
                    if other == name {
                        bytes.clone()
                    } else {
                        read(other)
                    },
                )
                .unwrap();
            }
            if let Err(error) = restore(folder.path(), &fresh) {
                let error = format!("{error:#}");
                prop_assert!(error.contains("checkpoint"), "{error}");
            }
            Ok(())
        };
        proptest::test_runner::TestRunner::new(config.clone())
            .run(&hostile(read(name)), run)
            .unwrap();
    }
}

#[test]
fn sizes_that_no_machine_has_are_refused() {
    for setting in [
        "adaptation.bottleneck=1000000000000",
        "adaptation.experts=1000000000000",
        "input.max_length=1000000000000",
        "input.window=1000000000000",
        "schedule.epochs=1000000000000",
        "schedule.batch_size=1000000000000",
        "schedule.accumulation=1000000000000",
        "evaluation.batch_size=1000000000000",
    ] {
        let error = config::read(None, &[setting.to_owned()]).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains(setting.split('=').next().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn a_nested_config_does_not_exhaust_the_stack() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run.toml");
    std::fs::write(&path, format!("seed = {}", "[".repeat(200_000))).unwrap();
    config::read(Some(&path), &[]).unwrap_err();
    let tables = "a.".repeat(50_000);
    std::fs::write(&path, format!("{tables}a = 1")).unwrap();
    config::read(Some(&path), &[]).unwrap_err();
    config::read(None, &[format!("{tables}a=1")]).unwrap_err();
}

/// A tokenizer of a larger vocabulary than the model's, or with more segments.
#[test]
fn token_ids_that_the_model_lacks_are_refused() {
    let fixture = Fixture::new();
    let vocabulary = fixture.model().join("vocab.txt");
    let words = std::fs::read_to_string(&vocabulary).unwrap();
    std::fs::write(&vocabulary, words.replace("\ndog", "\nx\ndog") + "\ny").unwrap();
    let settings = ["data", "model"].map(|key| format!("{key}={}", fixture.path(key).display()));
    let config = config::read(Some(&fixture.config()), &settings).unwrap();
    let sitting = recipe::Sitting::quiet("flex");
    let error = recipe::train(&config, Some(&fixture.path("run")), &sitting).unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("token id") && error.contains("model"),
        "{error}"
    );
}

//! One training step of the authors' released NLU code: loss, logits, every gradient, merged logits.
//! Every case in `golden/released` is run.

#[path = "shared/compare.rs"]
mod compare;
mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use adamix_core::adaptation::{AdaptationConfig, BottleneckConfig, Share};
use adamix_core::merging::Uniform;
use adamix_core::objective::{Consistency, StepLoss, Targets};
use adamix_core::parameter::{self, HostTensor};
use adamix_core::routing::{Choice, Decision, Routes};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, EncoderInput, ModelType, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::hub::Weights;
use adamix_models::pass::Pass;
use adamix_models::site::{Adaptable, Attachment};
use burn::tensor::Device;
use compare::{distance, floats, ids, values};
use serde_json::Value;

/// The released code's name of a tensor in ours.
fn renamed(name: &str) -> String {
    name.replace(".ExpertSoup.MoA_A.deepspeed_experts.", ".adamix.down.")
        .replace(".ExpertSoup.MoA_B.deepspeed_experts.", ".adamix.up.")
}

fn tensors(path: &Path) -> BTreeMap<String, HostTensor> {
    let weights = Weights::from_files(path.parent().unwrap(), vec![path.to_owned()]).unwrap();
    let read = |name: &str| {
        let shape = weights.shape(name).unwrap().to_vec();
        let values = weights.read(name, &shape).unwrap();
        (renamed(name), HostTensor { shape, values })
    };
    weights.names().map(read).collect()
}

struct Case {
    golden: Value,
    config: SequenceClassifierConfig,
    model: SequenceClassifier,
    input: EncoderInput,
    targets: Targets,
    passes: Vec<Routes>,
}

impl Case {
    fn load(path: &Path, device: &Device) -> Self {
        let golden = shared::json(path);
        let folder = path
            .parent()
            .unwrap()
            .join(golden["model"].as_str().unwrap());
        let trained = tensors(&path.with_extension("safetensors"));
        let outputs = trained
            .get("classifier.weight")
            .or(trained.get("classifier.out_proj.weight"))
            .unwrap()
            .shape[0];
        let encoder = EncoderConfig::from_folder(&folder)
            .unwrap()
            .with_dropout(0.0);
        let config = SequenceClassifierConfig {
            encoder,
            outputs,
            pooling: Pooling::Pooler,
        };
        let weights = Weights::open(&folder).unwrap();
        let model = config.load(&weights, Key::new(0), false, device).unwrap();
        let number = |key: &str| golden[key].as_u64().unwrap() as usize;
        let share = match (number("share_down"), number("share_up")) {
            (0, 0) => Share::None,
            (0, _) => Share::Up,
            (_, 0) => Share::Down,
            _ => Share::Both,
        };
        let mixture = BottleneckConfig::new(number("bottleneck"))
            .with_experts(number("experts"))
            .with_share(share);
        let mixture = Attachment::new(AdaptationConfig::Bottleneck(mixture));
        let model = model.attach(&[mixture], 0, Key::new(0), device).unwrap();
        let names: BTreeSet<String> = trained.keys().cloned().collect();
        let trainable: BTreeSet<String> = parameter::parameters(&model)
            .into_iter()
            .filter(|p| p.trainable)
            .map(|p| p.name)
            .collect();
        assert_eq!(names, trainable, "what is trained");
        let model = parameter::assign(model, trained).unwrap();
        let inputs = &golden["inputs"];
        let tokens = |value| -> Vec<i32> { ids(value).into_iter().map(|id| id as i32).collect() };
        let words = tokens(&inputs["input_ids"]);
        let types = inputs
            .get("token_type_ids")
            .map_or(vec![0; words.len()], tokens);
        let tokens = inputs["input_ids"][0].as_array().unwrap().len();
        let input = EncoderInput::new(
            &config.encoder,
            &words,
            &types,
            &floats(&inputs["attention_mask"]),
            tokens,
            device,
        );
        let labels = &golden["labels"];
        let targets = if outputs == 1 {
            Targets::Scores(floats(labels))
        } else {
            Targets::Classes(ids(labels))
        };
        let draws: Vec<usize> = (ids(&golden["draws"]).into_iter())
            .map(|d| d as usize)
            .collect();
        let sites = model.sites();
        let passes = draws
            .chunks(2 * sites.len())
            .map(|pass| {
                let decisions = pass.chunks(2).map(|d| Decision::Experts {
                    down: Choice::One(d[0]),
                    up: Choice::One(d[1]),
                });
                sites
                    .iter()
                    .map(|s| s.name.clone())
                    .zip(decisions)
                    .collect()
            })
            .collect();
        Self {
            golden,
            config,
            model,
            input,
            targets,
            passes,
        }
    }

    fn check(&self, path: &Path) {
        let logits: Vec<_> = self
            .passes
            .iter()
            .map(|routes| self.model.forward(&self.input, &Pass::along(routes)))
            .collect();
        let first = values(logits[0].clone());
        // The released code differentiates a divergence that is zero for a regression; the mean of both
        // passes' losses is unchanged by it, so our single pass must give the same.
        let second = logits
            .get(1)
            .cloned()
            .filter(|_| Consistency::default().wants_second_pass(&self.targets));
        let loss = StepLoss::new(
            &Consistency::default(),
            &self.targets,
            logits[0].clone(),
            second,
        );
        let mut tape = loss.total.backward();
        let found = loss.total.into_scalar::<f32>();
        let expected = self.golden["loss"].as_f64().unwrap() as f32;
        assert!(
            (found - expected).abs() <= 1e-4 * expected.abs(),
            "loss {found} instead of {expected}"
        );
        // Logits of a regression are returned clipped at zero by the released RoBERTa code.
        let clipped =
            self.targets_are_scores() && self.config.encoder.model_type == ModelType::Roberta;
        let clip = |values: Vec<f32>| {
            values
                .into_iter()
                .map(|v| if clipped { v.max(0.0) } else { v })
                .collect::<Vec<_>>()
        };
        let pass1 = floats(&self.golden["train_logits_pass1"]);
        assert!(
            distance(&first, &pass1) < 1e-4 || distance(&clip(first.clone()), &pass1) < 1e-4,
            "pass-1 logits {first:?} {pass1:?}"
        );
        let merged = clip(values(
            self.model
                .merged(&Uniform {})
                .unwrap()
                .forward(&self.input_outside_autodiff(), &Pass::EVALUATION),
        ));
        assert!(
            distance(&merged, &clip(floats(&self.golden["merged_logits"]))) < 1e-4,
            "merged logits"
        );
        self.check_gradients(path, &mut tape);
    }

    fn check_gradients(&self, path: &Path, tape: &mut burn::tensor::Gradients) {
        let found = parameter::gradients(&self.model, tape);
        let expected = tensors(&path.with_extension("grads.safetensors"));
        let infos = parameter::parameters(&self.model);
        let without: BTreeSet<String> = infos
            .iter()
            .filter(|p| p.trainable && !found.contains_key(&p.name))
            .map(|p| p.name.clone())
            .collect();
        let golden: BTreeSet<String> = self.golden["no_gradient"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| renamed(n.as_str().unwrap()))
            .collect();
        // A tensor that only the second pass reaches has a zero gradient there and none here.
        for name in without.symmetric_difference(&golden) {
            let zero = expected
                .get(name)
                .is_some_and(|g| g.values.iter().all(|v| *v == 0.0));
            assert!(zero, "{name}: has a gradient in only one of the two");
        }
        for (name, gradient) in found {
            let info = infos.iter().find(|p| p.name == name).unwrap();
            let values = values(gradient);
            let values = if info.owner == "Linear" && info.shape.len() == 2 {
                let (out, input) = (info.shape[0], info.shape[1]);
                (0..out * input)
                    .map(|i| values[(i % input) * out + i / input])
                    .collect()
            } else {
                values
            };
            let far = distance(&values, &expected[&name].values);
            assert!(far < 1e-4, "{name}: gradient differs by {far}");
        }
    }

    fn targets_are_scores(&self) -> bool {
        matches!(self.targets, Targets::Scores(_))
    }

    fn input_outside_autodiff(&self) -> EncoderInput {
        let input = self.input.clone();
        EncoderInput {
            mask: input.mask.without_autodiff(),
            ids: input.ids.without_autodiff(),
            positions: input.positions.without_autodiff(),
            types: input.types.without_autodiff(),
        }
    }
}

#[test]
fn a_step_equals_the_released_codes() {
    let Some(folder) = shared::folder("golden/released") else {
        return;
    };
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".json") && (name.starts_with("roberta-") || name.starts_with("bert-"))
    });
    cases.sort();
    assert!(!cases.is_empty(), "no case in {}", folder.display());
    for path in cases {
        println!("{}", path.display());
        let device = Device::flex().autodiff();
        Case::load(&path, &device).check(&path);
    }
}

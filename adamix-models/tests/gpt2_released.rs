//! One training step of the authors' released NLG code: loss, every gradient, merged logits. Every case in
//! `golden/released` is run.

#[path = "shared/compare.rs"]
mod compare;
mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use adamix_core::adaptation::{AdaptationConfig, LowRankConfig, Share};
use adamix_core::merging::Uniform;
use adamix_core::objective::TaskLoss;
use adamix_core::objective::language_model::{LanguageModelObjective, NextTokens};
use adamix_core::parameter::{self, HostTensor};
use adamix_core::routing::{Choice, Decision, Routes, Site};
use adamix_keys::Key;
use adamix_models::gpt2::{DecoderInput, Gpt2, Gpt2Config};
use adamix_models::hub::Weights;
use adamix_models::pass::Pass;
use adamix_models::site::{Adaptable, Attachment};
use burn::tensor::Device;
use compare::{distance, floats, ids, values};
use serde_json::Value;

/// What the released code's tensor is in ours: queries come before values in its fused factors.
fn renamed(name: &str, tensor: &HostTensor) -> Vec<(String, HostTensor)> {
    for (side, fused) in [("down", ".experts_lora_A."), ("up", ".experts_lora_B.")] {
        if let Some((site, expert)) = name.split_once(fused) {
            let rows = tensor.shape[0] / 2;
            let mut halves = tensor.values.chunks(rows * tensor.shape[1]);
            let half = |part: &str| {
                let name = format!("{site}.adamix.{part}.{side}.{expert}.weight");
                let tensor = HostTensor {
                    shape: vec![rows, tensor.shape[1]],
                    values: halves.next().unwrap().to_vec(),
                };
                (name, tensor)
            };
            return ["q", "v"].map(half).into();
        }
    }
    let name = name
        .replace(".ExpertSoup.MoA_A.deepspeed_experts.", ".adamix.down.")
        .replace(".ExpertSoup.MoA_B.deepspeed_experts.", ".adamix.up.");
    vec![(name, tensor.clone())]
}

fn tensors(path: &Path) -> BTreeMap<String, HostTensor> {
    let weights = Weights::from_files(path.parent().unwrap(), vec![path.to_owned()]).unwrap();
    let read = |name: &str| {
        let shape = weights.shape(name).unwrap().to_vec();
        let values = weights.read(name, &shape).unwrap();
        renamed(name, &HostTensor { shape, values })
    };
    weights.names().flat_map(read).collect()
}

/// The files of a case `<stem>-smooth<ε>.json`: `<stem>.safetensors` and
/// `<stem>-grads-smooth<ε>.safetensors`.
fn files(case: &Path) -> [PathBuf; 2] {
    let name = case.file_stem().unwrap().to_string_lossy().into_owned();
    let (stem, smooth) = name.split_once("-smooth").unwrap();
    [
        case.with_file_name(format!("{stem}.safetensors")),
        case.with_file_name(format!("{stem}-grads-smooth{smooth}.safetensors")),
    ]
}

struct Case {
    golden: Value,
    model: Gpt2,
    ids: Vec<u32>,
    tokens: usize,
    passes: Vec<Routes>,
}

impl Case {
    fn load(path: &Path, device: &Device) -> Self {
        let golden = shared::json(path);
        let folder = path
            .parent()
            .unwrap()
            .join(golden["model"].as_str().unwrap());
        let config = Gpt2Config::from_folder(&folder).unwrap();
        let weights = Weights::open(&folder).unwrap();
        let model = Gpt2::load(&config, &weights, device).unwrap();
        let settings = &golden["config"];
        let number = |key: &str| settings[key].as_u64().unwrap() as usize;
        let share = match (number("share_A"), number("share_B")) {
            (0, 0) => Share::None,
            (0, _) => Share::Up,
            (_, 0) => Share::Down,
            _ => Share::Both,
        };
        let trained = tensors(&files(path)[0]);
        let adapter = settings.get("adamix_only").is_some_and(|v| v != 0);
        let mixture = if adapter {
            let bottleneck = trained["transformer.h.0.mlp.adamix.down.0.weight"].shape[0];
            let mixture = config.adapter(bottleneck);
            let mixture = mixture.with_experts(number("n_experts"));
            AdaptationConfig::Bottleneck(mixture.with_share(share))
        } else {
            let mixture = LowRankConfig::new(number("lora_attn_dim"))
                .with_alpha(settings["lora_attn_alpha"].as_f64().unwrap())
                .with_experts(number("n_experts"))
                .with_share(share);
            AdaptationConfig::LowRank(mixture)
        };
        let mixture = Attachment::new(mixture);
        let model = model.attach(&[mixture], 0, Key::new(0), device).unwrap();
        let names: BTreeSet<String> = trained.keys().cloned().collect();
        let trainable: BTreeSet<String> = parameter::parameters(&model)
            .into_iter()
            .filter(|p| p.trainable)
            .map(|p| p.name)
            .collect();
        assert_eq!(names, trainable, "what is trained");
        let model = parameter::assign(model, trained).unwrap();
        // The released LoRA draws for a side that is not shared only; its adapters for both.
        let mut draws = ids(&golden["draws"]).into_iter().map(|d| d as usize);
        let sites = model.sites();
        let mut passes = Vec::new();
        let consistency = golden["consistency_weight"].as_f64().unwrap();
        let count = if consistency == 0.0 { 1 } else { 2 };
        let drawn = |shared: &str| adapter || number(shared) == 0;
        while passes.len() < count {
            let mut draw = |shared: &str| {
                let drawn = drawn(shared).then(|| draws.next().unwrap());
                Choice::One(drawn.unwrap_or(0))
            };
            let decide = |site: &Site| {
                let decision = Decision::Experts {
                    down: draw("share_A"),
                    up: draw("share_B"),
                };
                (site.name.clone(), decision)
            };
            passes.push(sites.iter().map(decide).collect());
        }
        assert_eq!(draws.next(), None, "draws left over");
        let tokens = golden["ids"][0].as_array().unwrap().len();
        let ids = ids(&golden["ids"]);
        Self {
            golden,
            model,
            ids,
            tokens,
            passes,
        }
    }

    fn input(&self, device: &Device) -> DecoderInput {
        DecoderInput::new(self.model.config(), &self.ids, self.tokens, device).unwrap()
    }

    fn check(&self, path: &Path) {
        let number = |key: &str| self.golden[key].as_f64().unwrap();
        let input = self.input(&Device::flex().autodiff());
        let mask = floats(&self.golden["mask"]);
        let targets = NextTokens::masked(&ids(&self.golden["labels"]), &mask).unwrap();
        let objective = LanguageModelObjective {
            label_smoothing: number("label_smoothing"),
            consistency: number("consistency_weight"),
            detach: true,
            passes: TaskLoss::First,
        };
        let mut logits = self.passes.iter().map(|routes| {
            let pass = Pass::along(routes);
            self.model.logits_at(&input, &targets.places, &pass)
        });
        let loss = objective.step(&targets, logits.next().unwrap(), logits.next());
        let mut tape = loss.total.backward();
        let found = loss.total.into_scalar::<f32>();
        let expected = number("loss") as f32;
        let far = (found - expected).abs() / expected.abs();
        assert!(far < 1e-4, "loss {found} instead of {expected}");
        let merged = self.model.merged(&Uniform {}).unwrap();
        let logits = merged.forward(&self.input(&Device::flex()), &Pass::EVALUATION);
        let last = values(logits.narrow(0, 0, 1).narrow(1, self.tokens - 1, 1));
        let expected = floats(&self.golden["merged_logits_first_row_last"]);
        let merged = distance(&last, &expected);
        assert!(merged < 1e-4, "merged logits differ by {merged}");
        let gradients = self.check_gradients(path, &mut tape);
        println!("loss {far:.1e}, merged logits {merged:.1e}, gradients {gradients:.1e}");
    }

    /// The largest distance of a gradient, relative to its largest value.
    fn check_gradients(&self, path: &Path, tape: &mut burn::tensor::Gradients) -> f32 {
        let found = parameter::gradients(&self.model, tape);
        let expected = tensors(&files(path)[1]);
        let infos = parameter::parameters(&self.model);
        let without: BTreeSet<String> = infos
            .iter()
            .filter(|p| p.trainable && !found.contains_key(&p.name))
            .map(|p| p.name.clone())
            .collect();
        let empty = HostTensor {
            shape: vec![2, 1],
            values: vec![0.0; 2],
        };
        let golden: BTreeSet<String> = self.golden["no_gradient"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|name| renamed(name.as_str().unwrap(), &empty))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(without, golden, "what has no gradient");
        let mut largest = 0f32;
        for (name, gradient) in found {
            let info = infos.iter().find(|p| p.name == name).unwrap();
            let values = values(gradient);
            let values = if info.shape.len() == 2 {
                let (out, input) = (info.shape[0], info.shape[1]);
                (0..out * input)
                    .map(|i| values[(i % input) * out + i / input])
                    .collect()
            } else {
                values
            };
            let far = distance(&values, &expected[&name].values);
            assert!(far < 1e-4, "{name}: gradient differs by {far}");
            largest = largest.max(far);
        }
        largest
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
        name.starts_with("gpt2-") && name.contains("-smooth") && name.ends_with(".json")
    });
    cases.sort();
    assert!(!cases.is_empty(), "no case in {}", folder.display());
    for path in cases {
        println!("{}", path.display());
        let device = Device::flex().autodiff();
        Case::load(&path, &device).check(&path);
    }
}

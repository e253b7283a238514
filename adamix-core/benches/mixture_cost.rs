//! What a stochastic mixture costs beside a single adapter, and LoRA here beside Burn's `apply_lora`: a training
//! step of one adapted map, 768 wide, on 16 rows of 128 tokens; shortest time and peak memory.
//!
//! `cargo bench --workspace --bench mixture_cost`; every case runs in processes of its own, in turn.

use std::process::Command;
use std::time::Instant;

use adamix_core::adaptation::{
    Adaptation, AdaptationConfig, BottleneckConfig, Context, LowRankConfig, Routing,
};
use adamix_core::linear::Linear;
use adamix_core::optimizer::{AdamW, AdamWConfig};
use adamix_core::parameter::{self, Named};
use adamix_core::random::Initializer;
use adamix_core::routing::{Moment, RoutedPass, Stochastic};
use adamix_keys::Key;
use burn::module::{Lora, Module};
use burn::tensor::{Device, Tensor, TensorData};

const ROWS: usize = 16;
const TOKENS: usize = 128;
const HIDDEN: usize = 768;
const RANK: usize = 8;
const ROUNDS: usize = 4;
const STEPS: usize = 8;

/// A frozen map with what is trained on it.
#[derive(Module, Debug)]
struct Mapped {
    map: Linear,
    adamix: Option<Adaptation>,
}

impl Named for Mapped {}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    /// A bottleneck adapter, or a stochastic mixture of so many.
    Adapter(usize),
    /// The same of LoRA.
    LowRank(usize),
    /// LoRA by Burn: forward and backward pass only.
    Burn,
    /// LoRA here, as far.
    Here,
}

const CASES: [(&str, Case); 10] = [
    ("adapter", Case::Adapter(1)),
    ("adapter, M = 2", Case::Adapter(2)),
    ("adapter, M = 4", Case::Adapter(4)),
    ("adapter, M = 8", Case::Adapter(8)),
    ("LoRA", Case::LowRank(1)),
    ("LoRA, M = 2", Case::LowRank(2)),
    ("LoRA, M = 4", Case::LowRank(4)),
    ("LoRA, M = 8", Case::LowRank(8)),
    ("LoRA without update", Case::Here),
    ("Burn's apply_lora without update", Case::Burn),
];

impl Case {
    fn model(self, device: &Device) -> Mapped {
        let key = Key::new(1);
        let map = Linear::init(HIDDEN, HIDDEN, Initializer::Normal(0.02), key, device);
        let bare = Mapped {
            map: map.no_grad(),
            adamix: None,
        };
        let config = match self {
            Self::Burn => return bare.apply_lora(Lora::new(RANK, 16.0)),
            Self::Adapter(experts) => {
                AdaptationConfig::Bottleneck(BottleneckConfig::new(16).with_experts(experts))
            }
            Self::LowRank(experts) => {
                AdaptationConfig::LowRank(LowRankConfig::new(RANK).with_experts(experts))
            }
            Self::Here => AdaptationConfig::LowRank(LowRankConfig::new(RANK).with_experts(1)),
        };
        Mapped {
            adamix: Some(config.init([HIDDEN, HIDDEN], key.purpose("adamix"), device)),
            ..bare
        }
    }

    /// Milliseconds of the shortest of some steps.
    fn run(self) -> f64 {
        adamix_kernels::tune_allocator();
        let device = Device::flex().autodiff();
        let values = Initializer::Normal(1.0).sample(Key::new(2), ROWS * TOKENS * HIDDEN);
        let x = Tensor::<3>::from_data(TensorData::new(values, [ROWS, TOKENS, HIDDEN]), &device);
        let mut model = self.model(&device);
        let mut optimizer = AdamW::new(AdamWConfig::default());
        let mut shortest = f64::INFINITY;
        for step in 0..STEPS + 2 {
            let clock = Instant::now();
            // Something that is trained lies below.
            let y = model.forward(x.clone().require_grad(), step as u64);
            let mut tape = y.square().mean().backward();
            match self {
                Self::Burn => {
                    let adapter = model.map.weight.adapter().expect("a weight with LoRA");
                    let found = [&adapter.a, &adapter.b].map(|p| p.val().grad(&tape));
                    assert!(found.iter().all(Option::is_some));
                }
                Self::Here => {
                    assert_eq!(parameter::gradients(&model, &mut tape).len(), 2);
                }
                _ => {
                    let gradients = parameter::gradients(&model, &mut tape);
                    model = optimizer.step(model, gradients, 1e-4);
                }
            }
            if step >= 2 {
                shortest = shortest.min(clock.elapsed().as_secs_f64());
            }
        }
        shortest * 1e3
    }
}

impl Mapped {
    fn forward(&self, x: Tensor<3>, step: u64) -> Tensor<3> {
        let policy = Stochastic {};
        let rows: Vec<u32> = (0..ROWS as u32).collect();
        let pass = RoutedPass::new(&policy, Moment::draw(Key::new(3), step), &rows, true);
        let context = Context {
            site: "map",
            routing: Routing::Asked(&pass),
            dropout: None,
            mask: None,
        };
        match &self.adamix {
            None => self.map.forward(x),
            Some(Adaptation::Bottleneck(adapter)) => adapter.forward(self.map.forward(x), &context),
            Some(other) => other.around(x, |x| self.map.forward(x), &context),
        }
    }
}

/// Peak resident memory of this process in MiB, where the system tells.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}

/// The variable by which a process learns its case.
const VARIABLE: &str = "ADAMIX_BENCH_CASE";

fn main() {
    if let Ok(case) = std::env::var(VARIABLE) {
        let (_, case) = CASES[case.parse::<usize>().expect("a case's number")];
        let milliseconds = case.run();
        println!("{milliseconds} {}", peak());
        return;
    }
    let program = std::env::current_exe().expect("the program's own path");
    let mut found = [(f64::INFINITY, 0.0f64); CASES.len()];
    for _ in 0..ROUNDS {
        for (i, (time, memory)) in found.iter_mut().enumerate() {
            let output = Command::new(&program).env(VARIABLE, i.to_string()).output();
            let output = output.expect("the program runs").stdout;
            let output = String::from_utf8(output).expect("numbers");
            let numbers: Vec<f64> = (output.split_whitespace())
                .map(|number| number.parse().expect("a number"))
                .collect();
            *time = time.min(numbers[0]);
            *memory = memory.max(numbers[1]);
        }
    }
    println!("{:<34} {:>8} {:>8} {:>10}", "", "ms", "ratio", "peak MiB");
    for (i, (name, case)) in CASES.iter().enumerate() {
        let beside = match case {
            Case::Adapter(_) => 0,
            Case::LowRank(_) => 4,
            Case::Here | Case::Burn => 8,
        };
        let (time, memory) = found[i];
        let ratio = time / found[beside].0;
        println!("{name:<34} {time:>8.2} {ratio:>8.3} {memory:>10.1}");
    }
}

//! What a stochastic mixture costs beside a single adapter, and LoRA here beside Burn's `apply_lora`: a training
//! step of one adapted map, 768 wide, on 16 rows of 128 tokens; time and peak memory.
//!
//! `cargo bench --workspace --bench mixture_cost`. Time: all cases in one process take a step each in turn, and a case's
//! ratio is the median over the rounds of its step's time to that of its peer in the same round, with the 95 % interval
//! of order statistics. Memory: every case in a process of its own.

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
const ROUNDS: usize = 160;
/// Before what is measured.
const WARM_UP: usize = 4;
/// Of the processes that tell their memory.
const STEPS: usize = 4;

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

/// Name, case, and its peer's place.
const CASES: [(&str, Case, usize); 11] = [
    ("adapter", Case::Adapter(1), 0),
    ("adapter again", Case::Adapter(1), 0),
    ("adapter, M = 2", Case::Adapter(2), 0),
    ("adapter, M = 4", Case::Adapter(4), 0),
    ("adapter, M = 8", Case::Adapter(8), 0),
    ("LoRA", Case::LowRank(1), 5),
    ("LoRA, M = 2", Case::LowRank(2), 5),
    ("LoRA, M = 4", Case::LowRank(4), 5),
    ("LoRA, M = 8", Case::LowRank(8), 5),
    ("LoRA without update", Case::Here, 9),
    ("Burn's apply_lora without update", Case::Burn, 9),
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
}

/// A case at work.
struct Running {
    case: Case,
    model: Option<Mapped>,
    optimizer: AdamW,
    x: Tensor<3>,
    steps: u64,
}

impl Running {
    fn new(case: Case) -> Self {
        let device = Device::flex().autodiff();
        let values = Initializer::Normal(1.0).sample(Key::new(2), ROWS * TOKENS * HIDDEN);
        Self {
            case,
            model: Some(case.model(&device)),
            optimizer: AdamW::new(AdamWConfig::default()),
            x: Tensor::from_data(TensorData::new(values, [ROWS, TOKENS, HIDDEN]), &device),
            steps: 0,
        }
    }

    /// Milliseconds of a step.
    fn step(&mut self) -> f64 {
        let clock = Instant::now();
        let model = self.model.take().expect("every step puts it back");
        // Something that is trained lies below.
        let y = model.forward(self.x.clone().require_grad(), self.steps);
        let mut tape = y.square().mean().backward();
        self.steps += 1;
        self.model = Some(match self.case {
            Case::Burn => {
                let adapter = model.map.weight.adapter().expect("a weight with LoRA");
                let found = [&adapter.a, &adapter.b].map(|p| p.val().grad(&tape));
                assert!(found.iter().all(Option::is_some));
                model
            }
            Case::Here => {
                assert_eq!(parameter::gradients(&model, &mut tape).len(), 2);
                model
            }
            _ => {
                let gradients = parameter::gradients(&model, &mut tape);
                self.optimizer.step(model, gradients, 1e-4)
            }
        });
        clock.elapsed().as_secs_f64() * 1e3
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
    adamix_kernels::tune_allocator();
    if let Ok(case) = std::env::var(VARIABLE) {
        let (_, case, _) = CASES[case.parse::<usize>().expect("a case's number")];
        let mut running = Running::new(case);
        (0..STEPS).for_each(|_| _ = running.step());
        println!("{}", peak());
        return;
    }
    let memory: Vec<f64> = (0..CASES.len()).map(memory_of).collect();
    let mut running: Vec<Running> =
        (CASES.iter().map(|(_, case, _)| Running::new(*case))).collect();
    let mut rounds = Vec::new();
    for round in 0..WARM_UP + ROUNDS {
        let mut times = [0.0; CASES.len()];
        // No case always follows the same one's leavings in the caches: each round begins elsewhere, every second goes
        // backwards.
        for i in 0..CASES.len() {
            let at = (i + round / 2) % CASES.len();
            let at = [at, CASES.len() - 1 - at][round % 2];
            times[at] = running[at].step();
        }
        if round >= WARM_UP {
            rounds.push(times);
        }
    }
    println!(
        "{:<34} {:>8} {:>7} {:>16} {:>10}",
        "", "ms", "ratio", "95 %", "peak MiB"
    );
    for (i, (name, _, peer)) in CASES.iter().enumerate() {
        let (time, _) = median(rounds.iter().map(|times| times[i]));
        let (ratio, [low, high]) = median(rounds.iter().map(|times| times[i] / times[*peer]));
        let memory = memory[i];
        println!("{name:<34} {time:>8.2} {ratio:>7.3} {low:>7.3} to {high:.3} {memory:>10.1}");
    }
}

/// MiB at most of a process that runs one case.
fn memory_of(case: usize) -> f64 {
    let program = std::env::current_exe().expect("the program's own path");
    let output = Command::new(program)
        .env(VARIABLE, case.to_string())
        .output();
    let output = String::from_utf8(output.expect("the program runs").stdout);
    let number = output.expect("a number").trim().parse();
    number.expect("a number")
}

/// The median and its 95 % interval (order statistics, normal approximation of the binomial law).
fn median(values: impl Iterator<Item = f64>) -> (f64, [f64; 2]) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (count, middle) = (values.len() as f64, values.len() / 2);
    let off = (0.98 * count.sqrt()).ceil() as usize;
    (values[middle], [values[middle - off], values[middle + off]])
}

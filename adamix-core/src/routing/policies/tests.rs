//! What every policy must be, what each is in law, and its formula by hand.

mod formulas;
mod laws;
mod properties;

use std::sync::Arc;

use adamix_keys::Key;
use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::options::{Options, Value};
use crate::random::Initializer;
use crate::routing::*;

const BATCH: usize = 3;
const TOKENS: usize = 4;
const WIDTH: usize = 5;
const SITE: &str = "layer.0.output";

/// All that a decision is asked with; the last token of the last example is padding.
struct Ask {
    moment: Moment,
    counts: (usize, usize),
    examples: Vec<u32>,
    training: bool,
    input: Tensor<3>,
    mask: Tensor<2>,
    router: Option<Router>,
    device: Device,
}

impl Ask {
    fn new(policy: &dyn RoutingPolicy, counts: (usize, usize), key: Key, device: &Device) -> Self {
        let shape = RouterShape {
            width: WIDTH,
            experts: counts.0.max(counts.1),
        };
        let mut declared = policy.parameters(&shape);
        for map in &mut declared {
            map.initializer_range = 1.0;
        }
        let input = Initializer::Normal(1.0).sample(key.purpose("x"), BATCH * TOKENS * WIDTH);
        let mut mask = vec![1f32; BATCH * TOKENS];
        mask[BATCH * TOKENS - 1] = 0.0;
        Self {
            moment: Moment {
                root: key.purpose("routing"),
                step: 1,
                micro: 0,
                pass: 0,
            },
            counts,
            examples: vec![7, 3, 11],
            training: true,
            input: Tensor::from_data(TensorData::new(input, [BATCH, TOKENS, WIDTH]), device),
            mask: Tensor::from_data(TensorData::new(mask, [BATCH, TOKENS]), device),
            router: Router::init(&declared, key.purpose("router"), device),
            device: device.clone(),
        }
    }

    fn ask(&self, policy: &dyn RoutingPolicy) -> Decision {
        policy.decide(&RoutingContext {
            moment: self.moment,
            site: SITE,
            down: self.counts.0,
            up: self.counts.1,
            examples: &self.examples,
            starts: None,
            training: self.training,
            input: Some(&self.input),
            device: &self.device,
            mask: Some(&self.mask),
            router: self.router.as_ref(),
        })
    }

    fn at(mut self, step: u64, pass: u64) -> Self {
        (self.moment.step, self.moment.pass) = (step, pass);
        self
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.without_autodiff().into_data().try_to_vec().unwrap()
}

fn all() -> Vec<Arc<dyn RoutingPolicy>> {
    let make = |name| POLICIES.make(name, &Options::NONE).unwrap();
    POLICIES.names().into_iter().map(make).collect()
}

/// Experts of a choice, whatever its grain.
fn chosen(choice: &Choice) -> Vec<usize> {
    match choice {
        Choice::One(expert) => vec![*expert],
        Choice::PerExample(experts) => experts.clone(),
        Choice::PerToken(experts) => experts.concat(),
    }
}

fn one(decision: Decision) -> (usize, usize) {
    match decision {
        Decision::Experts {
            down: Choice::One(down),
            up: Choice::One(up),
        } => (down, up),
        other => panic!("{other:?}"),
    }
}

fn mixed(decision: Decision) -> Mixed {
    match decision {
        Decision::Mixed(mixed) => mixed,
        other => panic!("{other:?}"),
    }
}

/// The chi-square statistic of counts against expected ones.
fn chi_square(counts: &[f64], expected: impl Fn(usize) -> f64) -> f64 {
    let term = |(i, count): (usize, &f64)| (count - expected(i)).powi(2) / expected(i);
    counts.iter().enumerate().map(term).sum()
}

#[test]
fn options_reach_their_policies() {
    let options = Options::NONE
        .with("k", Value::Integer(1))
        .with("balance", Value::Number(0.5));
    let policy = POLICIES.make("top-k", &options).unwrap();
    assert!(
        format!("{policy:?}").contains("k: 1, balance: 0.5"),
        "{policy:?}"
    );
    let error = |name: &str, key: &str, value| {
        let options = Options::NONE.with(key, value);
        POLICIES.make(name, &options).unwrap_err().to_string()
    };
    assert!(error("top-k", "k", Value::Integer(0)).contains("option `k`"));
    assert!(error("task", "task", Value::Integer(1)).contains("no row of a table of 1"));
    assert!(error("stochastic", "k", Value::Integer(1)).contains("option `k`"));
    for name in POLICIES.names() {
        let policy = POLICIES.make(name, &Options::NONE).unwrap();
        assert_eq!(policy.name(), name);
    }
}

//! What every adaptation must do: start where its definition says, reach all it trains, and have the
//! gradients that differences give.

use adamix_keys::Key;
use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::parameter::{self, ParameterInfo};
use crate::random::Initializer;
use crate::routing::{Choice, Decision};

const BATCH: usize = 2;
const TOKENS: usize = 3;
const WIDTH: usize = 6;

fn normal<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let values = Initializer::Normal(1.0).sample(Key::new(seed), shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Every shape that a method of the paper's tables has, small.
fn every_shape() -> Vec<AdaptationConfig> {
    let adapter = || BottleneckConfig::new(2).with_experts(3);
    let low_rank = || {
        LowRankConfig::new(2)
            .with_experts(3)
            .with_alpha(4.0)
            .with_equal_start(false)
    };
    let bottlenecks = [
        adapter(),
        adapter().with_share(Share::None).with_bias(false),
        adapter().with_share(Share::Down).with_norm(true),
        adapter()
            .with_gate(true)
            .with_activation(Activation::Swish)
            .with_scale(4.0),
    ];
    let low_ranks = [
        low_rank(),
        low_rank()
            .with_share(Share::None)
            .with_rank_stabilized(true),
        low_rank().with_gate(true),
    ];
    let prefix = || PrefixConfig::new(2).with_experts(3);
    let mut shapes: Vec<_> = bottlenecks.map(AdaptationConfig::Bottleneck).into();
    shapes.extend(low_ranks.map(AdaptationConfig::LowRank));
    for side in [ScaledSide::Input, ScaledSide::Output] {
        let config = ScaleConfig::new().with_side(side).with_experts(3);
        shapes.push(AdaptationConfig::Scale(config));
    }
    shapes.extend([prefix(), prefix().with_gate(true)].map(AdaptationConfig::Prefix));
    let tokens = VirtualTokensConfig::new(2).with_experts(3);
    shapes.push(AdaptationConfig::VirtualTokens(tokens));
    shapes
}

/// What an adaptation does to an input of `[BATCH, TOKENS, WIDTH]`; the frozen map is `sin`.
fn run(adaptation: &Adaptation, x: Tensor<3>, decision: &Decision) -> Tensor<3> {
    let mask = Tensor::<2>::from_data([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]], &x.device());
    let context = Context {
        mask: Some(mask),
        ..Context::new(decision)
    };
    match adaptation {
        Adaptation::Bottleneck(module) => module.forward(x, &context),
        Adaptation::Prefix(module) => Tensor::cat(module.forward(x, &context).into(), 1),
        Adaptation::VirtualTokens(module) => module.forward(BATCH, &context),
        map => map.around(x, |x| x.sin(), &context),
    }
}

fn made(shape: &AdaptationConfig, device: &Device) -> Adaptation {
    shape.init([WIDTH, WIDTH], Key::new(1), device)
}

/// The same with every parameter drawn anew, so that no zero hides a gradient.
fn disturbed(adaptation: Adaptation) -> Adaptation {
    let mut values = parameter::export(&adaptation, |_| true);
    for (i, tensor) in values.values_mut().enumerate() {
        let key = Key::new(100 + i as u64);
        tensor.values = Initializer::Normal(0.5).sample(key, tensor.values.len());
    }
    parameter::assign(adaptation, values).unwrap()
}

fn loss(adaptation: &Adaptation, decision: &Decision, device: &Device) -> Tensor<1> {
    let y = run(
        adaptation,
        normal([BATCH, TOKENS, WIDTH], 2, device),
        decision,
    );
    let weights = normal(y.dims(), 3, device);
    (y.sin() * weights).sum()
}

fn distance(a: Tensor<3>, b: Tensor<3>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}

#[test]
fn low_rank_and_scale_start_as_the_frozen_map() {
    let device = Device::flex();
    for shape in every_shape() {
        let kind = shape.kind();
        if ["low-rank", "scale"].contains(&kind) {
            let x = normal([BATCH, TOKENS, WIDTH], 2, &device);
            let y = run(
                &made(&shape, &device),
                x.clone(),
                &Decision::diagonal(2, 3, 1),
            );
            assert_eq!(distance(y, x.sin()), 0.0, "{shape:?}");
        }
    }
}

#[test]
fn a_bottleneck_starts_near_the_identity() {
    let device = Device::flex();
    let x = normal([BATCH, TOKENS, WIDTH], 2, &device);
    let adapter = made(&every_shape()[0], &device);
    let far = distance(run(&adapter, x.clone(), &Decision::SINGLE), x);
    assert!(far > 0.0 && far < 0.02, "{far}");
}

#[test]
fn gradients_are_those_of_differences_and_reach_what_was_drawn_only() {
    let device = Device::flex().autodiff();
    for shape in every_shape() {
        let adaptation = disturbed(made(&shape, &device));
        let (down, up) = adaptation.counts();
        let decision = Decision::diagonal(2, down, up);
        let mut tape = loss(&adaptation, &decision, &device).backward();
        let gradients = parameter::gradients(&adaptation, &mut tape);
        let drawn = |info: &ParameterInfo| {
            let expert = info.name.split('.').find_map(|s| s.parse::<usize>().ok());
            let alone = expert == Some(0) && is_single(&adaptation, &info.name);
            expert.is_none() || expert == Some(2) || alone
        };
        for info in parameter::parameters(&adaptation) {
            assert!(info.trainable, "{}", info.name);
            let found = gradients.get(&info.name);
            assert_eq!(found.is_some(), drawn(&info), "{shape:?} {}", info.name);
            if let Some(found) = found {
                let found = found.clone().into_data().try_to_vec::<f32>().unwrap();
                check(&adaptation, &info, &found, &decision, &device);
            }
        }
    }
}

/// Whether the bank of a parameter has one expert.
fn is_single(adaptation: &Adaptation, name: &str) -> bool {
    let bank = &name[..name.find('.').unwrap_or(name.len())];
    let second = format!("{bank}.1.weight");
    parameter::parameters(adaptation)
        .iter()
        .all(|info| info.name != second)
}

/// Compares a parameter's gradient (in memory layout) with central differences.
fn check(
    adaptation: &Adaptation,
    info: &ParameterInfo,
    found: &[f32],
    decision: &Decision,
    device: &Device,
) {
    let values = parameter::export(adaptation, |_| true);
    let step = 1e-2f32;
    // A map's weight is transposed in files.
    let place = |i: usize| match info.shape.as_slice() {
        [rows, columns] if info.owner == "Linear" => (i % rows) * columns + i / rows,
        _ => i,
    };
    for i in (0..found.len()).step_by(found.len().div_ceil(5)) {
        let at = |sign: f32| {
            let mut moved = values.clone();
            moved.get_mut(&info.name).unwrap().values[place(i)] += sign * step;
            let moved = parameter::assign(adaptation.clone(), moved).unwrap();
            f64::from(loss(&moved, decision, device).into_scalar::<f32>())
        };
        let expected = (at(1.0) - at(-1.0)) / f64::from(2.0 * step);
        let off = (f64::from(found[i]) - expected).abs();
        assert!(
            off < 1e-2 * expected.abs().max(1.0),
            "{} [{i}] of {:?}: {} {expected}",
            info.name,
            adaptation.config(),
            found[i]
        );
    }
}

#[test]
fn per_example_runs_equal_one_by_one() {
    let device = Device::flex();
    for shape in every_shape() {
        let adaptation = disturbed(made(&shape, &device));
        let (down, up) = adaptation.counts();
        let x = normal([BATCH, TOKENS, WIDTH], 2, &device);
        let at = |expert: usize| Decision::diagonal(expert, down, up);
        let each = |count: usize| Choice::PerExample(vec![2.min(count - 1), 1.min(count - 1)]);
        let both = Decision::Experts {
            down: each(down),
            up: each(up),
        };
        let both = run(&adaptation, x.clone(), &both);
        for (row, expert) in [(0, 2), (1, 1)] {
            let alone = run(&adaptation, x.clone(), &at(expert)).narrow(0, row, 1);
            let far = distance(both.clone().narrow(0, row, 1), alone);
            assert!(far < 1e-5, "{shape:?}: {far}");
        }
    }
}

#[test]
fn the_shape_comes_back_from_the_module_and_from_a_file() {
    let device = Device::flex();
    for shape in every_shape() {
        let module = made(&shape, &device);
        assert_eq!(module.config(), shape);
        let merged = module.merged(&crate::merging::Uniform {}, "m").unwrap();
        assert_eq!(merged.counts(), (1, 1), "{shape:?}");
        assert_eq!(made(&merged.config(), &device).counts(), (1, 1));
        let text = serde_json::to_string(&shape).unwrap();
        assert!(
            text.contains(&format!("\"kind\":\"{}\"", shape.kind())),
            "{text}"
        );
        assert_eq!(
            serde_json::from_str::<AdaptationConfig>(&text).unwrap(),
            shape
        );
    }
}

#[test]
fn weights_are_counted_before_there_are_any() {
    let device = Device::flex();
    for shape in every_shape() {
        let module = shape.init([5, 7], Key::new(1), &device);
        let is_in_bank = |info: &ParameterInfo| {
            // `<bank>.<expert>.weight`
            let mut segments = info.name.split('.').skip(1);
            segments.next().is_some_and(|s| s.parse::<usize>().is_ok())
                && segments.next() == Some("weight")
        };
        let infos = parameter::parameters(&module).into_iter();
        let count: usize = infos.filter(is_in_bank).map(|info| info.count()).sum();
        assert_eq!(shape.weights([5, 7]), count, "{shape:?}");
    }
    let vast = BottleneckConfig::new(usize::MAX);
    assert_eq!(
        AdaptationConfig::Bottleneck(vast).weights([5, 7]),
        usize::MAX
    );
}

#[test]
fn a_table_is_read_as_it_stands() {
    let device = Device::flex();
    let tokens = VirtualTokensConfig::new(3)
        .with_experts(2)
        .init(4, Key::new(5), &device);
    let read = tokens.forward(2, &Context::new(&Decision::diagonal(1, 2, 1)));
    let table = tokens.tokens.experts[1].weight.val().unsqueeze::<3>();
    assert_eq!(distance(read, table.expand([2, 3, 4])), 0.0);
}

//! How often random policies take which expert.

use super::*;

#[test]
fn stochastic_draws_are_uniform_and_the_sides_independent() {
    let device = Device::flex();
    let policy = Stochastic {};
    let mut counts = [0f64; 12];
    for step in 0..12_000 {
        let ask = Ask::new(&policy, (4, 3), Key::new(7), &device).at(step, 0);
        let (down, up) = one(ask.ask(&policy));
        counts[down * 3 + up] += 1.0;
    }
    // 11 degrees of freedom: 31.26 is the 0.999 quantile.
    let statistic = chi_square(&counts, |_| 1000.0);
    assert!(statistic < 31.26, "{statistic} {counts:?}");
}

#[test]
fn passes_and_micro_batches_are_drawn_independently() {
    let (device, policy) = (Device::flex(), Stochastic {});
    for (micro, pass) in [(0, 1), (1, 0)] {
        let mut pairs = [0f64; 16];
        for step in 0..4_800 {
            let draw = |micro, pass| {
                let mut ask = Ask::new(&policy, (4, 1), Key::new(7), &device).at(step, pass);
                ask.moment.micro = micro;
                one(ask.ask(&policy)).0
            };
            pairs[draw(0, 0) * 4 + draw(micro, pass)] += 1.0;
        }
        // 15 degrees of freedom: 37.70 is the 0.999 quantile.
        let statistic = chi_square(&pairs, |_| 300.0);
        assert!(statistic < 37.70, "{micro} {pass}: {statistic} {pairs:?}");
    }
}

#[test]
fn finer_grains_draw_the_sides_independently() {
    let device = Device::flex();
    for policy in [
        &StochasticPerExample {} as &dyn RoutingPolicy,
        &StochasticPerToken {},
    ] {
        let mut pairs = [0f64; 12];
        for step in 0..1_000 {
            let ask = Ask::new(policy, (4, 3), Key::new(7), &device).at(step, 0);
            match ask.ask(policy) {
                Decision::Experts { down, up } => {
                    for (down, up) in chosen(&down).into_iter().zip(chosen(&up)) {
                        pairs[down * 3 + up] += 1.0;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        let even = pairs.iter().sum::<f64>() / 12.0;
        // 11 degrees of freedom: 31.26 is the 0.999 quantile.
        let statistic = chi_square(&pairs, |_| even);
        assert!(
            statistic < 31.26,
            "{}: {statistic} {pairs:?}",
            policy.name()
        );
    }
}

#[test]
fn draws_of_finer_grains_are_uniform() {
    let device = Device::flex();
    for policy in [
        &StochasticPerExample {} as &dyn RoutingPolicy,
        &StochasticPerToken {},
        &Hash {},
    ] {
        let mut counts = [0f64; 4];
        for step in 0..500u32 {
            let mut ask = Ask::new(policy, (4, 4), Key::new(7), &device);
            ask.moment.step = step.into();
            ask.examples = (0..BATCH as u32).map(|i| step * 3 + i).collect();
            match ask.ask(policy) {
                Decision::Experts { down, .. } => {
                    for expert in chosen(&down) {
                        counts[expert] += 1.0;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        let even = counts.iter().sum::<f64>() / 4.0;
        // 3 degrees of freedom: 16.27 is the 0.999 quantile.
        let statistic = chi_square(&counts, |_| even);
        assert!(
            statistic < 16.27,
            "{}: {statistic} {counts:?}",
            policy.name()
        );
    }
}

#[test]
fn tied_sides_follow_one_uniform_draw() {
    let device = Device::flex();
    let policy = StochasticTied {};
    let mut counts = [0f64; 4];
    for step in 0..4000 {
        let ask = Ask::new(&policy, (4, 4), Key::new(7), &device).at(step, 0);
        let (down, up) = one(ask.ask(&policy));
        assert_eq!(down, up);
        counts[down] += 1.0;
    }
    let statistic = chi_square(&counts, |_| 1000.0);
    assert!(statistic < 16.27, "{statistic} {counts:?}");
}

fn site((down, up): (usize, usize)) -> Site {
    Site {
        name: SITE.to_owned(),
        down,
        up,
    }
}

/// The experts that 40 examples take at random in a mixture which this policy trained: down, up.
fn served_at_random(
    policy: Arc<dyn RoutingPolicy>,
    counts: (usize, usize),
    device: &Device,
) -> [Vec<usize>; 2] {
    let paths = Inference::Random.paths(&policy, &[site(counts)], 1, Key::new(3));
    let examples: Vec<u32> = (0..40).collect();
    let asking = Asking {
        counts,
        input: None,
        mask: None,
        router: None,
        device,
    };
    match paths[0].pass(&examples).decide(SITE, &asking) {
        Decision::Experts { down, up } => [chosen(&down), chosen(&up)],
        other => panic!("{other:?}"),
    }
}

#[test]
fn random_inference_keeps_together_what_was_trained_together() {
    let device = Device::flex();
    for policy in all() {
        let [down, up] = served_at_random(policy.clone(), (4, 4), &device);
        assert_eq!(down == up, policy.is_tied(), "{}", policy.name());
        // Where a side is shared every policy is served by the same draws.
        let free = served_at_random(Arc::new(Stochastic {}), (4, 1), &device);
        let found = served_at_random(policy.clone(), (4, 1), &device);
        assert_eq!(found, free, "{}", policy.name());
    }
}

#[test]
fn a_tied_mixture_is_served_at_random_as_it_was_trained() {
    let device = Device::flex();
    let tied: Arc<dyn RoutingPolicy> = Arc::new(StochasticTied {});
    let sites = [site((4, 4))];
    for inference in [Inference::Random, Inference::MonteCarlo] {
        let paths = inference.paths(&tied, &sites, 40, Key::new(3));
        let mut counts = [0f64; 4];
        for path in &paths {
            for step in 0..40u32 {
                let mut ask = Ask::new(tied.as_ref(), (4, 4), Key::new(7), &device);
                ask.examples = (0..BATCH as u32).map(|i| step * 3 + i).collect();
                let examples = ask.examples.clone();
                let pass = path.pass(&examples);
                let asking = Asking {
                    counts: ask.counts,
                    input: Some(&ask.input),
                    mask: Some(&ask.mask),
                    router: None,
                    device: &device,
                };
                match pass.decide(SITE, &asking) {
                    Decision::Experts { down, up } => {
                        assert_eq!(chosen(&down), chosen(&up));
                        chosen(&down)
                            .into_iter()
                            .for_each(|expert| counts[expert] += 1.0);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(counts.iter().all(|count| *count > 0.0), "{counts:?}");
    }
}

#[test]
fn without_replacement_the_passes_differ_and_are_uniform() {
    let device = Device::flex();
    let policy = WithoutReplacement {};
    let mut counts = [[0f64; 4]; 2];
    let mut pairs = [0f64; 12];
    for step in 0..6000 {
        let at = |pass| {
            let ask = Ask::new(&policy, (4, 4), Key::new(7), &device).at(step, pass);
            one(ask.ask(&policy))
        };
        let (first, second) = (at(0), at(1));
        assert!(first.0 != second.0 && first.1 != second.1);
        counts[0][first.0] += 1.0;
        counts[1][second.1] += 1.0;
        let other = second.0 - usize::from(second.0 > first.0);
        pairs[first.0 * 3 + other] += 1.0;
    }
    for counts in &counts {
        let statistic = chi_square(counts, |_| 1500.0);
        assert!(statistic < 16.27, "{statistic} {counts:?}");
    }
    let statistic = chi_square(&pairs, |_| 500.0);
    assert!(statistic < 31.26, "{statistic} {pairs:?}");
}

#[test]
fn turns_and_hashes_are_what_they_say() {
    let device = Device::flex();
    let at = |policy: &dyn RoutingPolicy, step, pass| {
        Ask::new(policy, (3, 1), Key::new(7), &device)
            .at(step, pass)
            .ask(policy)
    };
    let turns: Vec<_> = (1..5)
        .map(|step| one(at(&RoundRobin {}, step, 0)).0)
        .collect();
    assert_eq!(turns, [1, 2, 0, 1]);
    assert_eq!(one(at(&RoundRobin {}, 1, 1)), (2, 0));
    let experts = |decision| match decision {
        Decision::Experts { down, .. } => chosen(&down),
        other => panic!("{other:?}"),
    };
    assert_eq!(experts(at(&Hash {}, 1, 0)), experts(at(&Hash {}, 9, 1)));
    assert_eq!(one(at(&Fixed { expert: 2 }, 5, 1)), (2, 0));
}

#[test]
fn dropped_experts_leave_the_mean_of_the_others() {
    let device = Device::flex();
    let policy = ExpertDropout { rate: 0.25 };
    let mut kept = [0f64; 3];
    for step in 0..6000 {
        let ask = Ask::new(&policy, (3, 3), Key::new(7), &device).at(step, 0);
        let weights = values(mixed(ask.ask(&policy)).weights);
        let count = weights.iter().filter(|w| **w > 0.0).count() as f32;
        for (i, weight) in weights.iter().enumerate() {
            assert!(*weight == 0.0 || (weight - 1.0 / count).abs() < 1e-6);
            kept[i] += f64::from(u8::from(*weight > 0.0));
        }
    }
    // Kept with 3/4, or as the last of all dropped ones: 3/4 + (1/4)^3 / 3.
    let rate = 0.75 + 1.0 / 192.0;
    for count in kept {
        let z = (count - 6000.0 * rate) / (6000.0 * rate * (1.0 - rate)).sqrt();
        assert!(z.abs() < 4.0, "{z} {kept:?}");
    }
    let mut ask = Ask::new(&policy, (3, 3), Key::new(7), &device);
    ask.training = false;
    assert_eq!(values(mixed(ask.ask(&policy)).weights), [1.0 / 3.0; 3]);
}

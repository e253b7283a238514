//! The paper's routing: uniform draws, down and up independent, anew for every layer and pass.

use super::{Choice, Decision, RoutingContext, RoutingPolicy};

/// One draw a side for the whole batch (paper §3.1; the released code's `MixtureSoup` in training).
#[derive(Clone, Copy, Debug)]
pub struct Stochastic;

impl RoutingPolicy for Stochastic {
    fn name(&self) -> &'static str {
        "stochastic"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        Decision {
            down: Choice::One(context.key.purpose("down").below(context.down)),
            up: Choice::One(context.key.purpose("up").below(context.up)),
        }
    }
}

/// One draw a side for each example, keyed by the example, not by its place in the batch.
#[derive(Clone, Copy, Debug)]
pub struct StochasticPerExample;

impl RoutingPolicy for StochasticPerExample {
    fn name(&self) -> &'static str {
        "stochastic-per-example"
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let side = |name: &str, count: usize| {
            let key = context.key.purpose(name);
            let draw = |id: &u32| key.fold(u64::from(*id)).below(count);
            Choice::PerExample(context.examples.iter().map(draw).collect())
        };
        Decision {
            down: side("down", context.down),
            up: side("up", context.up),
        }
    }
}

#[cfg(test)]
mod tests {
    use adamix_keys::Key;

    use super::*;

    fn context(step: u64, examples: &[u32]) -> RoutingContext<'_> {
        RoutingContext {
            key: Key::new(7).purpose("routing").fold(step),
            down: 4,
            up: 3,
            examples,
        }
    }

    #[test]
    fn draws_are_uniform_and_the_sides_independent() {
        let mut counts = [[0f64; 3]; 4];
        for step in 0..12_000 {
            match Stochastic.decide(&context(step, &[])) {
                Decision {
                    down: Choice::One(d),
                    up: Choice::One(u),
                } => counts[d][u] += 1.0,
                other => panic!("{other:?}"),
            }
        }
        // Chi-square over the joint table, 11 degrees of freedom: 31.26 is the 0.999 quantile.
        let chi2: f64 = counts
            .iter()
            .flatten()
            .map(|c| (c - 1000.0).powi(2) / 1000.0)
            .sum();
        assert!(chi2 < 31.26, "{chi2} {counts:?}");
    }

    #[test]
    fn an_example_keeps_its_expert_wherever_it_stands() {
        let decide = |ids: &[u32]| match StochasticPerExample.decide(&context(1, ids)).down {
            Choice::PerExample(experts) => experts,
            other => panic!("{other:?}"),
        };
        let (ab, ba) = (decide(&[11, 22]), decide(&[22, 11]));
        assert_eq!((ab[0], ab[1]), (ba[1], ba[0]));
    }
}

//! Which examples make up the batches of an epoch: a pure function of lengths, batch size, order and key.

use adamix_keys::Key;
use serde::{Deserialize, Serialize};

/// How an epoch is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Order {
    /// A uniformly random permutation, cut into batches: what the Hugging Face trainer does.
    Shuffled,
    /// A random permutation cut into windows of `window` batches; each window is sorted by length and cut into
    /// batches, and the batches of the epoch are shuffled. Saves padding; the larger the window, the more it
    /// saves and the less random is the company an example has.
    Bucketed {
        /// Batches a window.
        window: usize,
    },
}

/// The batches of one epoch, as indices into `lengths` (tokens of each example).
///
/// Every example is in exactly one batch. All batches are full but one, which holds the remainder. A batch
/// size or window of 0 counts as 1. Give the epoch's own key: the same key gives the same plan.
pub fn plan_epoch(lengths: &[u32], batch_size: usize, order: Order, key: Key) -> Vec<Vec<u32>> {
    let size = batch_size.max(1);
    let permuted = || key.purpose("examples").permutation(lengths.len());
    match order {
        Order::Shuffled => cut(&permuted(), size),
        Order::Bucketed { window } => {
            let mut examples = permuted();
            for bucket in examples.chunks_mut(size.saturating_mul(window.max(1))) {
                bucket.sort_by_key(|&i| lengths[i as usize]);
            }
            let mut batches = cut(&examples, size);
            key.purpose("batches").shuffle(&mut batches);
            batches
        }
    }
}

/// Fills the batches of a plan that are not full with examples drawn at random, as the released code of GPT-2
/// does. Give the epoch's own key.
pub fn fill_batches(batches: &mut [Vec<u32>], batch_size: usize, examples: usize, key: Key) {
    let key = key.purpose("repeats");
    for batch in batches {
        let missing = batch_size.max(1).saturating_sub(batch.len());
        let draws = (0..missing as u64).map(|i| key.fold(i).below(examples) as u32);
        batch.extend(draws);
    }
}

/// Batches for evaluation, as indices into `lengths`: longest first, so that little is padded and memory runs
/// out at once or never. Scores do not depend on it; put predictions back by index.
pub fn plan_evaluation(lengths: &[u32], batch_size: usize) -> Vec<Vec<u32>> {
    let mut all: Vec<u32> = (0..lengths.len() as u32).collect();
    all.sort_by_key(|&i| std::cmp::Reverse(lengths[i as usize]));
    cut(&all, batch_size.max(1))
}

fn cut(examples: &[u32], size: usize) -> Vec<Vec<u32>> {
    examples.chunks(size).map(<[u32]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn any_order() -> impl Strategy<Value = Order> {
        prop_oneof![
            Just(Order::Shuffled),
            (0usize..7).prop_map(|window| Order::Bucketed { window }),
        ]
    }

    proptest! {
        #[test]
        fn every_example_comes_once(
            lengths in prop::collection::vec(1u32..100, 0..200),
            size in 0usize..20,
            order in any_order(),
            seed: u64,
        ) {
            let full = size.max(1);
            let plan = plan_epoch(&lengths, size, order, Key::new(seed));
            for batches in [&plan, &plan_evaluation(&lengths, size)] {
                let mut seen: Vec<u32> = batches.iter().flatten().copied().collect();
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..lengths.len() as u32).collect::<Vec<_>>());
                prop_assert_eq!(batches.len(), lengths.len().div_ceil(full));
                prop_assert!(batches.iter().all(|b| !b.is_empty() && b.len() <= full));
                prop_assert!(batches.iter().filter(|b| b.len() < full).count() <= 1);
            }
            // A pure function of its arguments.
            prop_assert_eq!(&plan, &plan_epoch(&lengths, size, order, Key::new(seed)));
        }
    }

    #[test]
    fn filled_batches_are_full_and_keep_their_examples() {
        let lengths = [1u32; 11];
        let plan = plan_epoch(&lengths, 4, Order::Shuffled, Key::new(3));
        let mut filled = plan.clone();
        fill_batches(&mut filled, 4, 11, Key::new(3));
        assert!(filled.iter().all(|batch| batch.len() == 4));
        for (whole, part) in filled.iter().zip(&plan) {
            assert!(whole.starts_with(part) && whole.iter().all(|i| *i < 11));
        }
        let mut again = plan;
        fill_batches(&mut again, 4, 11, Key::new(3));
        assert_eq!(again, filled);
        // Drawn by the key, each filler for itself, from all examples.
        let fillers = |seed| {
            let mut batches = [Vec::new()];
            fill_batches(&mut batches, 4, 11, Key::new(seed));
            let [fillers] = batches;
            fillers
        };
        let drawn: Vec<Vec<u32>> = (0..10).map(fillers).collect();
        let distinct: BTreeSet<u32> = drawn.iter().flatten().copied().collect();
        assert!(distinct.len() > 5 && distinct.iter().all(|i| *i < 11));
        assert!(drawn.iter().any(|batch| *batch != drawn[0]));
        assert!(drawn.iter().any(|batch| *batch != [batch[0]; 4]));
    }

    #[test]
    fn another_key_is_another_order() {
        let lengths: Vec<u32> = (0..100).collect();
        for order in [Order::Shuffled, Order::Bucketed { window: 5 }] {
            let plan = |seed| plan_epoch(&lengths, 8, order, Key::new(seed));
            assert_ne!(plan(1), plan(2));
        }
    }

    #[test]
    fn buckets_save_padding_and_hide_it_from_the_order_of_batches() {
        let lengths: Vec<u32> = (0..1000)
            .map(|i| Key::new(5).fold(i).below(100) as u32 + 1)
            .collect();
        let padded = |plan: &[Vec<u32>]| -> usize {
            let longest = |b: &Vec<u32>| b.iter().map(|&i| lengths[i as usize]).max().unwrap();
            plan.iter().map(|b| b.len() * longest(b) as usize).sum()
        };
        let shuffled = plan_epoch(&lengths, 10, Order::Shuffled, Key::new(1));
        let bucketed = plan_epoch(&lengths, 10, Order::Bucketed { window: 10 }, Key::new(1));
        assert!(padded(&bucketed) * 10 < padded(&shuffled) * 7);
        // Batches of all lengths come mixed: first and second half of the epoch see alike lengths.
        let mean = |plan: &[Vec<u32>]| {
            let all: Vec<f64> = plan
                .iter()
                .flatten()
                .map(|&i| f64::from(lengths[i as usize]))
                .collect();
            all.iter().sum::<f64>() / all.len() as f64
        };
        assert!((mean(&bucketed[..50]) - mean(&bucketed[50..])).abs() < 20.0);
    }

    #[test]
    fn evaluation_starts_with_the_longest_and_keeps_ties_in_order() {
        let plan = plan_evaluation(&[3, 9, 3, 5, 9], 2);
        assert_eq!(plan, [vec![1, 4], vec![3, 0], vec![2]]);
    }
}

//! The training rows of LM-BFF's protocol: K of each class. Its K development rows are not drawn: with
//! `evaluation.after = "last"` nothing is selected on any.

use adamix_keys::Key;

use crate::example::Example;

/// `k` rows of each class, in the order of the file; all of a class that has fewer. Rows without a class are left out.
pub fn k_per_class(examples: &[Example], classes: usize, k: usize, key: Key) -> Vec<Example> {
    let order = key.permutation(examples.len());
    let mut taken = vec![0; classes];
    let mut chosen = vec![false; examples.len()];
    for i in order {
        let class = examples[i as usize].target.class();
        if let Some(count) = class.and_then(|class| taken.get_mut(class as usize))
            && *count < k
        {
            *count += 1;
            chosen[i as usize] = true;
        }
    }
    let kept = examples.iter().zip(chosen).filter(|(_, chosen)| *chosen);
    kept.map(|(example, _)| example.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Target;

    #[test]
    fn every_class_has_k_and_the_key_decides() {
        let example = |id: u32| Example {
            id,
            first: String::new(),
            second: None,
            target: Target::Class(u32::from(id.is_multiple_of(4))),
        };
        let examples: Vec<Example> = (0..100).map(example).collect();
        let drawn = |seed| k_per_class(&examples, 2, 16, Key::new(seed));
        let count = |rows: &[Example], class| {
            rows.iter()
                .filter(|e| e.target == Target::Class(class))
                .count()
        };
        let rows = drawn(1);
        assert_eq!((count(&rows, 0), count(&rows, 1)), (16, 16));
        assert!(rows.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(rows, drawn(1));
        assert_ne!(rows, drawn(2));
        // A class of 25 gives no more than it has.
        assert_eq!(count(&k_per_class(&examples, 2, 40, Key::new(1)), 1), 25);
    }
}

//! Which tokens a model is to guess, and what it sees in their places.

use adamix_keys::Key;

use super::batch::Batch;
use super::config::Masking;

/// What hides tokens of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Masker<'a> {
    /// How much, and how.
    pub masking: Masking,
    /// What is put in place of most hidden tokens.
    pub mask: u32,
    /// The ids that may be hidden, or put in place of others, ascending.
    pub ordinary: &'a [u32],
}

impl Masker<'_> {
    /// Adds a row with some tokens hidden to a batch. What becomes of it is a function of `key` alone, not of
    /// the rows beside it.
    pub(super) fn push(&self, batch: &mut Batch, row: &[u32], key: Key) {
        let start = batch.ids.len();
        batch.ids.extend_from_slice(row);
        let ordinary = || {
            let places = row.iter().enumerate();
            places.filter(|(_, id)| self.ordinary.binary_search(id).is_ok())
        };
        let draw = |place: usize| key.fold(place as u64).fold(0).uniform();
        let least = ordinary()
            .map(|(place, _)| draw(place))
            .fold(f64::INFINITY, f64::min);
        let rate = self.masking.rate;
        for (place, id) in ordinary() {
            // A row that drew nothing is asked at one place all the same: no step is without a loss.
            if draw(place) >= rate && (least < rate || draw(place) > least) {
                continue;
            }
            let key = key.fold(place as u64);
            let action = key.fold(1).uniform();
            let seen = if action < self.masking.masked {
                self.mask
            } else if action < self.masking.masked + self.masking.random {
                self.ordinary[key.fold(2).below(self.ordinary.len())]
            } else {
                *id
            };
            batch.ids[start + place] = seen;
            batch.places.push((start + place) as i32);
            batch.labels.push(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(length: u32) -> Vec<u32> {
        let text = (0..length).map(|i| 5 + (i * 37) % 995);
        [0].into_iter().chain(text).chain([2]).collect()
    }

    /// Adds rows to an empty batch: ids 5 to 999 are ordinary, 4 is the mask.
    fn masked(rows: &[(Vec<u32>, Key)]) -> Batch {
        let ordinary: Vec<u32> = (5..1000).collect();
        let masker = Masker {
            masking: Masking::BERT,
            mask: 4,
            ordinary: &ordinary,
        };
        let mut batch = Batch::default();
        for (row, key) in rows {
            masker.push(&mut batch, row, *key);
        }
        batch
    }

    #[test]
    fn shares_are_those_of_the_config() {
        let rows: Vec<_> = (0..2000).map(|i| (row(98), Key::new(1).fold(i))).collect();
        let masked = masked(&rows);
        let tokens = 2000.0 * 98.0;
        let asked = masked.places.len() as f64;
        // Four standard deviations of a binomial.
        let close = |found: f64, share: f64, of: f64| {
            assert!(
                (found - share * of).abs() < 4.0 * (of * share * (1.0 - share)).sqrt(),
                "{found} of {of}, expected {share}"
            );
        };
        close(asked, 0.15, tokens);
        let (mut hidden, mut kept, mut other) = (0.0, 0.0, 0.0);
        for (place, label) in masked.places.iter().zip(&masked.labels) {
            let seen = masked.ids[*place as usize];
            assert!(*label >= 5, "a special token was asked for");
            assert!(seen == 4 || seen >= 5, "a special token was put in");
            match seen {
                4 => hidden += 1.0,
                seen if seen == *label => kept += 1.0,
                _ => other += 1.0,
            }
        }
        close(hidden, 0.8, asked);
        // One random token in 995 is the right one.
        close(other, 0.1 * 994.0 / 995.0, asked);
        close(kept, 0.1 + 0.1 / 995.0, asked);
    }

    #[test]
    fn everything_else_stays() {
        let masked = masked(&[(row(50), Key::new(2)), (row(30), Key::new(3))]);
        let mut restored = masked.ids.clone();
        for (place, label) in masked.places.iter().zip(&masked.labels) {
            restored[*place as usize] = *label;
        }
        let original = [row(50), row(30)].concat();
        assert_eq!(restored, original);
        assert_ne!(masked.ids, original);
    }

    #[test]
    fn a_row_is_masked_alike_wherever_it_stands() {
        let key = Key::new(3);
        let alone = masked(&[(row(40), key.fold(9))]);
        let second = masked(&[(row(20), key.fold(8)), (row(40), key.fold(9))]);
        assert_eq!(second.ids[22..], alone.ids);
        assert!(second.labels.ends_with(&alone.labels));
        assert_ne!(masked(&[(row(40), key.fold(10))]), alone);
    }

    #[test]
    fn a_short_row_is_asked_at_one_place_at_least() {
        for seed in 0..100 {
            let masked = masked(&[(row(1), Key::new(seed))]);
            assert_eq!(
                (masked.places.as_slice(), masked.labels.as_slice()),
                (&[1][..], &[5][..])
            );
        }
    }
}

//! Which tokens a model is to guess, and what it sees in their places.

use adamix_keys::Key;

use super::config::Masking;
use super::tokenizer::SPECIAL;

/// The id of `<mask>`.
const MASK: u32 = SPECIAL.len() as u32 - 1;

/// Rows with some tokens hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Masked {
    /// What the model sees, row after row.
    pub ids: Vec<i32>,
    /// Where it is asked: indices into `ids`.
    pub places: Vec<i32>,
    /// What stood there.
    pub labels: Vec<u32>,
}

impl Masked {
    /// Adds a row. What becomes of it is a function of `key` alone, not of the rows beside it.
    pub(super) fn push(&mut self, row: &[u32], vocab_size: usize, masking: &Masking, key: Key) {
        let special = SPECIAL.len() as u32;
        let start = self.ids.len();
        self.ids.extend(row.iter().map(|id| *id as i32));
        let ordinary = || row.iter().enumerate().filter(|(_, id)| **id >= special);
        let draw = |place: usize| key.fold(place as u64).fold(0).uniform();
        let least = ordinary()
            .map(|(place, _)| draw(place))
            .fold(f64::INFINITY, f64::min);
        for (place, id) in ordinary() {
            // A row that drew nothing is asked at one place all the same: no step is without a loss.
            if draw(place) >= masking.rate && (least < masking.rate || draw(place) > least) {
                continue;
            }
            let key = key.fold(place as u64);
            let action = key.fold(1).uniform();
            let seen = if action < masking.masked {
                MASK
            } else if action < masking.masked + masking.random {
                special + key.fold(2).below(vocab_size - special as usize) as u32
            } else {
                *id
            };
            self.ids[start + place] = seen as i32;
            self.places.push((start + place) as i32);
            self.labels.push(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERT: Masking = Masking {
        rate: 0.15,
        masked: 0.8,
        random: 0.1,
    };

    fn row(length: u32) -> Vec<u32> {
        let text = (0..length).map(|i| 5 + (i * 37) % 995);
        [0].into_iter().chain(text).chain([2]).collect()
    }

    fn masked(rows: &[Vec<u32>], seed: u64) -> Masked {
        let mut masked = Masked::default();
        for (i, row) in rows.iter().enumerate() {
            masked.push(row, 1000, &BERT, Key::new(seed).fold(i as u64));
        }
        masked
    }

    #[test]
    fn shares_are_those_of_the_config() {
        let rows = vec![row(98); 2000];
        let masked = masked(&rows, 1);
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
                seen if seen == *label as i32 => kept += 1.0,
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
        let rows = [row(50), row(30)];
        let masked = masked(&rows, 2);
        let mut restored = masked.ids.clone();
        for (place, label) in masked.places.iter().zip(&masked.labels) {
            restored[*place as usize] = *label as i32;
        }
        let original: Vec<i32> = rows.concat().into_iter().map(|id| id as i32).collect();
        assert_eq!(restored, original);
        assert_ne!(masked.ids, original);
    }

    #[test]
    fn a_row_is_masked_alike_wherever_it_stands() {
        let (mut alone, mut second) = (Masked::default(), Masked::default());
        let key = Key::new(3);
        alone.push(&row(40), 1000, &BERT, key.fold(9));
        second.push(&row(20), 1000, &BERT, key.fold(8));
        second.push(&row(40), 1000, &BERT, key.fold(9));
        assert_eq!(second.ids[22..], alone.ids);
        assert!(second.labels.ends_with(&alone.labels));
        alone.push(&row(40), 1000, &BERT, key.fold(10));
        assert_ne!(alone.ids[..42], alone.ids[42..]);
    }

    #[test]
    fn a_short_row_is_asked_at_one_place_at_least() {
        for seed in 0..100 {
            let masked = masked(&[row(1)], seed);
            assert_eq!(
                (masked.places.as_slice(), masked.labels.as_slice()),
                (&[1][..], &[5][..])
            );
        }
    }
}

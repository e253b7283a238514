//! TER as Tercom computes it, in sacreBLEU's formulation: edit distance within a band around the
//! diagonal, greedy shifts of at most ten words over at most fifty positions.

use super::super::mteval::WhiteSpace;
use std::cmp::Reverse;
use std::ops::AddAssign;

const LONGEST_SHIFT: usize = 10;
const FARTHEST_SHIFT: usize = 50;
const BAND: usize = 25;
const CANDIDATES: usize = 1000;
const UNREACHED: u32 = u32::MAX / 2;

/// Edits and average reference length of a segment, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Edits against the reference that needs fewest.
    pub edits: f64,
    /// Average number of words of the references.
    pub reference: f64,
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        self.edits += other.edits;
        self.reference += other.reference;
    }
}

impl Counts {
    /// The rate, 100 for as many edits as words.
    pub fn score(&self) -> f64 {
        if self.reference > 0.0 {
            100.0 * self.edits / self.reference
        } else if self.edits > 0.0 {
            100.0
        } else {
            0.0
        }
    }
}

/// Counts a segment: lower case, words at white space.
pub fn segment(references: &[String], output: &str) -> Counts {
    let lower = |text: &str| text.to_lowercase();
    let output = lower(output);
    let output = words(&output);
    let mut counts = Counts {
        edits: f64::INFINITY,
        reference: 0.0,
    };
    for reference in references {
        let reference = lower(reference);
        let reference = words(&reference);
        counts.edits = counts.edits.min(edits(&output, &reference) as f64);
        counts.reference += reference.len() as f64 / references.len() as f64;
    }
    if references.is_empty() {
        counts.edits = output.len() as f64;
    }
    counts
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c| WhiteSpace::Python.is(c))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Edits that turn an output into a reference, each shift counting as one.
fn edits(output: &[&str], reference: &[&str]) -> usize {
    if reference.is_empty() {
        return output.len();
    }
    let numbers = super::numbers(&[output, reference]);
    let (mut words, reference) = (numbers[0].clone(), numbers[1].as_slice());
    let mut table = Table::default();
    let mut shifts = 0;
    let mut candidates = 0;
    loop {
        let best = best_shift(&words, reference, &mut table, &mut candidates);
        if candidates >= CANDIDATES {
            break;
        }
        match best {
            Some(shifted) => words = shifted,
            None => break,
        }
        shifts += 1;
    }
    shifts + table.distance(&words, reference) as usize
}

/// The shift that saves most edits, if any saves one.
fn best_shift(
    words: &[u32],
    reference: &[u32],
    table: &mut Table,
    candidates: &mut usize,
) -> Option<Vec<u32>> {
    let before = i64::from(table.distance(words, reference));
    let alignment = table.alignment(words.len(), reference.len());

    type Rank = (i64, usize, Reverse<usize>, Reverse<usize>, Vec<u32>);
    let mut best: Option<Rank> = None;
    'pairs: for from in 0..words.len() {
        let end = reference.len().min(from + FARTHEST_SHIFT + 1);
        for to in from.saturating_sub(FARTHEST_SHIFT)..end {
            let longest = words[from..]
                .iter()
                .zip(&reference[to..])
                .take(LONGEST_SHIFT)
                .take_while(|(a, b)| a == b)
                .count();
            for length in 1..=longest {
                // Only words in error move, only to where the reference is in error, and not into
                // themselves.
                if !alignment.output_errors[from..from + length].contains(&true)
                    || !alignment.reference_errors[to..to + length].contains(&true)
                {
                    continue;
                }
                let target = alignment.position[to];
                if (from as i64..(from + length) as i64).contains(&target) {
                    continue;
                }
                let mut previous = None;
                for offset in 0..=length {
                    let index = if to + offset == 0 {
                        0
                    } else {
                        match alignment.position.get(to + offset - 1) {
                            Some(&position) => (position + 1) as usize,
                            None => break,
                        }
                    };
                    if previous == Some(index) {
                        continue;
                    }
                    previous = Some(index);
                    let shifted = shift(words, from, length, index);
                    let gain = before - i64::from(table.distance(&shifted, reference));
                    let rank = (gain, length, Reverse(from), Reverse(index), shifted);
                    *candidates += 1;
                    if best.as_ref().is_none_or(|best| rank > *best) {
                        best = Some(rank);
                    }
                }
                if *candidates >= CANDIDATES {
                    break 'pairs;
                }
            }
        }
    }
    best.filter(|(gain, ..)| *gain > 0)
        .map(|(.., shifted)| shifted)
}

fn shift(words: &[u32], start: usize, length: usize, target: usize) -> Vec<u32> {
    let phrase = &words[start..start + length];
    let rest: Vec<u32> = [&words[..start], &words[start + length..]].concat();
    let target = if target < start {
        target
    } else if target > start + length {
        target - length
    } else {
        // Within the phrase itself the target counts from its end.
        target.min(rest.len())
    };
    [&rest[..target], phrase, &rest[target..]].concat()
}

/// Which words an edit path leaves in error, and where the reference's words lie in the output.
struct Alignment {
    /// Of every reference word, the output word it is aligned with or follows; -1 before the first.
    position: Vec<i64>,
    reference_errors: Vec<bool>,
    output_errors: Vec<bool>,
}

#[derive(Clone, Copy, PartialEq)]
enum Edit {
    Keep,
    Substitute,
    Delete,
    Insert,
    None,
}

/// The edit distance table, reused between calls. It holds the cells within the band only: a whole table of two long
/// lines has no room in memory.
#[derive(Default)]
struct Table {
    /// Cells row by row.
    costs: Vec<u32>,
    edits: Vec<Edit>,
    /// Of every row its first column, and where its cells start.
    rows: Vec<(usize, usize)>,
}

impl Table {
    /// Edit distance within the band; the path can be read off afterwards.
    fn distance(&mut self, words: &[u32], reference: &[u32]) -> u32 {
        let width = reference.len() + 1;
        self.costs.clear();
        self.edits.clear();
        self.rows.clear();
        self.rows.push((0, 0));
        for j in 0..width {
            self.push(j as u32, Edit::Insert);
        }
        let ratio = if words.is_empty() {
            1.0
        } else {
            reference.len() as f64 / words.len() as f64
        };
        let band = if (BAND as f64) < ratio / 2.0 {
            (ratio / 2.0 + BAND as f64).ceil() as usize
        } else {
            BAND
        };
        for i in 1..=words.len() {
            let diagonal = (i as f64 * ratio).floor() as usize;
            let end = if i == words.len() {
                width
            } else {
                width.min(diagonal + band)
            };
            let first = diagonal.saturating_sub(band);
            self.rows.push((first, self.costs.len()));
            // What the cell before this one and the one above that have cost.
            let mut before = UNREACHED;
            let mut corner = first
                .checked_sub(1)
                .map_or(UNREACHED, |j| self.cost(i - 1, j));
            for j in first..end {
                let above = self.cost(i - 1, j);
                let (mut cost, mut edit) = (above + 1, Edit::Delete);
                if j > 0 {
                    // Keeping or substituting is preferred, then deletion, then insertion.
                    let same = words[i - 1] == reference[j - 1];
                    let along = corner + u32::from(!same);
                    if along <= cost {
                        cost = along;
                        edit = if same { Edit::Keep } else { Edit::Substitute };
                    }
                    if before + 1 < cost {
                        cost = before + 1;
                        edit = Edit::Insert;
                    }
                }
                if cost >= UNREACHED {
                    (cost, edit) = (UNREACHED, Edit::None);
                }
                self.push(cost, edit);
                (before, corner) = (cost, above);
            }
        }
        self.cost(words.len(), reference.len())
    }

    fn push(&mut self, cost: u32, edit: Edit) {
        self.costs.push(cost);
        self.edits.push(edit);
    }

    /// Where a cell is, if it is within the band.
    fn cell(&self, row: usize, column: usize) -> Option<usize> {
        let (first, start) = self.rows[row];
        let next = self.rows.get(row + 1);
        let end = next.map_or(self.costs.len(), |(_, start)| *start);
        let cell = start + column.checked_sub(first)?;
        (cell < end).then_some(cell)
    }

    fn cost(&self, row: usize, column: usize) -> u32 {
        self.cell(row, column)
            .map_or(UNREACHED, |cell| self.costs[cell])
    }

    /// The alignment that belongs to the last distance.
    fn alignment(&self, words: usize, reference: usize) -> Alignment {
        let mut path = Vec::with_capacity(words + reference);
        let (mut i, mut j) = (words, reference);
        while i > 0 || j > 0 {
            let edit = self.cell(i, j).map_or(Edit::None, |cell| self.edits[cell]);
            match edit {
                Edit::Keep | Edit::Substitute => {
                    i -= 1;
                    j -= 1;
                }
                Edit::Insert => j -= 1,
                Edit::Delete => i -= 1,
                Edit::None => break,
            }
            path.push(edit);
        }
        let mut alignment = Alignment {
            position: Vec::with_capacity(reference),
            reference_errors: Vec::with_capacity(reference),
            output_errors: Vec::with_capacity(words),
        };
        let mut position = -1;
        for edit in path.into_iter().rev() {
            let error = edit != Edit::Keep;
            if edit != Edit::Insert {
                position += 1;
                alignment.output_errors.push(error);
            }
            if edit != Edit::Delete {
                alignment.position.push(position);
                alignment.reference_errors.push(error);
            }
        }
        alignment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_phrase_is_one_edit() {
        let split = |text: &'static str| text.split(' ').collect::<Vec<_>>();
        assert_eq!(edits(&split("c d a b"), &split("a b c d")), 1);
        assert_eq!(edits(&split("a b c"), &split("a b c")), 0);
        assert_eq!(edits(&split("x a b"), &split("a b")), 1);
        assert_eq!(edits(&[], &split("a b")), 2);
        assert_eq!(edits(&split("a b"), &[]), 2);
    }

    #[test]
    fn long_texts_take_the_memory_of_their_band() {
        let words: Vec<u32> = (0..4000).collect();
        let mut other = words.clone();
        other[2000] = 4000;
        let mut table = Table::default();
        assert_eq!(table.distance(&other, &words), 1);
        // The whole table would have 16 million cells.
        assert!(table.costs.len() <= 4001 * 2 * BAND + 2 * 4001);
        let alignment = table.alignment(4000, 4000);
        let errors = alignment.output_errors.iter().filter(|error| **error);
        assert_eq!((errors.count(), alignment.position[3999]), (1, 3999));
    }

    #[test]
    fn empty_references_count_as_tercom_counts_them() {
        assert_eq!(segment(&[String::new()], "a").score(), 100.0);
        assert_eq!(segment(&[String::new()], "").score(), 0.0);
    }
}

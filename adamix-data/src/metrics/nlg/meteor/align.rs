//! METEOR's alignment: of all matches found, the set without overlap that covers most words with fewest
//! chunks, by a beam search from left to right over the reference.

/// Partial alignments kept at every position.
const BEAM: usize = 40;

/// The four kinds of matches, in the order in which they are found.
pub(super) const STAGES: usize = 4;

/// What a match of each stage counts in the search. Sums are cut to whole numbers after every addition,
/// as in the original, where the counters are integers.
const SEARCH_WEIGHTS: [f64; STAGES] = [1.0, 0.5, 0.5, 0.5];

/// A phrase of the output matched with a phrase of the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    /// First word in the reference.
    pub(super) reference: u32,
    /// Words in the reference.
    pub(super) reference_length: u32,
    /// First word in the output.
    pub(super) output: u32,
    /// Words in the output.
    pub(super) output_length: u32,
    /// Which stage found it.
    pub(super) stage: u32,
}

/// All matches of a pair of sentences, by first word in the reference.
#[derive(Debug, Default)]
pub(super) struct Matches {
    by_start: Vec<Vec<Match>>,
    output_coverage: Vec<u32>,
    reference_coverage: Vec<u32>,
}

impl Matches {
    /// No matches for sentences of these lengths.
    pub(super) fn new(output: usize, reference: usize) -> Self {
        Self {
            by_start: vec![Vec::new(); reference],
            output_coverage: vec![0; output],
            reference_coverage: vec![0; reference],
        }
    }

    /// Adds a match that was found.
    pub(super) fn add(&mut self, found: Match) {
        for i in 0..found.output_length {
            self.output_coverage[(found.output + i) as usize] += 1;
        }
        for i in 0..found.reference_length {
            self.reference_coverage[(found.reference + i) as usize] += 1;
        }
        self.by_start[found.reference as usize].push(found);
    }

    /// The best alignment: its matches in the order of the reference.
    pub(super) fn resolve(&self) -> Vec<Match> {
        let words = self
            .output_coverage
            .len()
            .max(self.reference_coverage.len());
        let chosen = &mut Vec::new();
        match words {
            0..=64 => self.search::<[u64; 1]>(chosen),
            65..=256 => self.search::<[u64; 4]>(chosen),
            257..=2048 => self.search::<[u64; 32]>(chosen),
            _ => self.search::<Vec<u64>>(chosen),
        }
    }

    /// The match at a position that no other match touches.
    fn certain(&self, position: usize) -> Option<Match> {
        let [only] = self.by_start[position].as_slice() else {
            return None;
        };
        let alone = |coverage: &[u32], start: u32, length: u32| {
            (start..start + length).all(|i| coverage[i as usize] == 1)
        };
        let free = alone(
            &self.reference_coverage,
            only.reference,
            only.reference_length,
        ) && alone(&self.output_coverage, only.output, only.output_length);
        free.then_some(*only)
    }

    /// `chosen` holds the matches of the paths that were kept, as a tree: each with the one before it.
    fn search<B: Bits>(&self, chosen: &mut Vec<(Option<usize>, Match)>) -> Vec<Match> {
        let length = self.by_start.len();
        let certain: Vec<Option<Match>> = (0..length).map(|i| self.certain(i)).collect();
        let words = length.max(self.output_coverage.len());
        let mut start = Path::new(B::zeros(words));
        for found in certain.iter().flatten() {
            start.mark(found);
        }

        let mut next = vec![start];
        let mut paths: Vec<Path<B>> = Vec::new();
        let mut ranking = Vec::new();
        for position in 0..=length {
            std::mem::swap(&mut paths, &mut next);
            next.clear();
            rank(&paths, &mut ranking);
            for &key in &ranking {
                let mut path = paths[index_of(key)].clone();
                // Most paths end in the ranking: only those that come through it are worth remembering.
                if let Some(found) = path.pending.take() {
                    chosen.push((path.last_chosen, found));
                    path.last_chosen = Some(chosen.len() - 1);
                }
                if position == length {
                    path.chunks += u32::from(path.last_end.is_some());
                    next.push(path);
                    continue;
                }
                if path.reference_used.get(position) {
                    if position < path.index {
                        next.push(path);
                    } else if let Some(found) = certain.get(path.index).copied().flatten() {
                        path.advance(&found);
                        path.distance += found.reference.abs_diff(found.output);
                        next.push(path);
                    }
                    continue;
                }
                for found in &self.by_start[position] {
                    if path.overlaps(found) {
                        continue;
                    }
                    let mut taken = path.clone();
                    taken.mark(found);
                    taken.advance(found);
                    taken.pending = Some(*found);
                    // The original adds the distance to the path it came from, not to the new one.
                    path.distance += found.reference.abs_diff(found.output);
                    next.push(taken);
                }
                if path.last_end.take().is_some() {
                    path.chunks += 1;
                }
                path.index += 1;
                next.push(path);
            }
            if next.is_empty() {
                next.push(paths[index_of(ranking[0])].clone());
            }
        }
        rank(&next, &mut ranking);

        let mut best: Vec<Match> = certain.into_iter().flatten().collect();
        let path = &next[index_of(ranking[0])];
        best.extend(path.pending);
        let mut link = path.last_chosen;
        while let Some(i) = link {
            let (previous, found) = chosen[i];
            best.push(found);
            link = previous;
        }
        best.sort_by_key(|found| found.reference);
        best
    }
}

/// Orders paths for the beam and keeps the best: more words matched, then fewer chunks, then shorter
/// distance, then the one that came first. A key holds all four, 32 bits each.
fn rank<B>(paths: &[Path<B>], ranking: &mut Vec<u128>) {
    ranking.clear();
    ranking.extend(paths.iter().enumerate().map(|(i, path)| {
        let matched = u32::MAX - (path.output_matches + path.reference_matches);
        [matched, path.chunks, path.distance, i as u32]
            .iter()
            .fold(0u128, |key, &part| key << 32 | u128::from(part))
    }));
    if ranking.len() > BEAM {
        ranking.select_nth_unstable(BEAM - 1);
        ranking.truncate(BEAM);
    }
    ranking.sort_unstable();
}

/// Which path a key of [`rank`] belongs to.
fn index_of(key: u128) -> usize {
    key as u32 as usize
}

/// How many runs of adjacent matches, in the same order on both sides, an alignment has.
pub(super) fn chunks(alignment: &[Match]) -> u32 {
    let mut chunks = 0;
    let mut end: Option<(u32, u32)> = None;
    for found in alignment {
        if end != Some((found.reference, found.output)) {
            chunks += 1;
        }
        end = Some((
            found.reference + found.reference_length,
            found.output + found.output_length,
        ));
    }
    chunks
}

/// A set of word positions.
trait Bits: Clone {
    fn zeros(words: usize) -> Self;
    fn words(&self) -> &[u64];
    fn words_mut(&mut self) -> &mut [u64];

    fn get(&self, i: usize) -> bool {
        self.words()[i / 64] >> (i % 64) & 1 == 1
    }

    fn set(&mut self, i: usize) {
        self.words_mut()[i / 64] |= 1 << (i % 64);
    }
}

impl<const N: usize> Bits for [u64; N] {
    fn zeros(_: usize) -> Self {
        [0; N]
    }

    fn words(&self) -> &[u64] {
        self
    }

    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

impl Bits for Vec<u64> {
    fn zeros(words: usize) -> Self {
        vec![0; words / 64 + 1]
    }

    fn words(&self) -> &[u64] {
        self
    }

    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

/// A partial alignment.
#[derive(Clone)]
struct Path<B> {
    output_used: B,
    reference_used: B,
    output_matches: u32,
    reference_matches: u32,
    chunks: u32,
    /// The next reference word to decide on.
    index: usize,
    /// The end of the last match in the output, while a chunk is open.
    last_end: Option<u32>,
    distance: u32,
    last_chosen: Option<usize>,
    /// The match that was taken last, while it is not among the chosen.
    pending: Option<Match>,
}

impl<B: Bits> Path<B> {
    fn new(empty: B) -> Self {
        Self {
            output_used: empty.clone(),
            reference_used: empty,
            output_matches: 0,
            reference_matches: 0,
            chunks: 0,
            index: 0,
            last_end: None,
            distance: 0,
            last_chosen: None,
            pending: None,
        }
    }

    fn mark(&mut self, found: &Match) {
        for i in 0..found.output_length {
            self.output_used.set((found.output + i) as usize);
        }
        for i in 0..found.reference_length {
            self.reference_used.set((found.reference + i) as usize);
        }
    }

    fn overlaps(&self, found: &Match) -> bool {
        let output = found.output..found.output + found.output_length;
        let reference = found.reference..found.reference + found.reference_length;
        reference
            .into_iter()
            .any(|i| self.reference_used.get(i as usize))
            || output.into_iter().any(|i| self.output_used.get(i as usize))
    }

    /// Counts a match and moves behind it.
    fn advance(&mut self, found: &Match) {
        let weight = SEARCH_WEIGHTS[found.stage as usize];
        let add = |sum: u32, words: u32| (f64::from(sum) + f64::from(words) * weight) as u32;
        self.output_matches = add(self.output_matches, found.output_length);
        self.reference_matches = add(self.reference_matches, found.reference_length);
        if self.last_end.is_some_and(|end| end != found.output) {
            self.chunks += 1;
        }
        self.index = (found.reference + found.reference_length) as usize;
        self.last_end = Some(found.output + found.output_length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(output: u32, reference: u32) -> Match {
        Match {
            reference,
            reference_length: 1,
            output,
            output_length: 1,
            stage: 0,
        }
    }

    #[test]
    fn fewer_chunks_win_among_equally_many_matches() {
        // Output "a b a", reference "b a": the second a continues the chunk.
        let mut matches = Matches::new(3, 2);
        for found in [word(1, 0), word(0, 1), word(2, 1)] {
            matches.add(found);
        }
        let best = matches.resolve();
        assert_eq!(best, [word(1, 0), word(2, 1)]);
        assert_eq!(chunks(&best), 1);
        assert_eq!(chunks(&[word(1, 0), word(0, 1)]), 2);
    }

    #[test]
    fn only_paths_that_are_kept_are_remembered() {
        let words = 60;
        let mut matches = Matches::new(words, words);
        for i in 0..words as u32 {
            for j in 0..words as u32 {
                matches.add(word(i, j));
            }
        }
        let mut chosen = Vec::new();
        let best = matches.search::<[u64; 1]>(&mut chosen);
        assert_eq!((best.len(), chunks(&best)), (words, 1));
        assert!(chosen.len() <= BEAM * (words + 1), "{}", chosen.len());
    }

    #[test]
    fn long_sentences_use_the_same_search() {
        let mut matches = Matches::new(3000, 3000);
        for i in 0..3000 {
            matches.add(word(i, i));
        }
        assert_eq!(chunks(&matches.resolve()), 1);
        assert!(Matches::new(0, 0).resolve().is_empty());
    }
}

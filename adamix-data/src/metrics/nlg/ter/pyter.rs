//! TER as the `pyter` package computes it: exact edit distance, shifts of whole matching phrases to the
//! position of their match, no limits.

/// The edit rate of an output against one reference; infinite if only the reference is empty.
pub fn rate(output: &[&str], reference: &[&str]) -> f64 {
    let numbers = super::numbers(&[output, reference]);
    let (mut words, reference) = (numbers[0].clone(), numbers[1].as_slice());
    let mut row = Vec::new();
    let mut shifts = 0;
    let mut edits = distance(&words, reference, &mut row);
    loop {
        let mut best: Option<(usize, Vec<u32>)> = None;
        for (from, to, length) in matching_phrases(&words, reference) {
            let shifted = shift(&words, from, to, length);
            let edits = distance(&shifted, reference, &mut row);
            // The greatest gain wins; among equals the words last in alphabetical order.
            let better = best.as_ref().is_none_or(|(fewest, words)| {
                edits < *fewest || (edits == *fewest && shifted > *words)
            });
            if better {
                best = Some((edits, shifted));
            }
        }
        match best {
            Some((fewer, shifted)) if fewer < edits => {
                edits = fewer;
                words = shifted;
                shifts += 1;
            }
            _ => break,
        }
    }
    (shifts + edits) as f64 / reference.len() as f64
}

/// The rate of a segment in GenerationEval: the lowest over the references, where an empty reference
/// counts as one.
pub fn segment(references: &[String], output: &str) -> f64 {
    let output: Vec<&str> = output.split_whitespace().collect();
    references
        .iter()
        .map(|reference| {
            let reference: Vec<&str> = reference.split_whitespace().collect();
            if reference.is_empty() {
                1.0
            } else {
                rate(&output, &reference)
            }
        })
        .reduce(f64::min)
        .unwrap_or(1.0)
}

/// Start in the output, start in the reference and length of every pair of equal phrases, from every
/// pair of equal words at different positions.
fn matching_phrases(words: &[u32], reference: &[u32]) -> Vec<(usize, usize, usize)> {
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate() {
        for (j, other) in reference.iter().enumerate() {
            if i != j && word == other {
                let pairs = words[i..].iter().zip(&reference[j..]);
                found.push((i, j, pairs.take_while(|(a, b)| a == b).count()));
            }
        }
    }
    found
}

fn shift(words: &[u32], from: usize, to: usize, length: usize) -> Vec<u32> {
    let mut rest = words[..from].to_vec();
    rest.extend_from_slice(&words[from + length..]);
    let to = to.min(rest.len());
    rest.splice(to..to, words[from..from + length].iter().copied());
    rest
}

/// Levenshtein distance.
fn distance(words: &[u32], reference: &[u32], row: &mut Vec<usize>) -> usize {
    row.clear();
    row.extend(0..=reference.len());
    for (i, word) in words.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in reference.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (above + 1)
                .min(row[j] + 1)
                .min(diagonal + usize::from(word != other));
            diagonal = above;
        }
    }
    row[reference.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_own_example() {
        let reference: Vec<&str> =
            "SAUDI ARABIA denied THIS WEEK information published in the AMERICAN new york times"
                .split(' ')
                .collect();
        let output: Vec<&str> =
            "THIS WEEK THE SAUDIS denied information published in the new york times"
                .split(' ')
                .collect();
        assert!((rate(&output, &reference) - 4.0 / 13.0).abs() < 1e-12);
    }

    #[test]
    fn empty_texts() {
        assert_eq!(segment(&[String::new()], "a"), 1.0);
        assert_eq!(segment(&["a b".to_owned()], ""), 1.0);
        assert_eq!(segment(&["a b".to_owned(), "c".to_owned()], "c"), 0.0);
    }
}

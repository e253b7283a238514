//! One search for each distinct prompt, in batches of like lengths.

use std::collections::BTreeMap;

use super::Hypothesis;

/// Runs `search` once for each distinct prompt, at most `batch` at a time, and gives a result for every
/// prompt in the given order. Test sets repeat a prompt for each of its references, which the reference
/// implementation decodes anew every time.
///
/// # Errors
/// The first error of `search`.
pub fn once_each<E>(
    prompts: &[Vec<u32>],
    batch: usize,
    mut search: impl FnMut(&[&[u32]]) -> Result<Vec<Hypothesis>, E>,
) -> Result<Vec<Hypothesis>, E> {
    // By length first, so that a batch has little padding.
    let mut found: BTreeMap<(usize, &[u32]), Option<Hypothesis>> = prompts
        .iter()
        .map(|prompt| ((prompt.len(), prompt.as_slice()), None))
        .collect();
    let distinct: Vec<&[u32]> = found.keys().map(|(_, prompt)| *prompt).collect();
    for group in distinct.chunks(batch.max(1)) {
        for (prompt, hypothesis) in group.iter().zip(search(group)?) {
            found.insert((prompt.len(), prompt), Some(hypothesis));
        }
    }
    let result = |prompt: &Vec<u32>| {
        let hypothesis = found[&(prompt.len(), prompt.as_slice())].clone();
        hypothesis.expect("a search gives one hypothesis a prompt")
    };
    Ok(prompts.iter().map(result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_searched_once_and_answered_everywhere() {
        let prompts = [vec![3, 1], vec![2], vec![3, 1], vec![1, 1], vec![3, 1]];
        let mut groups = Vec::new();
        let search = |group: &[&[u32]]| {
            groups.push(group.len());
            let answer = |p: &&[u32]| Hypothesis {
                tokens: p.to_vec(),
                score: 0.0,
            };
            Ok::<_, ()>(group.iter().map(answer).collect())
        };
        let found = once_each(&prompts, 2, search).unwrap();
        let tokens: Vec<_> = found.into_iter().map(|h| h.tokens).collect();
        assert_eq!(tokens, prompts);
        assert_eq!(groups, [2, 1]);
    }
}

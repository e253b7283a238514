//! No n-gram twice.

/// Makes impossible every token that would end an n-gram which `history` already holds; 0 bans nothing.
pub(super) fn ban_repeated(scores: &mut [f32], history: &[u32], n: usize) {
    if n == 0 || history.len() + 1 < n {
        return;
    }
    let prefix = &history[history.len() + 1 - n..];
    for ngram in history.windows(n).filter(|ngram| ngram[..n - 1] == *prefix) {
        scores[ngram[n - 1] as usize] = f32::NEG_INFINITY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banned(history: &[u32], n: usize) -> Vec<usize> {
        let mut scores = [0.0; 5];
        ban_repeated(&mut scores, history, n);
        (0..5).filter(|i| scores[*i] != 0.0).collect()
    }

    #[test]
    fn only_what_would_repeat_is_banned() {
        assert_eq!(banned(&[1, 2, 3, 1, 2], 3), [3]);
        assert_eq!(banned(&[1, 2, 1, 3, 1], 2), [2, 3]);
        assert_eq!(banned(&[1, 4, 1], 1), [1, 4]);
        assert_eq!(banned(&[1, 2, 3, 1, 2], 0), [0; 0]);
        assert_eq!(banned(&[1], 3), [0; 0]);
    }
}

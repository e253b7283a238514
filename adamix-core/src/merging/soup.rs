//! Greedy soup (Wortsman et al. 2022): which experts the mean is taken over.

/// The experts of a greedy soup, in the order in which they entered.
///
/// `score` is asked for the mean of a set of experts, on rows that neither training nor the report uses;
/// more is better. Experts are tried from the best alone to the worst, and stay where the soup does not
/// get worse; so the soup is at least as good on those rows as the best expert.
///
/// # Errors
/// The first that `score` returns.
pub fn greedy_soup<E>(
    experts: usize,
    mut score: impl FnMut(&[usize]) -> Result<f64, E>,
) -> Result<Vec<usize>, E> {
    let mut alone = Vec::new();
    for expert in 0..experts {
        alone.push((score(&[expert])?, expert));
    }
    // Stable: of equals, the first expert first.
    alone.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut best, first) = alone[0];
    let mut soup = vec![first];
    for (_, expert) in alone.into_iter().skip(1) {
        soup.push(expert);
        let score = score(&soup)?;
        if score >= best {
            best = score;
        } else {
            soup.pop();
        }
    }
    Ok(soup)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn experts_enter_where_the_mean_does_not_get_worse() {
        // Experts are numbers; a soup is good where its mean is near 2.
        let experts = [5.0, 1.0, 2.5, -4.0];
        let score = |soup: &[usize]| -> Result<f64, Infallible> {
            let mean = soup.iter().map(|i| experts[*i]).sum::<f64>() / soup.len() as f64;
            Ok(-(mean - 2.0_f64).abs())
        };
        // 2.5 alone is 0.5 off, with 1 the mean is 1.75, 0.25 off; 5 and -4 would only harm.
        assert_eq!(greedy_soup(4, score), Ok(vec![2, 1]));
    }
}

//! ROUGE-L as coco-caption computes it: the best precision and the best recall over the references,
//! each on its own, in an F-measure that favours recall (β = 1.2).

const BETA: f64 = 1.2;

/// The score of one tokenised output against its tokenised references; the corpus score is the mean.
pub fn segment(references: &[String], output: &str) -> f64 {
    let output: Vec<&str> = output.split(' ').collect();
    let mut precision = 0f64;
    let mut recall = 0f64;
    for reference in references {
        let reference: Vec<&str> = reference.split(' ').collect();
        let common = longest_common_subsequence(&reference, &output) as f64;
        precision = precision.max(common / output.len() as f64);
        recall = recall.max(common / reference.len() as f64);
    }
    if precision == 0.0 || recall == 0.0 {
        return 0.0;
    }
    let weight = BETA * BETA;
    (1.0 + weight) * precision * recall / (recall + weight * precision)
}

/// The score of every segment.
pub fn segments(references: &[Vec<String>], outputs: &[String]) -> Vec<f64> {
    let pairs = references.iter().zip(outputs);
    pairs.map(|(r, output)| segment(r, output)).collect()
}

fn longest_common_subsequence(a: &[&str], b: &[&str]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y {
                diagonal + 1
            } else {
                above.max(row[j])
            };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_and_recall_are_maxima_over_the_references() {
        let references = ["a b c d e f".to_owned(), "x".to_owned()];
        // P = 2/3 by the first, R = 1 by the second: 2.44 * (2/3) / (1 + 1.44 * 2/3).
        let expected = 2.44 * (2.0 / 3.0) / (1.0 + 0.96);
        assert!((segment(&references, "a x c") - expected).abs() < 1e-12);
        assert_eq!(segment(&references, "q"), 0.0);
        assert_eq!(segment(&[String::new()], ""), 1.0, "as coco-caption");
    }
}

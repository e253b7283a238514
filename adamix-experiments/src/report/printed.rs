//! The value of a number that is printed as text, for sorting.

/// The value of a text that begins with a number: `355.0M`, `<0.001`, `+1.2 [0.4, 2.0]`, `0.1 (assumed)`, `95 %`.
///
/// What is printed as below a bound is half of it: before all that is not.
pub(super) fn value(text: &str) -> Option<f64> {
    let word = text.split_whitespace().next()?;
    let (below, word) = match word.strip_prefix('<') {
        Some(bound) => (0.5, bound),
        None => (1.0, word),
    };
    let (digits, unit) = match word.strip_suffix(['K', 'k', 'M', 'G']) {
        Some(digits) => (digits, word.chars().last()),
        None => (word, None),
    };
    let unit = match unit {
        Some('G') => 1e9,
        Some('M') => 1e6,
        Some(_) => 1e3,
        None => 1.0,
    };
    // `inf` and `nan` are words here.
    let number = digits
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.,e".contains(c));
    let value: f64 = digits.replace(',', "").parse().ok()?;
    number.then_some(value * unit * below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_numbers_have_the_value_that_they_stand_for() {
        for (text, expected) in [
            ("355.0M", 355e6),
            ("0.35M", 350e3),
            ("12K", 12e3),
            ("+1.2 [0.4, 2.0]", 1.2),
            ("-0.7", -0.7),
            ("95 %", 95.0),
            ("0.0005 (assumed)", 0.0005),
            ("2e-5 (paper)", 2e-5),
            ("0.001", 0.001),
        ] {
            let found = value(text).unwrap();
            assert!(
                (found - expected).abs() < 1e-9 * expected.abs(),
                "{text}: {found}"
            );
        }
        let least = value("<0.001").unwrap();
        assert!(0.0 < least && least < 0.001);
        for words in ["", "–", "not run", "head only", "inf", "nan", "3x", "M"] {
            assert_eq!(value(words), None, "{words}");
        }
    }
}

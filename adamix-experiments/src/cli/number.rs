//! Numbers on the command line that are in range.

use clap::builder::RangedU64ValueParser;

/// A count: from 1 to what fits into a machine.
pub fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1 << 24)
}

/// A rate of dropout.
pub fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|rate| (0.0..1.0).contains(rate));
    number.ok_or_else(|| "must be at least 0 and below 1".to_owned())
}

/// LoRA's alpha.
pub fn alpha(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let number = number.filter(|alpha: &f64| alpha.is_finite() && *alpha >= 0.0);
    number.ok_or_else(|| "must be a number from 0 on".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused() {
        assert_eq!((rate("0.1"), alpha("16")), (Ok(0.1), Ok(16.0)));
        for text in ["nan", "-1", "inf", "x"] {
            assert!(rate(text).is_err() && alpha(text).is_err(), "{text}");
        }
        assert!(rate("1").is_err());
    }
}

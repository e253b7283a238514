//! Numbers on the command line that are in range.

/// A whole number from 1 on.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number".to_owned()),
    }
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

/// As many as fit into a machine, from 1 on.
pub fn a_few(text: &str) -> Result<usize, String> {
    match at_least_one(text)? {
        number if number <= 1 << 24 => Ok(number),
        _ => Err("must be at most 16777216".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_refused() {
        assert_eq!((at_least_one("3"), a_few("7")), (Ok(3), Ok(7)));
        assert!(at_least_one("0").is_err() && at_least_one("x").is_err());
        assert!(a_few("1000000000000").is_err());
        assert_eq!((rate("0.1"), alpha("16")), (Ok(0.1), Ok(16.0)));
        for text in ["nan", "-1", "inf", "x"] {
            assert!(rate(text).is_err() && alpha(text).is_err(), "{text}");
        }
        assert!(rate("1").is_err());
    }
}

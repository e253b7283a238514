//! Paths by pattern: how configs name sites and parameters.

/// Whether a pattern's segments are the last ones of a path; `*` stands for any run of characters in one.
pub fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.rsplit('.'), path.rsplit('.'));
    pattern.all(|wanted| path.next().is_some_and(|found| glob(wanted, found)))
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let ends = (0..=text.len()).filter(|i| text.is_char_boundary(*i));
            ends.into_iter().any(|i| glob(rest, &text[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_the_end_of_a_path() {
        let path = "bert.encoder.layer.11.attention.output";
        for pattern in [
            path,
            "output",
            "attention.output",
            "layer.*.attention.output",
            "layer.1*.attention.output",
            "*.output",
            "*put",
        ] {
            assert!(matches(pattern, path), "{pattern}");
        }
        for pattern in [
            "layer.*.output",
            "attention",
            "put",
            "layer.2*.attention.output",
            "x.bert.encoder.layer.11.attention.output",
        ] {
            assert!(!matches(pattern, path), "{pattern}");
        }
    }
}

//! What the names of parameters and places say.

use super::matches;

/// Whether a pattern's segments stand together anywhere in a parameter's name; `*` alone names all.
pub fn names(pattern: &str, name: &str) -> bool {
    let segments: Vec<&str> = name.split('.').collect();
    (1..=segments.len()).any(|end| matches(pattern, &segments[..end].join(".")))
}

/// The number of the layer that a path is in.
pub fn layer_of(path: &str) -> Option<usize> {
    path.split('.').find_map(|segment| segment.parse().ok())
}

/// What a path has after its layer's number.
pub(super) fn ending(path: &str) -> String {
    let mut segments = path.split('.').skip_while(|s| s.parse::<usize>().is_err());
    match segments.next() {
        None => path.to_owned(),
        Some(_) => segments.collect::<Vec<_>>().join("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_endings_are_read_from_paths() {
        assert_eq!(layer_of("transformer.h.3.mlp"), Some(3));
        assert_eq!(layer_of("transformer.wte"), None);
        assert_eq!(ending("transformer.h.3.attn.c_attn.q"), "attn.c_attn.q");
        assert_eq!(ending("transformer.wte"), "transformer.wte");
    }

    #[test]
    fn parameters_are_named_by_any_run_of_segments() {
        let name = "bert.encoder.layer.11.attention.output.LayerNorm.bias";
        for pattern in [
            "bias",
            "LayerNorm",
            "layer.11",
            "output.LayerNorm",
            "*",
            name,
        ] {
            assert!(names(pattern, name), "{pattern}");
        }
        assert!(!names("layer.1", name) && !names("layer.bias", name));
    }
}

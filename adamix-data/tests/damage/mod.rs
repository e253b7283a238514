//! Good files made bad.

#![allow(dead_code, reason = "each test file uses a part")]

use proptest::prelude::*;
use proptest::sample::Index;

/// A file with a few bytes changed, cut out, cut off, doubled or overwritten.
pub fn damaged(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<Index>(), 0..5u8, any::<u8>(), 1..40usize);
    proptest::collection::vec(edit, 1..6).prop_map(move |edits| {
        let mut bytes = good.clone();
        for (place, kind, byte, count) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = place.index(bytes.len());
            let end = (at + count).min(bytes.len());
            let new = match kind {
                0 => {
                    bytes.truncate(at);
                    continue;
                }
                1 => Vec::new(),
                2 => [&bytes[at..end], &bytes[at..end]].concat(),
                3 => vec![byte],
                _ => vec![byte; end - at],
            };
            bytes.splice(at..if kind == 3 { at + 1 } else { end }, new);
        }
        bytes
    })
}

/// A file that is damaged, or never was good.
pub fn hostile(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => damaged(good),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

//! The hashes by which the index finds words and phrases; its files hold them, so they stay as they are.

fn mix(hash: u64, value: u64) -> u64 {
    let mixed = (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

/// Of a word.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(7, |hash, &byte| mix(hash, u64::from(byte)))
}

/// Of a phrase.
pub(super) fn hash_numbers(numbers: &[u32]) -> u64 {
    let hash = numbers
        .iter()
        .fold(numbers.len() as u64, |hash, &n| mix(hash, u64::from(n)));
    mix(hash, hash >> 17)
}

/// Of a whole file.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(bytes.len() as u64, |sum, word| {
        mix(sum, u64::from_le_bytes(*word))
    });
    mix(sum, hash_bytes(rest))
}

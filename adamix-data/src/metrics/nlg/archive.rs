//! Members of ZIP archives: Java's jars and Python's wheels, in which METEOR's data is distributed.

use flate2::read::DeflateDecoder;
use std::io::Read;

/// A member's place in the archive.
struct Entry {
    offset: usize,
    compressed: usize,
    stored: bool,
}

/// Reads the member whose path ends in `suffix`; `None` if there is none, or the archive is damaged.
pub(super) fn member(archive: &[u8], suffix: &str) -> Option<Vec<u8>> {
    let entry = find(archive, suffix)?;
    let header = archive.get(entry.offset..)?;
    let skip = 30 + usize::from(u16_at(header, 26)?) + usize::from(u16_at(header, 28)?);
    let data = header.get(skip..skip.checked_add(entry.compressed)?)?;
    if entry.stored {
        return Some(data.to_vec());
    }
    let mut out = Vec::new();
    DeflateDecoder::new(data).read_to_end(&mut out).ok()?;
    Some(out)
}

fn find(archive: &[u8], suffix: &str) -> Option<Entry> {
    const END: &[u8] = b"PK\x05\x06";
    let tail = archive.len().saturating_sub(66_000);
    let end = tail + archive[tail..].windows(4).rposition(|w| w == END)?;
    let count = u16_at(archive, end + 10)?;
    let mut at = u32_at(archive, end + 16)? as usize;
    for _ in 0..count {
        let name_length = usize::from(u16_at(archive, at + 28)?);
        let extra = usize::from(u16_at(archive, at + 30)?) + usize::from(u16_at(archive, at + 32)?);
        let name = archive.get(at + 46..at + 46 + name_length)?;
        if name.ends_with(suffix.as_bytes()) {
            return Some(Entry {
                offset: u32_at(archive, at + 42)? as usize,
                compressed: u32_at(archive, at + 20)? as usize,
                stored: u16_at(archive, at + 10)? == 0,
            });
        }
        at += 46 + name_length + extra;
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_archive_has_no_members() {
        assert!(member(b"", "x").is_none());
        assert!(member(b"PK\x05\x06", "x").is_none());
        assert!(member(&[0x50; 100], "x").is_none());
    }
}

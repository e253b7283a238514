//! Amounts of memory.

use anyhow::{Context, Result};

/// Bytes of an amount as Slurm writes it: `512M`, `4G`, `1T`; a bare number is megabytes.
pub(super) fn bytes(text: &str) -> Result<u64> {
    let trimmed = text.trim();
    let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match trimmed[digits.len()..].to_ascii_uppercase().as_str() {
        "K" | "KB" => Some(1u64 << 10),
        "" | "M" | "MB" => Some(1 << 20),
        "G" | "GB" => Some(1 << 30),
        "T" | "TB" => Some(1 << 40),
        _ => None,
    };
    let amount = digits.parse::<u64>().ok().filter(|amount| *amount > 0);
    let bytes = amount
        .zip(factor)
        .and_then(|(amount, factor)| amount.checked_mul(factor));
    bytes.with_context(|| format!("`{text}` is no amount of memory; write such as 4G or 512M"))
}

/// What this machine could give now, where the system says so.
pub(super) fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    kilobytes(&text, "MemAvailable:")
}

/// The most a process took so far, where the system says so.
pub(super) fn peak(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kilobytes(&text, "VmHWM:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let amount: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(amount << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_slurms() {
        assert_eq!(bytes("4G").unwrap(), 4 << 30);
        assert_eq!(bytes("512").unwrap(), 512 << 20);
        assert_eq!(bytes("10k").unwrap(), 10 << 10);
        for wrong in ["", "G", "0G", "4X", "-1G", "1.5G", "99999999999T"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}

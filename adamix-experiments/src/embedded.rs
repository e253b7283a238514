//! The small encoder that the program carries, so that it runs where no model is at hand.

use std::path::PathBuf;

use adamix_models::hub::write;
use anyhow::{Context, Result};

/// The name by which configs refer to it.
pub const NAME: &str = "embedded";

const FILES: [(&str, &[u8]); 3] = [
    (
        "config.json",
        include_bytes!("../embedded/encoder/config.json"),
    ),
    (
        "tokenizer.json",
        include_bytes!("../embedded/encoder/tokenizer.json"),
    ),
    (
        "model.safetensors",
        include_bytes!("../embedded/encoder/model.safetensors"),
    ),
];

/// Unpacks the encoder into a folder of the system's temporary directory that is named after its contents.
pub fn unpack() -> Result<PathBuf> {
    let mut hasher = blake3::Hasher::new();
    for (_, bytes) in FILES {
        hasher.update(bytes);
    }
    let hash = hasher.finalize().to_hex();
    let folder = std::env::temp_dir().join(format!("adamix-embedded-{}", &hash[..16]));
    for (name, bytes) in FILES {
        let path = folder.join(name);
        // Compared whole: a temporary directory is anybody's. Written under a name of this process's own,
        // as several may unpack at once.
        if std::fs::read(&path).ok().as_deref() != Some(bytes) {
            let own = folder.join(format!("{name}-{}", std::process::id()));
            write::atomic(&own, bytes)?;
            std::fs::rename(&own, &path)
                .with_context(|| format!("{}: cannot be written", path.display()))?;
        }
    }
    Ok(folder)
}

//! The small models that the program carries, so that it runs where no model is at hand: `roberta-mini` where a
//! text is classified, `gpt2-mini` where one is written.

use std::path::PathBuf;

use adamix_models::hub::write;
use anyhow::{Context, Result};

/// The name by which configs refer to the one that their task needs.
pub const NAME: &str = "embedded";

/// A model folder inside the program.
#[derive(Debug)]
pub struct Model {
    name: &'static str,
    files: [(&'static str, &'static [u8]); 3],
}

macro_rules! model {
    ($name:literal) => {
        Model {
            name: $name,
            files: [
                carried!($name, "config.json"),
                carried!($name, "tokenizer.json"),
                carried!($name, "model.safetensors"),
            ],
        }
    };
}

macro_rules! carried {
    ($model:literal, $name:literal) => {
        (
            $name,
            include_bytes!(concat!("../embedded/", $model, "/", $name)),
        )
    };
}

/// The encoder.
pub const ENCODER: Model = model!("roberta-mini");

/// The decoder.
pub const DECODER: Model = model!("gpt2-mini");

impl Model {
    /// Unpacks the model into a folder of the system's temporary directory that is named after its contents.
    pub fn unpack(&self) -> Result<PathBuf> {
        let mut hasher = blake3::Hasher::new();
        for (_, bytes) in self.files {
            hasher.update(bytes);
        }
        let hash = hasher.finalize().to_hex();
        let folder = format!("adamix-{}-{}", self.name, &hash[..16]);
        let folder = std::env::temp_dir().join(folder);
        for (name, bytes) in self.files {
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
}

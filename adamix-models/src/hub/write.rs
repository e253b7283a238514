//! Writes that matter: whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use adamix_core::parameter::HostTensor;
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{HubError, fault};

/// Writes a file through a temporary sibling: synced, then renamed into place, and the place synced too, so
/// that after a loss of power a later write is never there without an earlier one.
pub fn atomic(path: &Path, bytes: &[u8]) -> Result<(), HubError> {
    let io = |source| HubError::Io {
        path: path.to_owned(),
        source,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let sibling = path.with_file_name(name);
    let label = path.file_name().unwrap_or_default().to_string_lossy();
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = File::create(&sibling)?;
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(half)?;
        fault::write(&format!("write {label}"))?;
        file.write_all(rest)?;
        file.sync_all()?;
        fault::write(&format!("rename {label}"))?;
        fs::rename(&sibling, path)?;
        // Not every file system syncs folders.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&sibling);
        io(error)
    })
}

/// Writes a folder through a temporary sibling that takes its place once `fill` is done with it, so that the
/// folder is whole or not there.
///
/// # Errors
/// If something is in the folder already, or the first that `fill` returns; nothing is left then.
pub fn folder<E: From<HubError>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let io = |source| HubError::Io {
        path: path.to_owned(),
        source,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let sibling = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let made = (|| {
        fs::create_dir_all(&sibling).map_err(io)?;
        fill(&sibling)?;
        // Takes the place of an empty folder, and of none that has anything in it.
        Ok(fs::rename(&sibling, path).map_err(io)?)
    })();
    if made.is_err() {
        let _ = fs::remove_dir_all(&sibling);
    }
    made
}

/// The number type of a written file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats, for the shipped mini models.
    F16,
}

/// Writes tensors as safetensors, in the order of their names.
pub fn safetensors(
    path: &Path,
    tensors: &BTreeMap<String, HostTensor>,
    precision: Precision,
) -> Result<(), HubError> {
    let bad = |message: String| HubError::Format {
        path: path.to_owned(),
        message,
    };
    let bytes: Vec<(Dtype, Vec<u8>)> = tensors
        .values()
        .map(|t| encode(&t.values, precision))
        .collect();
    let mut views = Vec::new();
    for ((name, tensor), (dtype, bytes)) in tensors.iter().zip(&bytes) {
        let view =
            TensorView::new(*dtype, tensor.shape.clone(), bytes).map_err(|e| bad(e.to_string()))?;
        views.push((name.clone(), view));
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let file = safetensors::serialize(views, Some(metadata)).map_err(|e| bad(e.to_string()))?;
    atomic(path, &file)
}

fn encode(values: &[f32], precision: Precision) -> (Dtype, Vec<u8>) {
    match precision {
        Precision::F32 => (
            Dtype::F32,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ),
        Precision::F16 => (
            Dtype::F16,
            values
                .iter()
                .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                .collect(),
        ),
    }
}

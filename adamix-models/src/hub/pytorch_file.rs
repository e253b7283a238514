//! A `pytorch_model.bin`: a zip of tensors and a pickle that is parsed, never run.

use std::path::{Path, PathBuf};

use burn_store::pytorch_reader::PytorchReader;

use super::HubError;
use super::safetensors_file::to_f32;

/// An open state dict.
pub struct PytorchFile {
    path: PathBuf,
    reader: PytorchReader,
}

impl core::fmt::Debug for PytorchFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PytorchFile")
            .field("path", &self.path)
            .finish()
    }
}

impl PytorchFile {
    /// Reads the table of tensors.
    pub fn open(path: &Path) -> Result<Self, HubError> {
        let reader = PytorchReader::new(path).map_err(|e| HubError::Format {
            path: path.to_owned(),
            message: format!("not a readable PyTorch state dict: {e}"),
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader,
        })
    }

    /// The names of all tensors.
    pub fn names(&self) -> Vec<String> {
        self.reader.keys()
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.reader.get(name).map(|tensor| tensor.shape())
    }

    /// The values of a tensor as f32, row-major.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, HubError> {
        let missing = || HubError::Missing {
            path: self.path.clone(),
            tensor: name.to_owned(),
        };
        let tensor = self.reader.get(name).ok_or_else(missing)?;
        let bytes = tensor.read().map_err(|source| HubError::Io {
            path: self.path.clone(),
            source,
        })?;
        let dtype = format!("{:?}", tensor.dtype()).to_uppercase();
        to_f32(&dtype, &bytes).ok_or_else(|| HubError::Type {
            path: self.path.clone(),
            tensor: name.to_owned(),
            found: dtype.clone(),
        })
    }
}

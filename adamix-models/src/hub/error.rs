//! What can be wrong with a model or adapter folder.

use std::path::PathBuf;

use adamix_core::parameter::ParameterError;
use thiserror::Error;

use super::FoldError;
use crate::site::SiteError;

/// An error that names the file, and the tensor or key in it.
#[derive(Debug, Error)]
pub enum HubError {
    /// A BERT without the layer that its classifier reads.
    #[error(
        "the base model has no `bert.pooler.dense.weight`, which pooling `pooler` reads; choose `cls` or `mean`"
    )]
    NoPooler,
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder lacks what a model needs.
    #[error("{path}: no {wanted} in this folder")]
    Absent {
        /// The folder.
        path: PathBuf,
        /// The file or files that would do.
        wanted: String,
    },
    /// A file is not of its format, or truncated.
    #[error("{path}: {message}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        message: String,
    },
    /// A configuration names something that this program does not have.
    #[error("{path}: `{key}` is {found}, expected {expected}")]
    Config {
        /// The file.
        path: PathBuf,
        /// The key at fault.
        key: String,
        /// Its value.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A tensor that the model needs is not in the files.
    #[error("{path}: tensor `{tensor}` is missing")]
    Missing {
        /// The folder or file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A tensor has another shape than the model's configuration asks for.
    #[error(
        "{path}: tensor `{tensor}` has shape {found:?}, the configuration asks for {expected:?}"
    )]
    Shape {
        /// The folder or file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape of the parameter.
        expected: Vec<usize>,
    },
    /// A tensor holds integers, or floats of a kind that cannot be read.
    #[error("{path}: tensor `{tensor}` has type {found}, expected F32, F16, BF16 or F64")]
    Type {
        /// The folder or file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type in the file.
        found: String,
    },
    /// An adapter does not fit the model it is put on.
    #[error("{path}: {source}")]
    Parameter {
        /// The adapter's file.
        path: PathBuf,
        /// What does not fit.
        source: ParameterError,
    },
    /// An adapter from elsewhere does not fit the model it is put on.
    #[error("{path}: {source}")]
    Fold {
        /// The adapter's folder or file.
        path: PathBuf,
        /// What does not fit.
        source: FoldError,
    },
    /// An adapter is for places that the model does not have.
    #[error("{path}: {source}")]
    Site {
        /// The adapter's folder.
        path: PathBuf,
        /// Which place.
        source: SiteError,
    },
    /// An adapter was trained on another base model.
    #[error(
        "{path}: trained on the base with hash {expected}, this base has {found}; give the base it was trained on"
    )]
    Base {
        /// The adapter's folder.
        path: PathBuf,
        /// The hash in the adapter's configuration.
        expected: String,
        /// The hash of the given base.
        found: String,
    },
}

//! The tensors of a model folder, in one file or several, under their names without the base prefix.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use adamix_core::parameter::HostTensor;
use serde::Deserialize;

use super::HubError;
use super::pytorch_file::PytorchFile;
use super::safetensors_file::SafetensorsFile;

#[derive(Debug)]
enum TensorFile {
    Safetensors(SafetensorsFile),
    Pytorch(PytorchFile),
}

/// All tensors of a Hugging Face folder.
#[derive(Debug)]
pub struct Weights {
    folder: PathBuf,
    paths: Vec<PathBuf>,
    files: Vec<TensorFile>,
    /// Tensor name to its file and its name there.
    index: BTreeMap<String, (usize, String)>,
    used: RefCell<BTreeSet<String>>,
}

/// The part of `model.safetensors.index.json` that is needed; `pytorch_model.bin.index.json` has it too.
#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Opens `model.safetensors` or its shards, else `pytorch_model.bin` or its shards.
    pub fn open(folder: &Path) -> Result<Self, HubError> {
        for name in ["model.safetensors", "pytorch_model.bin"] {
            let whole = folder.join(name);
            if whole.is_file() {
                return Self::from_files(folder, vec![whole]);
            }
            let index = folder.join(format!("{name}.index.json"));
            if index.is_file() {
                return Self::from_files(folder, shards(folder, &index)?);
            }
        }
        Err(HubError::Absent {
            path: folder.to_owned(),
            wanted: "model.safetensors, pytorch_model.bin or an index of shards of either"
                .to_owned(),
        })
    }

    /// Opens the given files.
    pub fn from_files(folder: &Path, paths: Vec<PathBuf>) -> Result<Self, HubError> {
        let mut files = Vec::new();
        let mut index = BTreeMap::new();
        for (i, path) in paths.iter().enumerate() {
            let is_pickle = path.extension().is_some_and(|e| e == "bin" || e == "pt");
            let file = if is_pickle {
                TensorFile::Pytorch(PytorchFile::open(path)?)
            } else {
                TensorFile::Safetensors(SafetensorsFile::open(path)?)
            };
            let names: Vec<String> = match &file {
                TensorFile::Safetensors(f) => f.names().map(str::to_owned).collect(),
                TensorFile::Pytorch(f) => f.names(),
            };
            index.extend(names.into_iter().map(|name| (modern(&name), (i, name))));
            files.push(file);
        }
        Ok(Self {
            folder: folder.to_owned(),
            paths,
            files,
            index,
            used: RefCell::default(),
        })
    }

    /// The files that the tensors come from.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// The shape of a tensor in its file.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let (file, name) = self.index.get(name)?;
        match &self.files[*file] {
            TensorFile::Safetensors(f) => f.shape(name),
            TensorFile::Pytorch(f) => f.shape(name),
        }
    }

    /// The values of a tensor.
    ///
    /// # Errors
    /// If it is absent, of another shape, not of floats, or its file cannot be read.
    pub fn read(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, HubError> {
        let missing = || HubError::Missing {
            path: self.folder.clone(),
            tensor: name.to_owned(),
        };
        let (file, stored) = self.index.get(name).ok_or_else(missing)?;
        let found = self.shape(name).unwrap_or_default();
        if found != expected {
            return Err(HubError::Shape {
                path: self.paths[*file].clone(),
                tensor: name.to_owned(),
                found: found.to_vec(),
                expected: expected.to_vec(),
            });
        }
        self.used.borrow_mut().insert(name.to_owned());
        match &self.files[*file] {
            TensorFile::Safetensors(f) => f.read(stored),
            TensorFile::Pytorch(f) => f.read(stored),
        }
    }

    /// A tensor of whatever shape it has.
    ///
    /// # Errors
    /// If it is absent, not of floats, or its file cannot be read.
    pub fn tensor(&self, name: &str) -> Result<HostTensor, HubError> {
        let shape = self.shape(name).unwrap_or_default().to_vec();
        let values = self.read(name, &shape)?;
        Ok(HostTensor { shape, values })
    }

    /// Finds that a head which shares its weight with an embedding table does so in these files, where they have both.
    ///
    /// # Errors
    /// If they differ, or cannot be read.
    pub fn check_tied(&self, head: &str, table: &str) -> Result<(), HubError> {
        if !(self.contains(head) && self.contains(table))
            || self.tensor(head)? == self.tensor(table)?
        {
            return Ok(());
        }
        Err(HubError::Format {
            path: self.folder.clone(),
            message: format!(
                "`{head}` differs from `{table}`, with which config.json has it share its values; a head of its own is read \
                 where `tie_word_embeddings` is false and the model is GPT-2"
            ),
        })
    }

    /// The tensors that nobody read, such as `position_ids` or a head of another task.
    pub fn unused(&self) -> Vec<String> {
        let used = self.used.borrow();
        self.index
            .keys()
            .filter(|name| !used.contains(*name))
            .cloned()
            .collect()
    }
}

/// The name that a tensor has today: the first BERT checkpoints call a norm's parameters `gamma` and `beta`.
fn modern(name: &str) -> String {
    for (old, new) in [("gamma", "weight"), ("beta", "bias")] {
        if let Some(norm) = name
            .strip_suffix(old)
            .filter(|norm| norm.ends_with("LayerNorm."))
        {
            return format!("{norm}{new}");
        }
    }
    name.to_owned()
}

/// The files of a sharded model, each inside the folder.
fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, HubError> {
    let text = std::fs::read_to_string(index).map_err(|source| HubError::Io {
        path: index.to_owned(),
        source,
    })?;
    let bad = |message: String| HubError::Format {
        path: index.to_owned(),
        message,
    };
    let parsed: ShardIndex = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    let names: BTreeSet<String> = parsed.weight_map.into_values().collect();
    let inside =
        |name: &String| Path::new(name).components().count() == 1 && !name.starts_with('.');
    if let Some(name) = names.iter().find(|name| !inside(name)) {
        return Err(bad(format!("shard `{name}` is not a file of this folder")));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

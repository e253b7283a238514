//! The folder of a run's checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use adamix_core::merging::Average;
use adamix_core::optimizer::{AdamW, Moments};
use adamix_core::parameter::{self, HostTensor, Named};
use adamix_core::routing::Usage;
use adamix_models::hub::{Weights, fault, write};
use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Clocks, Kept, Lock, Origin, Position, State};
use crate::run::Measured;

/// The version of this format.
const FORMAT: u32 = 1;
const FOLDER: &str = "checkpoint";
const STATE: &str = "state.json";
const FIRST: &str = "first:";
const SECOND: &str = "second:";
const AVERAGE: &str = "average:";

/// `state.json`. Its presence makes the checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commit<P> {
    format: u32,
    origin: Origin,
    position: Position,
    clocks: Clocks,
    /// Bytes of each file of records.
    lengths: BTreeMap<String, u64>,
    /// Steps of each parameter since its first gradient.
    moment_steps: BTreeMap<String, u32>,
    /// The file of trained values and moments.
    tensors: String,
    best: Option<Entry<P>>,
    last: Option<Entry<P>>,
    #[serde(default)]
    usage: Usage,
    /// The average over the steps: its decay and how many it has seen; its values are with the tensors.
    #[serde(default)]
    average: Option<(f64, u64)>,
}

/// A measured state, its values in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<P> {
    measured: Measured,
    predictions: P,
    values: String,
}

/// The part of a checkpoint that says whose it is, and where it stands.
#[derive(Debug, Deserialize)]
struct Header {
    format: u32,
    origin: Origin,
    position: Position,
}

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Saved<M, P> {
    /// The model as it was.
    pub model: M,
    /// The state beside model and optimiser.
    pub state: State<P>,
    /// Bytes of each file of records.
    pub lengths: BTreeMap<String, u64>,
}

/// The checkpoint of a run, and the right to work in its folder.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    origin: Origin,
    /// The files of measured states that the checkpoint names.
    named: BTreeSet<String>,
    _lock: Lock,
}

impl Store {
    /// Takes a run's folder for the run of this origin.
    ///
    /// # Errors
    /// If another program works there ([`super::Busy`]), or the checkpoint in it is another run's; the key
    /// that differs is named.
    pub fn claim(run: &Path, origin: Origin) -> Result<Self> {
        std::fs::create_dir_all(run)
            .with_context(|| format!("{}: cannot be created", run.display()))?;
        let store = Self {
            _lock: Lock::take(run)?,
            folder: run.join(FOLDER),
            origin,
            named: BTreeSet::new(),
        };
        if store.exists() {
            let path = store.folder.join(STATE);
            let header: Header = store
                .parse()
                .context("remove the folder to begin the run again")?;
            ensure!(
                header.format == FORMAT,
                "{}: format {}, this program writes {FORMAT}; remove the folder to begin the run again",
                path.display(),
                header.format
            );
            let same = store.origin.expect(&header.origin);
            same.with_context(|| format!("{}: choose another folder", path.display()))?;
        }
        Ok(store)
    }

    /// Whether there is a checkpoint.
    pub fn exists(&self) -> bool {
        self.folder.join(STATE).is_file()
    }

    /// Where the checkpoint stands, if there is one.
    pub fn position(&self) -> Result<Option<Position>> {
        if !self.exists() {
            return Ok(None);
        }
        Ok(Some(self.parse::<Header>()?.position))
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let path = self.folder.join(STATE);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}: not a checkpoint", path.display()))
    }

    /// Writes a checkpoint; the one before goes when the new one is whole. `trained` tells what training
    /// moves.
    pub fn save<M: Named, P: Serialize>(
        &mut self,
        model: &M,
        trained: impl Fn(&str) -> bool,
        optimizer: &AdamW,
        state: &State<P>,
        lengths: BTreeMap<String, u64>,
    ) -> Result<()> {
        let step = state.position.step;
        let commit = Commit {
            format: FORMAT,
            origin: self.origin.clone(),
            position: state.position,
            clocks: state.clocks,
            lengths,
            moment_steps: optimizer
                .moments()
                .iter()
                .map(|(name, m)| (name.clone(), m.step))
                .collect(),
            tensors: format!("step-{step}.safetensors"),
            best: self.keep("best", state.best.as_ref())?,
            last: self.keep("last", state.last.as_ref())?,
            usage: state.usage.clone(),
            average: state.average.as_ref().map(|a| (a.decay(), a.steps())),
        };
        let mut tensors = parameter::export(model, |info| trained(&info.name));
        for (name, moments) in optimizer.moments() {
            tensors.insert(format!("{FIRST}{name}"), flat(&moments.first));
            tensors.insert(format!("{SECOND}{name}"), flat(&moments.second));
        }
        for (name, tensor) in state.average.iter().flat_map(Average::values) {
            tensors.insert(format!("{AVERAGE}{name}"), tensor.clone());
        }
        let path = self.folder.join(&commit.tensors);
        write::safetensors(&path, &tensors, write::Precision::F32)?;
        let text = serde_json::to_string(&commit)?;
        write::atomic(&self.folder.join(STATE), text.as_bytes())?;
        fault::point("saved");
        let measured = [commit.best, commit.last].into_iter().flatten();
        self.named = measured.map(|entry| entry.values).collect();
        self.sweep(&commit.tensors);
        Ok(())
    }

    /// Writes a measured state's values, unless the checkpoint before has them.
    fn keep<'p, P>(&self, name: &str, kept: Option<&'p Kept<P>>) -> Result<Option<Entry<&'p P>>> {
        let Some(kept) = kept else {
            return Ok(None);
        };
        let values = format!("{name}-{}.safetensors", kept.measured.step);
        let path = self.folder.join(&values);
        if !self.named.contains(&values) {
            write::safetensors(&path, &kept.values, write::Precision::F32)?;
        }
        Ok(Some(Entry {
            measured: kept.measured.clone(),
            predictions: &kept.predictions,
            values,
        }))
    }

    /// Removes what the checkpoint does not name. A file that stays is only in the way.
    fn sweep(&self, tensors: &str) {
        for entry in std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name != STATE && name != tensors && !self.named.contains(name.as_ref()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Puts the checkpoint, if there is one, into a fresh model and optimiser.
    ///
    /// # Errors
    /// If it does not fit the model, or a file of it is absent or damaged.
    pub fn restore<M: Named + Clone, P: DeserializeOwned>(
        &mut self,
        model: &M,
        trained: impl Fn(&str) -> bool,
        optimizer: &mut AdamW,
        device: &Device,
    ) -> Result<Option<Saved<M, P>>> {
        if !self.exists() {
            return Ok(None);
        }
        let saved = self.read(model, trained, optimizer, device);
        saved.map(Some).with_context(|| {
            format!(
                "{}: cannot be gone on from; remove the folder to begin the run again",
                self.folder.display()
            )
        })
    }

    fn read<M: Named + Clone, P: DeserializeOwned>(
        &mut self,
        model: &M,
        trained: impl Fn(&str) -> bool,
        optimizer: &mut AdamW,
        device: &Device,
    ) -> Result<Saved<M, P>> {
        let commit: Commit<P> = self.parse()?;
        let path = self.file(&commit.tensors)?;
        let weights = Weights::from_files(&self.folder, vec![path.clone()])?;
        let mut values = BTreeMap::new();
        let mut moments = BTreeMap::new();
        let mut averages = BTreeMap::new();
        for info in parameter::parameters(model) {
            if !trained(&info.name) {
                continue;
            }
            if let Some(step) = commit.moment_steps.get(&info.name) {
                let moment = |kind: &str| -> Result<Tensor<1>> {
                    let values = weights.read(&format!("{kind}{}", info.name), &[info.count()])?;
                    let data = TensorData::new(values, [info.count()]);
                    Ok(Tensor::from_data(data, &device.clone().without_autodiff()))
                };
                let moment = Moments {
                    step: *step,
                    first: moment(FIRST)?,
                    second: moment(SECOND)?,
                };
                moments.insert(info.name.clone(), moment);
            }
            let read = |name: &str| -> Result<HostTensor> {
                Ok(HostTensor {
                    values: weights.read(name, &info.shape)?,
                    shape: info.shape.clone(),
                })
            };
            let average = format!("{AVERAGE}{}", info.name);
            if weights.contains(&average) {
                averages.insert(info.name.clone(), read(&average)?);
            }
            values.insert(info.name.clone(), read(&info.name)?);
        }
        let surplus = weights.unused();
        if let Some(name) = surplus.first() {
            bail!("{}: tensor `{name}` is not of this run", path.display());
        }
        optimizer.set_moments(moments);
        let model =
            parameter::assign(model.clone(), values).with_context(|| path.display().to_string())?;
        let best = self.kept(commit.best)?;
        let last = self.kept(commit.last)?;
        // A program that was killed while it swept left something.
        self.sweep(&commit.tensors);
        Ok(Saved {
            model,
            state: State {
                position: commit.position,
                clocks: commit.clocks,
                best,
                last,
                usage: commit.usage,
                average: (commit.average)
                    .map(|(decay, steps)| Average::resume(decay, steps, averages)),
            },
            lengths: commit.lengths,
        })
    }

    fn kept<P>(&mut self, entry: Option<Entry<P>>) -> Result<Option<Kept<P>>> {
        let Some(entry) = entry else {
            return Ok(None);
        };
        self.named.insert(entry.values.clone());
        let weights = Weights::from_files(&self.folder, vec![self.file(&entry.values)?])?;
        let mut values = BTreeMap::new();
        for name in weights.names() {
            let shape = weights.shape(name).unwrap_or_default().to_vec();
            let value = weights.read(name, &shape)?;
            values.insert(
                name.to_owned(),
                HostTensor {
                    shape,
                    values: value,
                },
            );
        }
        Ok(Some(Kept {
            values,
            measured: entry.measured,
            predictions: entry.predictions,
        }))
    }

    /// A file that a checkpoint names, which must be of its folder.
    fn file(&self, name: &str) -> Result<PathBuf> {
        ensure!(
            name.ends_with(".safetensors")
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)),
            "{}: `{name}` is not a file of this folder",
            self.folder.join(STATE).display()
        );
        Ok(self.folder.join(name))
    }

    /// Takes the checkpoint away, once the run is whole or before it begins anew.
    pub fn remove(&self) -> Result<()> {
        if self.folder.exists() {
            // The marker first: what is left of it then is no checkpoint.
            let _ = std::fs::remove_file(self.folder.join(STATE));
            std::fs::remove_dir_all(&self.folder)
                .with_context(|| format!("{}: cannot be removed", self.folder.display()))?;
        }
        Ok(())
    }

    /// Takes away the checkpoint that a run left which died when it was already whole.
    pub fn discard(run: &Path) {
        let _ = std::fs::remove_dir_all(run.join(FOLDER));
    }
}

fn flat(tensor: &Tensor<1>) -> HostTensor {
    let values: Vec<f32> = tensor
        .clone()
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .expect("f32 values");
    HostTensor {
        shape: vec![values.len()],
        values,
    }
}

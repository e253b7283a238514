//! What an interrupted pretraining goes on from: parameters, moments and the place in the plan.
//!
//! `checkpoint/state.json` is written last and names the file of tensors beside it, so that a process that
//! dies while writing leaves the checkpoint before.

use std::collections::BTreeMap;
use std::path::Path;

use adamix_core::optimizer::{AdamW, Moments};
use adamix_core::parameter::{self, HostTensor, Named};
use adamix_models::hub::{Weights, write};
use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::config::TrainingConfig;
use super::record::Point;

const FOLDER: &str = "checkpoint";
const FIRST: &str = "first:";
const SECOND: &str = "second:";

/// The part of a checkpoint that is no tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// What every step so far was decided by, but for its learning rate.
    pub identity: String,
    /// Where the learning rates of the steps so far came from.
    pub training: TrainingConfig,
    /// Steps done.
    pub step: usize,
    /// Seconds used so far.
    pub seconds: f64,
    /// The curve so far.
    pub curve: Vec<Point>,
    /// Steps of each parameter since its first gradient.
    moment_steps: BTreeMap<String, u32>,
    /// The file of tensors.
    file: String,
}

impl State {
    /// Nothing done yet.
    pub(super) fn new(identity: String, training: TrainingConfig) -> Self {
        Self {
            identity,
            training,
            step: 0,
            seconds: 0.0,
            curve: Vec::new(),
            moment_steps: BTreeMap::new(),
            file: String::new(),
        }
    }

    /// Whether a pretraining with this identity and schedule would have come to this state: a schedule may be
    /// shortened or prolonged as long as the steps that are done stay as they were.
    pub(super) fn belongs_to(&self, identity: &str, training: &TrainingConfig) -> bool {
        let same = |step| self.training.rate(step) == training.rate(step);
        self.identity == identity && self.step <= training.steps && (1..=self.step).all(same)
    }
}

/// Writes the state of a pretraining; the one before goes.
pub(super) fn save(
    out: &Path,
    mut state: State,
    model: &impl Named,
    optimizer: &AdamW,
) -> Result<()> {
    let folder = out.join(FOLDER);
    let mut tensors = parameter::export(model, |info| info.trainable);
    state.file = format!("step-{}.safetensors", state.step);
    state.moment_steps.clear();
    for (name, moments) in optimizer.moments() {
        state.moment_steps.insert(name.clone(), moments.step);
        tensors.insert(format!("{FIRST}{name}"), flat(&moments.first));
        tensors.insert(format!("{SECOND}{name}"), flat(&moments.second));
    }
    let before = read_state(out)?
        .map(|s| s.file)
        .filter(|f| *f != state.file);
    write::safetensors(&folder.join(&state.file), &tensors, write::Precision::F32)?;
    let text = serde_json::to_string(&state)?;
    write::atomic(&folder.join("state.json"), text.as_bytes())?;
    if let Some(file) = before {
        // A file that stays is only in the way.
        let _ = std::fs::remove_file(folder.join(file));
    }
    Ok(())
}

/// The state of an interrupted pretraining, if the folder holds one.
pub(super) fn read_state(out: &Path) -> Result<Option<State>> {
    let path = out.join(FOLDER).join("state.json");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let state: State = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    ensure!(
        Path::new(&state.file).components().count() == 1 && !state.file.starts_with('.'),
        "{}: `{}` is not a file of this folder",
        path.display(),
        state.file
    );
    Ok(Some(state))
}

/// Puts the tensors of a checkpoint into a fresh model and optimiser.
pub(super) fn restore<M: Named>(
    out: &Path,
    state: &State,
    model: M,
    optimizer: &mut AdamW,
    device: &Device,
) -> Result<M> {
    let folder = out.join(FOLDER);
    let path = folder.join(&state.file);
    let weights = Weights::from_files(&folder, vec![path.clone()])?;
    let mut values = BTreeMap::new();
    let mut moments = BTreeMap::new();
    let trainable = parameter::parameters(&model).into_iter();
    for info in trainable.filter(|info| info.trainable) {
        let value = weights.read(&info.name, &info.shape)?;
        if let Some(step) = state.moment_steps.get(&info.name) {
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
        values.insert(
            info.name,
            HostTensor {
                shape: info.shape,
                values: value,
            },
        );
    }
    optimizer.set_moments(moments);
    parameter::assign(model, values).with_context(|| path.display().to_string())
}

/// Takes the checkpoint away once the pretraining is done.
pub(super) fn remove(out: &Path) -> Result<()> {
    let folder = out.join(FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
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

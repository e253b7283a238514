//! What a run is: a TOML file with every choice, none hidden.

mod path;
mod read;

pub use path::resolve_path;
pub use read::{read, resolve};

use std::path::PathBuf;

use adamix_core::consistency::RegressionConsistency;
use adamix_core::mixture::{Activation, Share};
use adamix_core::objective::Consistency;
use adamix_core::optimizer::{AdamWConfig, Unselected};
use adamix_core::routing::Inference;
use adamix_data::Order;
use adamix_models::encoder::Pooling;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A run, complete. Two runs with equal configs on equal files are the same run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// All draws come from it.
    pub seed: u64,
    /// A GLUE task, `synthetic`, or `custom` with the `[custom]` table.
    pub task: String,
    /// The task's folder, or the folder of all GLUE tasks.
    pub data: String,
    /// The base model: a Hugging Face folder, or `embedded`.
    pub model: String,
    /// What becomes of the texts.
    pub input: Input,
    /// The frozen model under the adaptation.
    pub backbone: Backbone,
    /// What is trained.
    pub adaptation: Adaptation,
    /// Who goes where.
    pub routing: Routing,
    /// How many become one.
    pub merging: Merging,
    /// The term between two passes. Its weight is 1 by default for AdaMix and 0 for every other method.
    pub consistency: Consistency,
    /// The update rule.
    pub optimizer: Optimizer,
    /// How long, and at what rate.
    pub schedule: Schedule,
    /// What is measured.
    pub evaluation: Evaluation,
    /// The columns of a task of one's own.
    pub custom: Custom,
}

/// What becomes of the texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// Longest input in tokens; longer ones are cut, the longer text of a pair first.
    pub max_length: usize,
    /// Up to where a batch is padded.
    pub pad: Pad,
    /// How an epoch's batches are formed.
    pub order: EpochOrder,
    /// With `order = "bucketed"`: how many batches are sorted by length together.
    pub window: usize,
    /// Rows of the training file that are used, from the top; 0 for all.
    pub train_rows: usize,
}

/// Up to where a batch is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pad {
    /// Its longest row.
    Batch,
    /// `max_length`, as the released code.
    Max,
}

/// How an epoch's batches are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EpochOrder {
    /// A permutation, cut.
    Shuffled,
    /// Rows of like length together, the batches shuffled.
    Bucketed,
}

/// The frozen model under the adaptation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backbone {
    /// How a sequence becomes one vector.
    pub pooling: Pooling,
    /// Whether BERT's pooler is trained with the head.
    pub train_pooler: bool,
    /// Every dropout of backbone and head while training.
    pub dropout: f64,
}

/// What is trained beside the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A mixture of bottleneck adapters in every layer.
    Adamix,
    /// One bottleneck adapter in every layer, at the same place.
    Adapter,
    /// Nothing.
    Head,
    /// The whole model.
    Full,
}

/// The adaptation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adaptation {
    /// What is trained beside the head.
    pub method: Method,
    /// Width of the bottleneck.
    pub bottleneck: usize,
    /// M, the experts of a side that is not shared.
    pub experts: usize,
    /// Which sides are shared.
    pub share: Share,
    /// Between the projections.
    pub activation: Activation,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
}

/// Who goes where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// A policy's name.
    pub policy: String,
}

/// How many become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Merging {
    /// A rule's name.
    pub rule: String,
}

/// AdamW with clipping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizer {
    /// The rate at the end of the warm-up.
    pub learning_rate: f64,
    /// Decoupled decay, after the update, at the current rate.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Outside the bias correction.
    pub epsilon: f64,
    /// Whether biases and LayerNorms decay too.
    pub decay_all: bool,
    /// What happens to experts that a step did not draw.
    pub unselected: Unselected,
    /// Bound on the norm of all gradients together; 0 for none.
    pub max_grad_norm: f64,
}

/// How long, and at what rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Optimiser steps after which training stops all the same; 0 for no bound.
    pub max_steps: usize,
    /// Examples a micro-batch.
    pub batch_size: usize,
    /// Micro-batches a step.
    pub accumulation: usize,
    /// Share of all steps over which the rate rises from zero.
    pub warmup_ratio: f64,
    /// The rate of the first step.
    pub first_rate: FirstRate,
}

/// The rate of the first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstRate {
    /// Zero, as Hugging Face's schedulers give it.
    Zero,
    /// One step's worth of warm-up.
    Step,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// Examples a batch.
    pub batch_size: usize,
    /// `native` (the policy's own) or a mode by name.
    pub inference: InferenceChoice,
    /// Lower bound on a regression's outputs, such as 0 in the released RoBERTa code; `none` for no bound.
    pub regression_floor: RegressionFloor,
}

/// How the trained mixture is run when it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InferenceChoice {
    /// As the routing policy says.
    Native,
    /// Experts averaged.
    Merged,
    /// Random experts, per example.
    Random,
    /// The first expert.
    Fixed,
    /// Mean logits of the diagonal paths.
    Ensemble,
}

impl InferenceChoice {
    /// The mode, with the policy's own for `native`.
    pub fn resolve(self, native: Inference) -> Inference {
        match self {
            Self::Native => native,
            Self::Merged => Inference::Merged,
            Self::Random => Inference::Random,
            Self::Fixed => Inference::Fixed,
            Self::Ensemble => Inference::Ensemble,
        }
    }
}

/// Lower bound on a regression's outputs in evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegressionFloor {
    /// No bound.
    None,
    /// Zero.
    Zero,
}

/// The columns of a task of one's own, in `train.*` and `dev.*` of the data folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Custom {
    /// The column of the text, or of the first of a pair.
    pub first: String,
    /// The column of the second text; empty for none.
    pub second: String,
    /// The column of the label.
    pub label: String,
    /// Class names in order; empty for a regression.
    pub labels: Vec<String>,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            task: "synthetic".to_owned(),
            data: String::new(),
            model: "embedded".to_owned(),
            input: Input::default(),
            backbone: Backbone::default(),
            adaptation: Adaptation::default(),
            routing: Routing::default(),
            merging: Merging::default(),
            consistency: Consistency {
                weight: 1.0,
                detach: true,
                regression: RegressionConsistency::None,
            },
            optimizer: Optimizer::default(),
            schedule: Schedule::default(),
            evaluation: Evaluation::default(),
            custom: Custom::default(),
        }
    }
}

impl RunConfig {
    /// The base model's folder, or [`crate::embedded::NAME`].
    pub fn model_folder(&self) -> Result<PathBuf> {
        resolve_path(&self.model)
    }

    /// The data's folder.
    pub fn data_folder(&self) -> Result<PathBuf> {
        resolve_path(&self.data)
    }
}

impl Default for Input {
    fn default() -> Self {
        Self {
            max_length: 128,
            pad: Pad::Batch,
            order: EpochOrder::Bucketed,
            window: 50,
            train_rows: 0,
        }
    }
}

impl Input {
    /// The order in the data crate's terms.
    pub fn epoch_order(&self) -> Order {
        match self.order {
            EpochOrder::Shuffled => Order::Shuffled,
            EpochOrder::Bucketed => Order::Bucketed {
                window: self.window,
            },
        }
    }
}

impl Default for Backbone {
    fn default() -> Self {
        Self {
            pooling: Pooling::Pooler,
            train_pooler: false,
            dropout: 0.1,
        }
    }
}

impl Default for Adaptation {
    fn default() -> Self {
        Self {
            method: Method::Adamix,
            bottleneck: 16,
            experts: 4,
            share: Share::Up,
            activation: Activation::Gelu,
            initializer_range: 0.02,
        }
    }
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            policy: "stochastic".to_owned(),
        }
    }
}

impl Default for Merging {
    fn default() -> Self {
        Self {
            rule: "uniform".to_owned(),
        }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
            weight_decay,
            decay_all,
            unselected,
        } = AdamWConfig::default();
        Self {
            learning_rate: 1e-3,
            weight_decay,
            beta1,
            beta2,
            epsilon,
            decay_all,
            unselected,
            max_grad_norm: 1.0,
        }
    }
}

impl Optimizer {
    /// The update rule's constants.
    pub fn adamw(&self) -> AdamWConfig {
        AdamWConfig {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            decay_all: self.decay_all,
            unselected: self.unselected,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            epochs: 10,
            max_steps: 0,
            batch_size: 32,
            accumulation: 1,
            warmup_ratio: 0.06,
            first_rate: FirstRate::Zero,
        }
    }
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            batch_size: 64,
            inference: InferenceChoice::Native,
            regression_floor: RegressionFloor::None,
        }
    }
}

//! What a run is: a TOML file with every choice, none hidden. One file a table of it.

mod adaptation;
mod backbone;
mod checkpoint;
mod custom;
mod default;
mod dotted;
mod evaluation;
mod few_shot;
mod generation;
mod input;
mod merging;
mod method;
mod optimizer;
mod path;
mod preset;
mod prompt;
mod read;
mod routing;
mod schedule;

pub use adaptation::Adaptation;
pub use backbone::{Backbone, Precision};
pub use checkpoint::Checkpoint;
pub use custom::Custom;
pub use dotted::{dotted, overlay, plain, put};
pub use evaluation::{Evaluation, InferenceChoice, MeasuredAfter, RegressionFloor};
pub use few_shot::FewShot;
pub use generation::{Generation, Search, States, TrainSplit};
pub use input::{EpochOrder, Input, LastBatch, Pad};
pub use merging::{GATHERED, MakeRule, Merging, RuleOverride};
pub use method::{KINDS, Kind, Method};
pub use optimizer::Optimizer;
pub use path::resolve_path;
pub use preset::PRESETS;
pub use prompt::{MANUAL, Prompt};
pub use read::{read, read_table, resolve, typed, with_settings};
pub use routing::Routing;
pub use schedule::{FirstRate, Schedule};

use std::path::PathBuf;

use adamix_core::objective::Consistency;
use adamix_core::routing::Site;
use adamix_data::nlg::Corpus;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A run, complete. Two runs with equal configs on equal files are the same run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// All draws come from it.
    pub seed: u64,
    /// A GLUE task, `subj` or `mpqa`, `synthetic`, `custom` with the `[custom]` table, or text to generate: `e2e`,
    /// `webnlg`, `dart`.
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
    /// The term between two passes. Its weight is 1 by default for AdaMix, 100 where text is generated, and 0
    /// for every other method.
    pub consistency: Consistency,
    /// The update rule.
    pub optimizer: Optimizer,
    /// How long, and at what rate.
    pub schedule: Schedule,
    /// What is measured.
    pub evaluation: Evaluation,
    /// How often the run saves where it is; not part of its id.
    pub checkpoint: Checkpoint,
    /// How texts are learnt and generated.
    pub generation: Generation,
    /// The columns of a task of one's own.
    pub custom: Custom,
    /// How rows are asked of the masked language model.
    pub prompt: Prompt,
    /// Which few rows are trained on.
    pub few_shot: FewShot,
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
            consistency: Consistency::default(),
            optimizer: Optimizer::default(),
            schedule: Schedule::default(),
            evaluation: Evaluation::default(),
            checkpoint: Checkpoint::default(),
            generation: Generation::default(),
            custom: Custom::default(),
            prompt: Prompt::default(),
            few_shot: FewShot::default(),
        }
    }
}

impl RunConfig {
    /// The base model's folder, or [`crate::embedded::NAME`].
    pub fn model_folder(&self) -> Result<PathBuf> {
        resolve_path(&self.model)
    }

    /// The data set that text is generated for, if the task is one.
    pub fn corpus(&self) -> Option<Corpus> {
        Corpus::by_name(&self.task)
    }

    /// Whether a second pass of a step over a model with these sites would differ from the first at all.
    pub fn passes_differ(&self, sites: &[Site]) -> bool {
        let low_rank = matches!(self.adaptation.method.kind, Kind::Lora | Kind::UnipeltApl);
        let drops = self.backbone.dropout > 0.0 || (low_rank && self.adaptation.lora_dropout > 0.0);
        drops || sites.iter().any(|site| site.down.max(site.up) > 1)
    }

    /// The data's folder.
    pub fn data_folder(&self) -> Result<PathBuf> {
        resolve_path(&self.data)
    }
}

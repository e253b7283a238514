//! The `README.md` of an exported folder: what it is, what it fits on, how to load it.

use std::path::Path;

use super::HubError;
use super::write;

/// What a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// An adapter that Python's `peft` loads.
    PeftAdapter,
    /// An adapter under this program's own names.
    OwnAdapter,
    /// A whole model that `transformers` loads.
    Model,
}

/// The facts of a card.
#[derive(Clone, Debug)]
pub struct Card {
    /// What the folder holds.
    pub holds: Holds,
    /// The class of `transformers` that the model is.
    pub architecture: String,
    /// Where the base is, if that is known.
    pub base: Option<String>,
    /// Hash of the base's files.
    pub base_hash: String,
    /// The task it was trained for.
    pub task: String,
    /// What was trained, in a few words.
    pub method: String,
    /// Values that the adapter holds, head included.
    pub parameters: usize,
    /// How the experts became one.
    pub merging: String,
    /// Scores by name, with what they were measured on.
    pub scores: Vec<(String, String)>,
}

impl Card {
    /// Writes the card into a folder.
    pub fn save(&self, folder: &Path) -> Result<(), HubError> {
        write::atomic(&folder.join("README.md"), self.text().as_bytes())
    }

    /// The card as Markdown with the hub's front matter.
    pub fn text(&self) -> String {
        let library = match self.holds {
            Holds::PeftAdapter => "peft",
            Holds::OwnAdapter => "adamix",
            Holds::Model => "transformers",
        };
        let mut text = format!("---\nlibrary_name: {library}\n");
        if let Some(base) = &self.base {
            text += &format!("base_model: {base:?}\n");
        }
        text += "tags:\n- adamix\n";
        if self.holds == Holds::PeftAdapter {
            text += "- peft\n";
        }
        text += &format!("---\n\n# {} for {}\n\n", self.method, self.task);
        let what = match self.holds {
            Holds::Model => "The whole model, with its adaptation folded into the weights.",
            _ => "An adapter: it needs the base model that it was trained on.",
        };
        text += &format!("{what}\n\n| | |\n|---|---|\n");
        let mut row = |name: &str, value: &str| text += &format!("| {name} | {value} |\n");
        row("task", &self.task);
        row("method", &self.method);
        row("experts", &self.merging);
        row("values trained for the task", &self.parameters.to_string());
        row("base", self.base.as_deref().unwrap_or("not named"));
        row("hash of the base's files", &self.base_hash);
        for (name, value) in &self.scores {
            row(name, value);
        }
        text += &format!("\n## Loading\n\n```\n{}\n```\n", self.loading());
        text
    }

    fn loading(&self) -> String {
        let class = &self.architecture;
        let base = self.base.as_deref().unwrap_or("BASE");
        match self.holds {
            Holds::PeftAdapter => format!(
                "from peft import PeftModel\nfrom transformers import {class}\n\n\
                 base = {class}.from_pretrained({base:?})\n\
                 model = PeftModel.from_pretrained(base, \"THIS_FOLDER\").eval()"
            ),
            Holds::Model => format!(
                "from transformers import {class}\n\nmodel = {class}.from_pretrained(\"THIS_FOLDER\").eval()"
            ),
            Holds::OwnAdapter => format!(
                "adamix predict --model {base} --adapter THIS_FOLDER --input ROWS.jsonl --output PREDICTIONS.jsonl"
            ),
        }
    }
}

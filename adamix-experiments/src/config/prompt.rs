//! Asking the masked language model instead of training a new head.

use serde::{Deserialize, Serialize};

/// The template that takes the prompt of LM-BFF for the task.
pub const MANUAL: &str = "manual";

/// How a row is asked of the masked-LM head, which is trained with the adaptation; without a template there is a
/// fresh head instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prompt {
    /// Empty for none, `manual` for LM-BFF's of the task, or a template such as `{first} It was{mask}.`
    pub template: String,
    /// With a template of one's own: the word of each class, in order.
    pub words: Vec<String>,
    /// With a template of one's own: whether texts are lower-cased.
    pub lower: bool,
}

impl Prompt {
    /// Whether rows are asked by a prompt.
    pub fn is_given(&self) -> bool {
        !self.template.is_empty()
    }
}

//! A learned mixture for each task (Polytropon, Ponti et al. 2023).

use burn::tensor::activation::sigmoid;
use serde::Deserialize;

use crate::options::{OptionError, is_size};
use crate::routing::{
    Decision, Declared, Inference, Mix, RouterShape, RoutingContext, RoutingPolicy,
};

/// The parameters of the experts, mixed by `sigma(Z_t) / sum sigma(Z_t)`, where `Z` is a learned table of
/// tasks and experts. One task, a row of the table, is a run's; the mixture of a task is one module, so
/// merging by its weights loses nothing.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Task {
    /// Rows of the table.
    pub tasks: usize,
    /// The row of this run.
    pub task: usize,
}

impl Default for Task {
    fn default() -> Self {
        Self { tasks: 1, task: 0 }
    }
}

impl RoutingPolicy for Task {
    fn name(&self) -> &str {
        "task"
    }

    fn parameters(&self, shape: &RouterShape) -> Vec<Declared> {
        vec![Declared::new("tasks", self.tasks, shape.experts)]
    }

    fn decide(&self, context: &RoutingContext<'_>) -> Decision {
        let table = context.map("tasks").weight.val();
        let weights = sigmoid(table.narrow(0, self.task, 1));
        let weights = weights.clone() / weights.sum_dim(1);
        Decision::mixed(weights.unsqueeze_dim(0), Mix::Parameters)
    }

    fn native_inference(&self) -> Inference {
        Inference::Routed
    }

    fn check(&self) -> Result<(), OptionError> {
        is_size("tasks", self.tasks)?;
        if self.task >= self.tasks {
            let message = format!("{} is no row of a table of {}", self.task, self.tasks);
            return Err(OptionError::new("task", message));
        }
        Ok(())
    }
}

//! Runs that a table or figure is made of.

use adamix_core::routing::Inference;

use super::methods::Row;
use super::selector::Place;

/// A way to run a trained mixture, other than that of its own run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Random experts, drawn several times.
    Random,
    /// The first expert.
    Fixed,
    /// Mean of the diagonal paths.
    Ensemble,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Random, Self::Fixed, Self::Ensemble];

    /// The mode of inference.
    pub fn inference(self) -> Inference {
        match self {
            Self::Random => Inference::Random,
            Self::Fixed => Inference::Fixed,
            Self::Ensemble => Inference::Ensemble,
        }
    }

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Fixed => "fixed",
            Self::Ensemble => "ensemble",
        }
    }
}

/// Runs that an exhibit needs: a row on a task, over its seeds.
#[derive(Clone, Debug)]
pub struct Want {
    /// The exhibit.
    pub exhibit: String,
    /// The base model, as the paper names it.
    pub base: String,
    /// The row.
    pub row: Row,
    /// The task.
    pub task: String,
    /// How the trained model is measured beside its own way.
    pub modes: Vec<Mode>,
    /// Whether the first seed is traced, for the draws of its experts.
    pub traced: bool,
}

impl Want {
    /// Where its settings are looked up.
    pub fn place(&self) -> Place<'_> {
        Place {
            exhibit: &self.exhibit,
            base: &self.base,
            row: &self.row,
            task: &self.task,
        }
    }
}

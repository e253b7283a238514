//! What a table or figure of the paper is to this program.

use std::path::Path;

use adamix_core::routing::Inference;
use anyhow::Result;

use super::methods::Row;
use super::profile::{Place, Profile};
use super::view::View;
use crate::recipe::Sitting;
use crate::report::{Document, Figure};

/// A table, a figure, or a page of several.
pub trait Exhibit: Sync {
    /// Its name on the command line and in file names.
    fn name(&self) -> &'static str;

    /// What it shows, in a line.
    fn title(&self) -> &'static str;

    /// The runs that it is made of, under a profile.
    ///
    /// # Errors
    /// If the profile names a row or task that is not known.
    fn wants(&self, profile: &Profile) -> Result<Vec<Want>>;

    /// Measures what no run measures, such as bytes on disk, and writes it into the results folder; a measurement that
    /// is there stays.
    ///
    /// # Errors
    /// If it fails.
    fn measure(&self, profile: &Profile, results: &Path, sitting: &Sitting) -> Result<()> {
        let _ = (profile, results, sitting);
        Ok(())
    }

    /// Its tables.
    ///
    /// # Errors
    /// If a record contradicts itself.
    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>>;

    /// Its figures; those without a run yet are left out.
    ///
    /// # Errors
    /// If a record contradicts itself, or a figure cannot be drawn.
    fn figures(&self, view: &View<'_>) -> Result<Vec<Figure>> {
        let _ = view;
        Ok(Vec::new())
    }
}

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

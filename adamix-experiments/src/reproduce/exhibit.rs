//! What a table or figure of the paper is to this program.

use std::path::Path;

use anyhow::Result;

use super::profile::Profile;
use super::view::View;
use super::want::Want;
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

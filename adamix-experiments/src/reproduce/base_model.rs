//! What the base model's own tuning may have seen of each task: which scores are not those of a plainly pretrained one.

use anyhow::Result;

use super::exhibit::{Exhibit, Want};
use super::profile::Profile;
use super::view::View;
use crate::report::document::{Cell, Document, Heading, Line, Origin};

/// The page of the base model.
#[derive(Clone, Copy, Debug)]
pub struct BaseModel;

impl Exhibit for BaseModel {
    fn name(&self) -> &'static str {
        "base-model"
    }

    fn title(&self) -> &'static str {
        "What the base model's own tuning may touch"
    }

    fn wants(&self, _: &Profile) -> Result<Vec<Want>> {
        Ok(Vec::new())
    }

    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>> {
        let Some(seen) = &view.profile.seen else {
            return Ok(Vec::new());
        };
        let line = |(task, [how, what]): (&String, &[String; 2])| Line {
            key: task.clone(),
            label: task.clone(),
            origin: Origin::Plain,
            cells: vec![Cell::Text(how.clone()), Cell::Text(what.clone())],
        };
        Ok(vec![Document {
            name: self.name().to_owned(),
            title: format!("base-model: {}", self.title()),
            caption: vec![seen.source.clone()],
            corner: "Task".to_owned(),
            head: vec![
                Heading::new("touched", "touched"),
                Heading::new("what", "by what"),
            ],
            lines: seen.tasks.iter().map(line).collect(),
        }])
    }
}

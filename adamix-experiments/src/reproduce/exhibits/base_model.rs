//! What the base model's own tuning may have seen of each task: which scores are not those of a plainly pretrained one;
//! and what the base models that a profile trains itself came to.

use anyhow::Result;

use crate::report::document::{Cell, Document, Heading, Line, Origin};
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::profile::{Profile, Seen};
use crate::reproduce::view::View;
use crate::reproduce::want::Want;

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
        let seen = view.profile.seen.as_ref();
        let mut documents: Vec<Document> = seen.map(|seen| self.seen(seen)).into_iter().collect();
        if !view.profile.bases.is_empty() {
            documents.push(trained_here(view)?);
        }
        Ok(documents)
    }
}

impl BaseModel {
    fn seen(&self, seen: &Seen) -> Document {
        let line = |(task, [how, what]): (&String, &[String; 2])| Line {
            key: task.clone(),
            label: task.clone(),
            origin: Origin::Plain,
            cells: vec![Cell::Text(how.clone()), Cell::Text(what.clone())],
        };
        Document {
            name: self.name().to_owned(),
            title: format!("base-model: {}", self.title()),
            caption: vec![seen.source.clone()],
            corner: "Task".to_owned(),
            head: vec![
                Heading::new("touched", "touched"),
                Heading::new("what", "by what"),
            ],
            lines: seen.tasks.iter().map(line).collect(),
        }
    }
}

/// The base models that the profile trains itself.
fn trained_here(view: &View<'_>) -> Result<Document> {
    let mut lines = Vec::new();
    for own in &view.profile.bases {
        let record = own.record(view.records.folder())?;
        let mut cells = vec![Cell::NotRun; 6];
        if let Some(record) = &record {
            let count = |value: usize| Cell::number(value as f64, 0);
            cells[0] = count(record.parameters);
            cells[1] = count(record.steps);
            for (i, part) in record.held_out.iter().take(2).enumerate() {
                cells[2 + 2 * i] = Cell::number(part.perplexity, 1);
                cells[3 + 2 * i] = Cell::number(part.unigram_perplexity, 1);
            }
        }
        lines.push(Line {
            key: own.name().to_owned(),
            label: own.name().to_owned(),
            origin: Origin::Ours,
            cells,
        });
    }
    Ok(Document {
        name: "bases-trained-here".to_owned(),
        title: "base-model: base models trained here".to_owned(),
        caption: vec![
            "Perplexity at masked places on held-out rows of the books and on WikiText-2's test part, beside that of guessing by token frequencies. The encoder stays as it is where a head is trained."
                .to_owned(),
        ],
        corner: "Model".to_owned(),
        head: vec![
            Heading::new("parameters", "Trained"),
            Heading::new("steps", "Steps"),
            Heading::new("books", "Books"),
            Heading::new("books-unigram", "by frequency"),
            Heading::new("wikitext", "WikiText-2"),
            Heading::new("wikitext-unigram", "by frequency"),
        ],
        lines,
    })
}

//! One backbone, many tasks: what a further task costs on disk and in memory, measured; and the paper's 444 times.

mod measure;

use std::path::Path;

use adamix_models::encoder::EncoderConfig;
use anyhow::Result;

use crate::plot::{self, Curves, Series};
use crate::recipe::Sitting;
use crate::report::document::{Cell, Document, Figure, Heading, Line, Origin};
use crate::report::published::Published;
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::profile::Profile;
use crate::reproduce::view::View;
use crate::reproduce::want::Want;
use measure::{FILE, Measured};

/// The storage page.
#[derive(Clone, Copy, Debug)]
pub struct Storage;

/// Tasks on the horizontal axis and in the table.
const TASKS: [usize; 5] = [1, 2, 4, 8, 16];

/// RoBERTa-large in parameters: the encoder, the merged adapters, the head of three classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    base: usize,
    merged: usize,
    head: usize,
}

impl Counted {
    fn roberta_large() -> Self {
        let config = EncoderConfig::named("roberta-large").expect("a published architecture");
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |from: usize, to: usize| from * to + to;
        let embeddings =
            config.vocab_size + config.max_position_embeddings + config.type_vocab_size;
        let layer =
            4 * linear(hidden, hidden) + linear(hidden, inner) + linear(inner, hidden) + 4 * hidden;
        let merged = Published::get()
            .table("table1")
            .and_then(|t| t.row("adamix")?.count);
        Self {
            base: embeddings * hidden + 2 * hidden + config.num_hidden_layers * layer,
            merged: merged.expect("a test checks the published count"),
            head: linear(hidden, hidden) + linear(hidden, 3),
        }
    }
}

impl Exhibit for Storage {
    fn name(&self) -> &'static str {
        "storage"
    }

    fn title(&self) -> &'static str {
        "One backbone, many tasks: disk and memory"
    }

    fn wants(&self, _: &Profile) -> Result<Vec<Want>> {
        Ok(Vec::new())
    }

    fn measure(&self, profile: &Profile, results: &Path, sitting: &Sitting) -> Result<()> {
        if results.join(FILE).is_file() {
            return Ok(());
        }
        measure::measure(profile, sitting)?.write(results)
    }

    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>> {
        let counted = Counted::roberta_large();
        let mut lines = Vec::new();
        let mut row = |key: &str,
                       label: String,
                       origin,
                       parameters: usize,
                       bytes: usize,
                       full: (usize, usize),
                       base: Option<usize>| {
            let ratio = |whole: usize, part: usize| {
                Cell::Text(format!("{:.0}", whole as f64 / part as f64))
            };
            let mut cells = vec![
                Cell::Count(parameters),
                Cell::Count(bytes),
                ratio(full.0, parameters),
                ratio(full.1, bytes),
            ];
            cells.extend(TASKS.iter().map(|n| {
                // Full fine-tuning stores a model a task; an adapter needs the base once.
                let total = base.unwrap_or(0) + n * bytes;
                Cell::Number {
                    value: total as f64 / 1e6,
                    digits: 1,
                    sd: None,
                }
            }));
            lines.push(Line {
                key: key.to_owned(),
                label,
                origin,
                cells,
            });
        };
        let whole = counted.base + counted.head;
        let full = (whole, 4 * whole);
        // What has no head is set against a base without one.
        let bare = (counted.base, 4 * counted.base);
        row(
            "roberta-full",
            "RoBERTa-large, full fine-tuning, counted".into(),
            Origin::Plain,
            full.0,
            full.1,
            full,
            None,
        );
        let merged = counted.merged;
        let base = Some(4 * counted.base);
        row(
            "roberta-merged",
            "RoBERTa-large, AdaMix without head, counted".into(),
            Origin::Plain,
            merged,
            4 * merged,
            bare,
            base,
        );
        let with_head = merged + counted.head;
        row(
            "roberta-head",
            "RoBERTa-large, AdaMix with head, counted".into(),
            Origin::Plain,
            with_head,
            4 * with_head,
            full,
            base,
        );
        let found = Measured::read(view.records.folder())?;
        if let Some(found) = &found {
            let full = (found.base_parameters, found.full_bytes);
            let head = found.head_parameters;
            let bare = (full.0 - head, full.1 - 4 * head);
            row(
                "base-full",
                format!("{}, full fine-tuning", found.base),
                Origin::Ours,
                full.0,
                full.1,
                full,
                None,
            );
            for kind in &found.stored {
                row(
                    &kind.name,
                    format!("{}, {}", found.base, kind.label),
                    Origin::Ours,
                    kind.parameters,
                    kind.bytes,
                    if kind.with_head { full } else { bare },
                    Some(found.base_bytes),
                );
            }
        }
        let mut head = vec![
            Heading::new("parameters", "parameters a task"),
            Heading::new("bytes", "bytes a task"),
            Heading::new("ratio_parameters", "full / this, parameters"),
            Heading::new("ratio_bytes", "full / this, bytes"),
        ];
        head.extend(
            TASKS
                .iter()
                .map(|n| Heading::new(&format!("tasks_{n}"), &format!("{n} tasks, MB"))),
        );
        let mut documents = vec![Document {
            name: "storage".to_owned(),
            title: format!("storage: {}", self.title()),
            caption: vec![
                "The paper's 444 is 355.0 / 0.8 million parameters, heads left out. Bytes are another ratio: about 437 without the head, about 190 with RoBERTa-large's head, which is larger than the adapters.".to_owned(),
                "Counted: from shapes, f32. Ours: bytes of the files on this machine, headers included; the base's as it came (the embedded one in 16 bits), what was trained in f32. n tasks: with adapters the base is stored once.".to_owned(),
            ],
            corner: "What is stored".to_owned(),
            head,
            lines,
        }];
        documents.extend(found.as_ref().map(memory));
        Ok(documents)
    }

    fn figures(&self, view: &View<'_>) -> Result<Vec<Figure>> {
        let counted = Counted::roberta_large();
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        let mut figures = Vec::new();
        let mut draw = |name: &str,
                        title: &str,
                        [full, base]: [usize; 2],
                        kinds: &[(String, usize)],
                        caption: String,
                        note: String|
         -> Result<()> {
            let line = |label: &str, bytes: &dyn Fn(usize) -> usize| Series {
                name: label.to_owned(),
                points: (1..=16).map(|n| (n as f64, megabytes(bytes(n)))).collect(),
                marked: true,
                ..Series::default()
            };
            let mut series = vec![line("full fine-tuning", &|n| n * full)];
            series.extend(
                kinds
                    .iter()
                    .map(|(label, bytes)| line(label, &|n| base + n * bytes)),
            );
            let curves = Curves {
                title: String::new(),
                x_title: "tasks".to_owned(),
                y_title: "megabytes on disk".to_owned(),
                log: true,
                series,
            };
            figures.push(plot::figure(&curves, name, title, vec![caption], &note)?);
            Ok(())
        };
        let kinds = [
            (
                "AdaMix with heads".to_owned(),
                4 * (counted.merged + counted.head),
            ),
            ("AdaMix without heads".to_owned(), 4 * counted.merged),
        ];
        draw(
            "storage-roberta-large",
            "Storage as tasks grow, RoBERTa-large",
            [4 * (counted.base + counted.head), 4 * counted.base],
            &kinds,
            "RoBERTa-large, counted from shapes, f32, the same in every profile: no run, no seed, no rows. The base is stored once beside adapters."
                .to_owned(),
            format!("{} profile, RoBERTa-large: counted from shapes, no run", view.profile.name),
        )?;
        if let Some(found) = Measured::read(view.records.folder())? {
            let kinds: Vec<(String, usize)> = found
                .stored
                .iter()
                .map(|k| (k.label.clone(), k.bytes))
                .collect();
            draw(
                "storage",
                &format!("Storage as tasks grow, {}", found.base),
                [found.full_bytes, found.base_bytes],
                &kinds,
                format!(
                    "{} profile, {}: bytes of the files of one task, n = 1 of each kind, before any training: no seed and no rows; the base is stored once beside adapters.",
                    view.profile.name, found.base
                ),
                format!(
                    "{} profile, {}: bytes of files, n = 1 of each kind, no run",
                    view.profile.name, found.base
                ),
            )?;
        }
        Ok(figures)
    }
}

/// Memory of several tasks served from one base.
fn memory(found: &Measured) -> Document {
    let megabytes = |bytes: u64| Cell::number(bytes as f64 / 1e6, 1);
    let one = found.memory.iter().find(|point| point.tasks == 1);
    let lines = found
        .memory
        .iter()
        .map(|point| Line {
            key: format!("tasks-{}", point.tasks),
            label: match point.tasks {
                1 => "1 task".to_owned(),
                n => format!("{n} tasks"),
            },
            origin: Origin::Ours,
            cells: vec![
                megabytes(point.bytes),
                one.map_or(Cell::Empty, |one| megabytes(one.bytes * point.tasks as u64)),
            ],
        })
        .collect();
    Document {
        name: "memory".to_owned(),
        title: "memory: several tasks served at once".to_owned(),
        caption: vec![format!(
            "{}: the most resident memory that `adamix predict` had, in MB, each task having answered a row. One base: one process, an adapter with its head a task. A process each: as many processes of one task.",
            found.base
        )],
        corner: "Served".to_owned(),
        head: vec![
            Heading::new("shared", "one base, MB"),
            Heading::new("separate", "a process each, MB"),
        ],
        lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roberta_large_has_the_parameters_of_its_checkpoint() {
        let counted = Counted::roberta_large();
        // roberta-large without a pooler has 354,310,144 parameters; its head for three classes 1,052,675.
        assert_eq!((counted.base, counted.head), (354_310_144, 1_052_675));
        // Bytes go as parameters: with the head on both sides, and on neither.
        let with_head =
            (counted.base + counted.head) as f64 / (counted.merged + counted.head) as f64;
        assert!((with_head - 190.6).abs() < 0.1, "{with_head}");
        let without = counted.base as f64 / counted.merged as f64;
        assert!((without - 436.7).abs() < 0.1, "{without}");
    }
}

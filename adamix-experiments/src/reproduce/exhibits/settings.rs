//! Tables 15 and 16: the hyper-parameters of AdaMix, each with the source of its value.

use anyhow::Result;

use super::{table1, table2};
use crate::config::plain;
use crate::report::document::{Cell, Document, Heading, Line, Origin};
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::grid::Grid;
use crate::reproduce::methods;
use crate::reproduce::profile::Profile;
use crate::reproduce::settings::DEFAULT;
use crate::reproduce::view::View;
use crate::reproduce::want::Want;

/// Tables 15 and 16.
#[derive(Clone, Copy, Debug)]
pub struct Settings;

/// The keys that the tables list.
const KEYS: [&str; 14] = [
    "schedule.epochs",
    "schedule.batch_size",
    "optimizer.learning_rate",
    "seed",
    "consistency.weight",
    "adaptation.bottleneck",
    "adaptation.experts",
    "adaptation.share",
    "optimizer.weight_decay",
    "schedule.warmup_ratio",
    "optimizer.max_grad_norm",
    "optimizer.epsilon",
    "input.max_length",
    "backbone.dropout",
];

impl Exhibit for Settings {
    fn name(&self) -> &'static str {
        "table15"
    }

    fn title(&self) -> &'static str {
        "Hyper-parameters of AdaMix (the paper's tables 15 and 16)"
    }

    fn wants(&self, _: &Profile) -> Result<Vec<Want>> {
        Ok(Vec::new())
    }

    fn documents(&self, view: &View<'_>) -> Result<Vec<Document>> {
        let paper = Profile::named(PAPER)?;
        let own = view.profile.name != PAPER;
        let mut lines = Vec::new();
        for grid in [table1::EXHIBIT, table2::EXHIBIT] {
            let theirs = grid.tasks(&paper);
            let ours = match own {
                true => grid.tasks(view.profile),
                false => Vec::new(),
            };
            for task in &theirs {
                lines.push(line(&paper, &grid, task, Origin::Paper)?);
                if ours.contains(task) {
                    lines.push(line(view.profile, &grid, task, Origin::Ours)?);
                }
            }
            for task in ours.iter().filter(|task| !theirs.contains(task)) {
                lines.push(line(view.profile, &grid, task, Origin::Ours)?);
            }
        }
        let mut caption = vec![
            "Paper: what the profile `paper` sets for its runs, by the authors' released runs and scripts; the print of tables 15 and 16 is not known here. Each value with its source; `assumed` where neither the paper nor the authors' code or runs settle it.".to_owned(),
        ];
        if own {
            caption.push(format!("Ours: profile {}.", view.profile.name));
        }
        Ok(vec![Document {
            name: "table15".to_owned(),
            title: format!("table15 and table16: {}", self.title()),
            caption,
            corner: "Task and encoder".to_owned(),
            head: KEYS
                .iter()
                .map(|key| Heading::new(key, key.rsplit('.').next().unwrap_or(key)))
                .collect(),
            lines,
        }])
    }
}

/// The profile that has the paper's own settings.
const PAPER: &str = "paper";

/// AdaMix on a task under a profile: every value with its source.
fn line(profile: &Profile, grid: &Grid, task: &str, origin: Origin) -> Result<Line> {
    let want = grid.want(methods::row("adamix")?, task);
    let config = profile.config(want.place(), 1)?;
    let model = config.model.rsplit('/').next().unwrap_or_default();
    let label = format!("{task}, {model}, for {}", grid.table().number);
    let settings = profile.settings(want.place(), 1)?;
    let config = toml::Table::try_from(&config)?;
    let cell = |key: &&str| {
        let value = value(&config, key).map_or(String::new(), plain);
        let source = settings.sources.get(*key).map_or(DEFAULT, String::as_str);
        Cell::Text(format!("{value} ({source})"))
    };
    Ok(Line {
        key: format!("{}-{task}", grid.published),
        label,
        origin,
        cells: KEYS.iter().map(cell).collect(),
    })
}

fn value<'a>(table: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((first, rest)) => value(table.get(first)?.as_table()?, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Records;

    #[test]
    fn the_papers_values_stand_in_every_profile_with_their_sources() {
        for name in Profile::names() {
            let view = View {
                profile: &Profile::named(name).unwrap(),
                records: &Records::default(),
            };
            let documents = Settings.documents(&view).unwrap();
            let lines = &documents[0].lines;
            let of = |origin| lines.iter().filter(move |line| line.origin == origin);
            assert_eq!(of(Origin::Paper).count(), 16, "{name}");
            assert_eq!(of(Origin::Ours).count() > 0, name != PAPER, "{name}");
            let cell = |key: &str, column: &str| {
                let place = KEYS.iter().position(|key| *key == column).unwrap();
                let line = of(Origin::Paper).find(|line| line.key == key).unwrap();
                line.cells[place].text()
            };
            let rate = cell("table1-rte", "optimizer.learning_rate");
            assert_eq!(rate, "0.0005 (released run)");
            let length = cell("table2-cola", "input.max_length");
            assert_eq!(length, "128 (released script)");
            for line in lines {
                for cell in &line.cells {
                    assert!(!cell.text().ends_with("(default)"), "{}", line.label);
                }
            }
        }
    }
}

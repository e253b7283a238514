//! Tables 15 and 16: the hyper-parameters of AdaMix, each with the source of its value.

use anyhow::Result;

use super::{table1, table2};
use crate::report::document::{Cell, Document, Heading, Line, Origin};
use crate::reproduce::exhibit::Exhibit;
use crate::reproduce::methods;
use crate::reproduce::profile::Profile;
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
        let mut lines = Vec::new();
        for grid in [table1::EXHIBIT, table2::EXHIBIT] {
            let mut groups: Vec<(String, String, Vec<Cell>)> = Vec::new();
            for task in grid.tasks(view.profile) {
                let want = grid.want(methods::row("adamix")?, &task);
                let config = view.profile.config(want.place(), 1)?;
                let model = config.model.rsplit('/').next().unwrap_or_default();
                let label = format!("{task}, {model}, for {}", grid.table().number);
                let settings = view.profile.settings(want.place(), 1)?;
                let config = toml::Table::try_from(&config)?;
                let cell = |key: &&str| {
                    let value = value(&config, key).map_or(String::new(), |v| v.to_string());
                    let source = settings.sources.get(*key).map_or("default", String::as_str);
                    Cell::Text(format!("{} ({source})", value.trim_matches('"')))
                };
                let cells = KEYS.iter().map(cell).collect();
                groups.push((task.clone(), label, cells));
            }
            for (task, label, cells) in groups {
                lines.push(Line {
                    key: format!("{}-{task}", grid.published),
                    label,
                    origin: Origin::Plain,
                    cells,
                });
            }
        }
        Ok(vec![Document {
            name: "table15".to_owned(),
            title: format!("table15 and table16: {}", self.title()),
            caption: vec![format!(
                "Profile {}. Each value with its source; `assumed` where neither the paper nor the authors' code or runs settle it.",
                view.profile.name
            )],
            corner: "Task and encoder".to_owned(),
            head: KEYS
                .iter()
                .map(|key| Heading::new(key, key.rsplit('.').next().unwrap_or(key)))
                .collect(),
            lines,
        }])
    }
}

fn value<'a>(table: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((first, rest)) => value(table.get(first)?.as_table()?, rest),
    }
}

//! Named fidelities: what the paper's text has, and what the released code does; and controls, which are other methods'
//! losses.
//!
//! A preset is a macro over keys. A config that names one has its values unless it names others itself; of several the
//! later wins. The resolved config holds the keys alone, so a run with a preset is the run with its keys. What differs
//! between presets, and why, is in `docs/fidelity.md`.

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use super::overlay;

/// The presets by name, as TOML.
pub const PRESETS: [(&str, &str); 8] = [
    ("paper-bert", include_str!("../../presets/paper-bert.toml")),
    ("paper-gpt2", include_str!("../../presets/paper-gpt2.toml")),
    (
        "paper-roberta",
        include_str!("../../presets/paper-roberta.toml"),
    ),
    ("r-drop", include_str!("../../presets/r-drop.toml")),
    (
        "released-bert",
        include_str!("../../presets/released-bert.toml"),
    ),
    (
        "released-gpt2",
        include_str!("../../presets/released-gpt2.toml"),
    ),
    (
        "released-roberta",
        include_str!("../../presets/released-roberta.toml"),
    ),
    ("thor", include_str!("../../presets/thor.toml")),
];

/// Replaces the key `preset` of a config, a name or a list of names, by the presets' values.
pub fn expand(table: &mut Table) -> Result<()> {
    let Some(value) = table.remove("preset") else {
        return Ok(());
    };
    let names: Option<Vec<&str>> = match &value {
        Value::Array(names) => names.iter().map(Value::as_str).collect(),
        one => one.as_str().map(|name| vec![name]),
    };
    let names = names
        .with_context(|| format!("`preset` is {value}; it must be a name or a list of names"))?;
    let mut below = Table::new();
    for name in names {
        let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
            let names = PRESETS.map(|(known, _)| known).join(", ");
            bail!("unknown preset `{name}`; known presets: {names}");
        };
        overlay(&mut below, text.parse().expect("a preset is TOML"));
    }
    overlay(&mut below, core::mem::take(table));
    *table = below;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use adamix_core::objective::TaskLoss;

    use super::super::{read, resolve};
    use super::*;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fidelity.md");

    fn parsed(settings: &[&str]) -> super::super::RunConfig {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        read(None, &settings).unwrap()
    }

    #[test]
    fn a_preset_leaves_no_trace_but_its_keys() {
        for (name, text) in PRESETS {
            let by_name = parsed(&[&format!("preset={name}")]);
            assert_eq!(by_name, resolve(text.parse().unwrap()).unwrap(), "{name}");
            assert!(!toml::to_string(&by_name).unwrap().contains("preset"));
        }
        let own = parsed(&["preset=released-bert", "adaptation.bottleneck=7"]);
        assert_eq!(
            (own.adaptation.bottleneck, own.consistency.weight),
            (7, 0.0)
        );
        let error = read(None, &["preset=psychic".to_owned()]).unwrap_err();
        assert!(format!("{error:#}").contains("released-gpt2"), "{error:#}");
        let error = read(None, &["preset=[1]".to_owned()]).unwrap_err();
        assert!(format!("{error:#}").contains("list of names"), "{error:#}");
    }

    #[test]
    fn controls_go_on_top_of_fidelities() {
        let config = parsed(&[r#"preset=["released-roberta", "thor"]"#]);
        assert_eq!(config.adaptation.bottleneck, 16);
        assert_eq!(config.routing.policy, "stochastic-tied");
        assert_eq!(config.consistency.weight, 5.0);
        let config = parsed(&["preset=r-drop", "consistency.weight=3"]);
        assert!(!config.adaptation.method.mixture);
        assert_eq!(config.consistency.task_loss, TaskLoss::Both);
        assert_eq!(config.consistency.weight, 3.0);
    }

    /// `section.key` and its value, for every key of a preset.
    fn keys(text: &str) -> BTreeMap<String, Value> {
        let table: Table = text.parse().unwrap();
        let sections = table.into_iter().flat_map(|(section, values)| {
            let values = values.as_table().unwrap().clone().into_iter();
            values.map(move |(key, value)| (format!("{section}.{key}"), value))
        });
        sections.collect()
    }

    /// A cell's value: TOML, or a plain string.
    fn value(cell: &str) -> Value {
        let parsed = format!("v = {cell}").parse::<Table>();
        parsed.map_or_else(|_| cell.into(), |mut table| table.remove("v").unwrap())
    }

    /// The cells of every table of a document.
    fn tables(text: &str) -> Vec<Vec<Vec<String>>> {
        let lines: Vec<&str> = text.lines().collect();
        let blocks = lines.split(|line| !line.starts_with('|'));
        let cells = |line: &&str| {
            let cells = line.trim_matches('|').split('|');
            cells
                .map(|cell| cell.replace(['`', '*'], "").trim().to_owned())
                .collect()
        };
        let rows = |block: &[&str]| {
            let lines = block.iter().filter(|line| !line.starts_with("|--"));
            lines.map(cells).collect()
        };
        let blocks = blocks.filter(|block| !block.is_empty());
        blocks.map(rows).collect()
    }

    #[test]
    fn the_documents_tables_are_the_presets() {
        let text = std::fs::read_to_string(DOCUMENT).unwrap();
        let tables = tables(&text);
        for (name, text) in PRESETS {
            let place = |rows: &&Vec<Vec<String>>| rows[0].iter().any(|cell| cell == name);
            let rows = tables.iter().find(place).unwrap();
            let column = rows[0].iter().position(|cell| cell == name).unwrap();
            let documented: BTreeMap<String, Value> = rows[1..]
                .iter()
                .filter(|row| row[column] != "–")
                .map(|row| (row[0].clone(), value(&row[column])))
                .collect();
            assert_eq!(documented, keys(text), "{name}");
        }
    }
}

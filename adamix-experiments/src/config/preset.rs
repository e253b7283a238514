//! Named fidelities: what the paper's text has, and what the released code does.
//!
//! A preset is a macro over keys. A config that names one has its values unless it names others itself; the
//! resolved config holds the keys alone, so a run with a preset is the run with its keys. What differs
//! between presets, and why, is in `docs/fidelity.md`.

use anyhow::{Result, bail};
use toml::{Table, Value};

use super::overlay;

/// The presets by name, as TOML.
pub const PRESETS: [(&str, &str); 6] = [
    ("paper-bert", include_str!("../../presets/paper-bert.toml")),
    ("paper-gpt2", include_str!("../../presets/paper-gpt2.toml")),
    (
        "paper-roberta",
        include_str!("../../presets/paper-roberta.toml"),
    ),
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
];

/// Replaces the key `preset` of a config by the preset's values.
pub fn expand(table: &mut Table) -> Result<()> {
    let Some(value) = table.remove("preset") else {
        return Ok(());
    };
    let name = match &value {
        Value::String(name) => name.as_str(),
        other => bail!("`preset` is {other}; it must be a name"),
    };
    let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
        let names = PRESETS.map(|(known, _)| known).join(", ");
        bail!("unknown preset `{name}`; known presets: {names}");
    };
    let mut below: Table = text.parse().expect("a preset is TOML");
    overlay(&mut below, core::mem::take(table));
    *table = below;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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

    #[test]
    fn the_documents_table_is_the_presets() {
        let text = std::fs::read_to_string(DOCUMENT).unwrap();
        let rows: Vec<Vec<String>> = text
            .lines()
            .filter(|line| line.starts_with('|') && !line.starts_with("|--"))
            .map(|line| {
                let cells = line.trim_matches('|').split('|');
                cells
                    .map(|cell| cell.replace(['`', '*'], "").trim().to_owned())
                    .collect()
            })
            .collect();
        for (name, text) in PRESETS {
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

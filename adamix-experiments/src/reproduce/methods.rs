//! The rows of the paper's tables: what each trains.

use anyhow::{Context, Result};
use toml::Table;

use super::settings::DEFINITION;

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key, that of the published row where there is one.
    pub key: &'static str,
    /// Its heading.
    pub label: &'static str,
    /// The method whose settings it has.
    pub method: &'static str,
    /// What makes the method, as TOML; a profile may change sizes.
    definition: &'static str,
    /// What makes the row differ from its method, as TOML; nothing changes it.
    variation: &'static str,
    /// Where that is from.
    pub varied_by: &'static str,
}

/// The width of a row of which the paper prints parameters alone.
const COUNTED: &str = "assumed (the printed parameters are about this width)";

/// The width of a row that has a script for one task.
const SCRIPTED: &str = "Hu et al. 2021, scripts for MNLI";

/// Rows that are methods of their own.
const ROWS: [Row; 32] = [
    method("head", "Head only", "adaptation.method = 'head'"),
    method("full", "Full fine-tuning", "adaptation.method = 'full'"),
    method("adapter", "One adapter", "adaptation.method = 'adapter'"),
    method("adamix", "AdaMix", "adaptation.method = 'adamix'"),
    method("lora", "LoRA", "adaptation.method = 'lora'"),
    method(
        "adamix-lora",
        "AdaMix LoRA",
        "adaptation.method = 'adamix-lora'",
    ),
    method(
        "adamix-adapter",
        "AdaMix adapter",
        "adaptation.method = 'adamix'",
    ),
    sized(
        "pfeiffer-3m",
        "Pfeiffer adapter, 60",
        "adaptation.method = 'pfeiffer'",
        "adaptation.bottleneck = 60",
        COUNTED,
    ),
    sized(
        "pfeiffer-0.8m",
        "Pfeiffer adapter, 16",
        "adaptation.method = 'pfeiffer'",
        "adaptation.bottleneck = 16",
        SCRIPTED,
    ),
    sized(
        "houlsby-6m",
        "Houlsby adapter, 60",
        "adaptation.method = 'houlsby'",
        "adaptation.bottleneck = 60",
        COUNTED,
    ),
    sized(
        "houlsby-0.8m",
        "Houlsby adapter, 8",
        "adaptation.method = 'houlsby'",
        "adaptation.bottleneck = 8",
        SCRIPTED,
    ),
    method(
        "houlsby",
        "Houlsby adapter",
        "adaptation.method = 'houlsby'",
    ),
    method("bitfit", "BitFit", "adaptation.method = 'bitfit'"),
    method("prefix", "Prefix-tuning", "adaptation.method = 'prefix'"),
    method(
        "unipelt-ap",
        "UniPELT (AP)",
        "adaptation.method = 'unipelt-ap'",
    ),
    method(
        "unipelt-apl",
        "UniPELT (APL)",
        "adaptation.method = 'unipelt-apl'",
    ),
    method(
        "prompt-tuning",
        "Prompt-tuning",
        "adaptation.method = 'prompt'",
    ),
    method("list", "LiST adapter", "adaptation.method = 'list'"),
    method(
        "adapter-l-small",
        "Lin adapter L, small",
        "adaptation.method = 'lin'",
    ),
    method("adapter-l", "Lin adapter L", "adaptation.method = 'lin'"),
    method("prefix-layer", "PreLayer", "adaptation.method = 'prelayer'"),
    method("top2", "Top 2 layers", "adaptation.method = 'top'"),
    variant(
        "no-consistency",
        "Without consistency",
        "consistency.weight = 0.0",
    ),
    variant("no-sharing", "Without sharing", "adaptation.share = 'none'"),
    variant("share-up", "Up shared", "adaptation.share = 'up'"),
    variant("share-down", "Down shared", "adaptation.share = 'down'"),
    variant("m2", "M = 2", "adaptation.experts = 2"),
    variant("m4", "M = 4", "adaptation.experts = 4"),
    variant("m8", "M = 8", "adaptation.experts = 8"),
    variant("d8", "8", "adaptation.bottleneck = 8"),
    variant(
        "adamix-roberta-mini",
        "AdaMix on roberta-mini",
        ROBERTA_MINI,
    ),
    Row {
        variation: ROBERTA_MINI,
        ..method(
            "full-roberta-mini",
            "Full fine-tuning of roberta-mini",
            "adaptation.method = 'full'",
        )
    },
];

/// The encoder that the program carries, in place of a profile's own.
const ROBERTA_MINI: &str = "model = 'embedded'";

/// Widths of the bottleneck, beside `d8`.
const WIDTHS: [Row; 4] = [
    variant("d16", "16", "adaptation.bottleneck = 16"),
    variant("d32", "32", "adaptation.bottleneck = 32"),
    variant("d48", "48", "adaptation.bottleneck = 48"),
    variant("d64", "64", "adaptation.bottleneck = 64"),
];

/// A method of a printed width, which no profile changes.
const fn sized(
    key: &'static str,
    label: &'static str,
    definition: &'static str,
    variation: &'static str,
    varied_by: &'static str,
) -> Row {
    Row {
        variation,
        varied_by,
        ..method(key, label, definition)
    }
}

const fn method(key: &'static str, label: &'static str, definition: &'static str) -> Row {
    Row {
        key,
        label,
        method: key,
        definition,
        variation: "",
        varied_by: DEFINITION,
    }
}

/// AdaMix with a change.
const fn variant(key: &'static str, label: &'static str, variation: &'static str) -> Row {
    Row {
        key,
        label,
        method: "adamix",
        definition: "adaptation.method = 'adamix'",
        variation,
        varied_by: DEFINITION,
    }
}

/// A row by its key. Where the paper prints parameters and no width, the width is the one that they come to.
pub fn row(key: &str) -> Result<Row> {
    let mut known = ROWS.iter().chain(&WIDTHS);
    let found = known.find(|row| row.key == key).copied();
    found.with_context(|| {
        let names: Vec<&str> = ROWS.iter().chain(&WIDTHS).map(|row| row.key).collect();
        format!("unknown row `{key}`; known are {}", names.join(", "))
    })
}

/// The methods whose rows have this `adaptation.method`.
pub fn that_train(method: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for row in ROWS.iter().chain(&WIDTHS) {
        let definition = row.definition()?;
        let trained = definition["adaptation"]
            .get("method")
            .and_then(toml::Value::as_str);
        if trained == Some(method) && !found.iter().any(|known| known == row.method) {
            found.push(row.method.to_owned());
        }
    }
    Ok(found)
}

impl Row {
    /// What makes the method.
    pub fn definition(&self) -> Result<Table> {
        Ok(self.definition.parse()?)
    }

    /// What makes the row differ from its method.
    pub fn variation(&self) -> Result<Table> {
        Ok(self.variation.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_definitions_are_toml() {
        let mut keys: Vec<&str> = Vec::new();
        for row in ROWS.iter().chain(&WIDTHS) {
            assert!(
                row.definition().unwrap().contains_key("adaptation"),
                "{}",
                row.key
            );
            row.variation().unwrap();
            assert!(!keys.contains(&row.key), "{}", row.key);
            keys.push(row.key);
        }
        assert!(row("adamx").unwrap_err().to_string().contains("adamix"));
    }
}

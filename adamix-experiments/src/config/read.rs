//! From a TOML file and `--set key=value` to a resolved config; an unknown key is refused with the nearest
//! known one.

use std::path::Path;

use adamix_models::encoder::Pooling;
use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Custom, Kind, Method, Prompt, RunConfig, Search, default, overlay, preset, put};

/// Largest config that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a config file and applies the settings in order.
pub fn read(path: Option<&Path>, settings: &[String]) -> Result<RunConfig> {
    let mut table = match path {
        Some(path) => read_table(path)?,
        None => Table::new(),
    };
    for setting in settings {
        set(&mut table, setting)?;
    }
    let origin = path.map_or("--set".to_owned(), |p| p.display().to_string());
    resolve(table).with_context(|| origin)
}

/// A table of a config with `<name>.key=value` settings applied to it.
///
/// # Errors
/// If a key is not of that table or not known, or has a value of a wrong kind.
pub fn with_settings<T: Serialize + DeserializeOwned>(
    name: &str,
    table: T,
    settings: &[String],
) -> Result<T> {
    let table = Table::try_from(table).expect("a part of a config is a table");
    let mut whole = Table::from_iter([(name.to_owned(), Value::Table(table))]);
    for setting in settings {
        ensure!(
            setting.trim_start().starts_with(&format!("{name}.")),
            "--set {setting}: only keys of `{name}` can be set here"
        );
        set(&mut whole, setting)?;
    }
    let known = Table::try_from(RunConfig::default()).expect("the default config is a table");
    refuse_unknown("", &whole, &known)?;
    match whole.remove(name) {
        Some(Value::Table(table)) => typed(table),
        _ => bail!("`{name}` is no table"),
    }
}

/// A TOML file as a table, unchecked.
pub fn read_table(path: &Path) -> Result<Table> {
    let unreadable = || format!("{}: cannot be read", path.display());
    let length = std::fs::metadata(path).with_context(unreadable)?.len();
    ensure!(
        length <= MAX_BYTES,
        "{}: {length} bytes are no config; at most {MAX_BYTES} are read",
        path.display()
    );
    let text = std::fs::read_to_string(path).with_context(unreadable)?;
    let parsed = text.parse::<Table>();
    parsed.map_err(|e| anyhow::anyhow!("{}: {}", path.display(), one_line(e.to_string())))
}

/// A table as a type.
pub fn typed<T: DeserializeOwned>(table: Table) -> Result<T> {
    let typed = Value::Table(table).try_into();
    typed.map_err(|e: toml::de::Error| anyhow::anyhow!(one_line(e.to_string())))
}

/// Fills what a table leaves out and checks the whole.
pub fn resolve(mut table: Table) -> Result<RunConfig> {
    preset::expand(&mut table)?;
    let known = Table::try_from(RunConfig::default()).expect("the default config is a table");
    refuse_unknown("", &table, &known)?;
    let method = table.get("adaptation").and_then(|t| t.get("method"));
    let method = method.and_then(Value::as_str).and_then(|m| m.parse().ok());
    let defaults = method.map(Method::defaults).unwrap_or_default();
    let mut below = Table::from_iter([("adaptation".to_owned(), Value::Table(defaults))]);
    overlay(&mut below, table);
    let table = below;
    let mut config: RunConfig = typed(table.clone())?;
    default::fill(&mut config, &table);
    check(&config)?;
    Ok(config)
}

fn one_line(message: String) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts `key=value` at its place; the value is TOML, or else a plain string.
fn set(table: &mut Table, setting: &str) -> Result<()> {
    let (key, text) = setting
        .split_once('=')
        .with_context(|| format!("--set {setting}: expected key=value"))?;
    let value = format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut t| t.remove("v"));
    let value = value.unwrap_or_else(|| Value::String(text.to_owned()));
    put(table, key.trim(), value).with_context(|| format!("--set {setting}"))
}

fn refuse_unknown(prefix: &str, given: &Table, known: &Table) -> Result<()> {
    for (name, value) in given {
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match (value, known.get(name)) {
            // The settings of a policy or a rule are checked by their owner.
            (Value::Table(_), Some(Value::Table(free))) if free.is_empty() => {}
            (Value::Table(inner), Some(Value::Table(inner_known))) => {
                refuse_unknown(&path, inner, inner_known)?
            }
            (_, Some(_)) => {}
            (_, None) => {
                let root =
                    Table::try_from(RunConfig::default()).expect("the default config is a table");
                bail!(
                    "unknown key `{path}`; the nearest known key is `{}`",
                    nearest(&path, &keys("", &root))
                )
            }
        }
    }
    Ok(())
}

fn keys(prefix: &str, table: &Table) -> Vec<String> {
    let key = |name: &String| {
        if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        }
    };
    let inner = |(name, value): (&String, &Value)| match value {
        Value::Table(table) => keys(&key(name), table),
        _ => vec![key(name)],
    };
    table.iter().flat_map(inner).collect()
}

/// The key that a typing error most likely meant: compared whole, and by its last name alone.
fn nearest(wrong: &str, known: &[String]) -> String {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let likeness = |key: &str| {
        let whole = strsim::normalized_damerau_levenshtein(wrong, key);
        whole.max(strsim::normalized_damerau_levenshtein(
            &last(wrong),
            &last(key),
        ))
    };
    let best = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.cloned().unwrap_or_default()
}

/// What the types alone do not say.
fn check(config: &RunConfig) -> Result<()> {
    // A size that no machine has must fail here, not in an allocation.
    let within = |key: &str, value: usize, most: usize| {
        ensure!(
            (1..=most).contains(&value),
            "`{key}` is {value}; it must be at least 1 and at most {most}"
        );
        Ok(())
    };
    for (key, value) in [
        ("input.max_length", config.input.max_length),
        ("input.window", config.input.window),
        ("schedule.epochs", config.schedule.epochs),
        ("schedule.batch_size", config.schedule.batch_size),
        ("schedule.accumulation", config.schedule.accumulation),
        ("evaluation.batch_size", config.evaluation.batch_size),
        ("evaluation.paths", config.evaluation.paths),
    ] {
        within(key, value, 1 << 24)?;
    }
    config.adaptation.check()?;
    config.few_shot.check()?;
    let generation = &config.generation;
    within("generation.beams", generation.beams, 1 << 12)?;
    within("generation.new_tokens", generation.new_tokens, 1 << 24)?;
    within("generation.batch_size", generation.batch_size, 1 << 24)?;
    if let (Some(corpus), Kind::Head) = (config.corpus(), config.adaptation.method.kind) {
        bail!(
            "`adaptation.method` is `head`, but {} has none: a decoder's head is its embedding table",
            corpus.name()
        );
    }
    ensure!(
        config.corpus().is_none() || !config.prompt.is_given(),
        "`prompt.template` asks a masked language model; task `{}` is for decoders",
        config.task
    );
    ensure!(
        generation.length_penalty.is_finite(),
        "`generation.length_penalty` is {}; it must be a finite number",
        generation.length_penalty
    );
    ensure!(
        generation.search != Search::Sample
            || (generation.temperature > 0.0 && generation.top_p > 0.0 && generation.top_p <= 1.0),
        "sampling needs a `generation.temperature` above 0 (it is {}) and a `generation.top_p` above 0 and at most 1 (it is {})",
        generation.temperature,
        generation.top_p
    );
    let rate = |key: &str, value: f64| {
        ensure!(
            (0.0..1.0).contains(&value),
            "`{key}` is {value}; it must be at least 0 and below 1"
        );
        Ok(())
    };
    rate("input.held_out", config.input.held_out)?;
    ensure!(
        config.input.held_out == 0.0 || config.corpus().is_none(),
        "`input.held_out` is for classification and regression; {} has a development split",
        config.task
    );
    let is_own = config.task == "custom";
    ensure!(
        is_own || config.custom == Custom::default(),
        "`custom` names columns, which count with `task = \"custom\"` alone; the task is `{}`",
        config.task
    );
    ensure!(
        config.task != "synthetic" || config.data.is_empty(),
        "`data` is set, but the task is `synthetic`, which reads none; set `task`"
    );
    let few = &config.few_shot;
    let has_splits = !is_own && config.task != "synthetic" && config.corpus().is_none();
    ensure!(
        few.split == 0 || has_splits,
        "`few_shot.split` is {}: `{}` has no splits of LiST",
        few.split,
        config.task
    );
    ensure!(
        few.per_class == 0 || config.corpus().is_none(),
        "`few_shot.per_class` is {}: `{}` has no classes",
        few.per_class,
        config.task
    );
    ensure!(
        config.prompt.is_given() || config.prompt == Prompt::default(),
        "`prompt.words` and `prompt.lower` need a `prompt.template`"
    );
    rate("backbone.dropout", config.backbone.dropout)?;
    rate("generation.label_smoothing", generation.label_smoothing)?;
    rate("input.kept_for_merging", config.input.kept_for_merging)?;
    rate("merging.ema", config.merging.ema)?;
    rate("optimizer.beta1", config.optimizer.beta1)?;
    rate("optimizer.beta2", config.optimizer.beta2)?;
    ensure!(
        (0.0..=1.0).contains(&config.schedule.warmup_ratio),
        "`schedule.warmup_ratio` must be between 0 and 1"
    );
    for (key, value) in [
        ("optimizer.learning_rate", config.optimizer.learning_rate),
        ("optimizer.weight_decay", config.optimizer.weight_decay),
        ("optimizer.epsilon", config.optimizer.epsilon),
        ("optimizer.max_grad_norm", config.optimizer.max_grad_norm),
        ("consistency.weight", config.consistency.weight),
        ("generation.temperature", generation.temperature),
        ("generation.top_p", generation.top_p),
        ("checkpoint.minutes", config.checkpoint.minutes),
    ] {
        ensure!(
            value.is_finite() && value >= 0.0,
            "`{key}` is {value}; it must be a number of at least 0"
        );
    }
    ensure!(
        config.optimizer.epsilon > 0.0,
        "`optimizer.epsilon` is 0; it must be above 0, as what never had a gradient is divided by it"
    );
    let pools = config.backbone.pooling == Pooling::Pooler && !config.prompt.is_given();
    ensure!(
        pools || !config.backbone.train_pooler,
        "`backbone.train_pooler` is true, but no pooler is read; it needs `backbone.pooling = \"pooler\"` and no prompt"
    );
    config.routing.policy()?;
    config.merging.rule()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(settings: &[&str]) -> String {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        format!("{:#}", read(None, &settings).unwrap_err())
    }

    #[test]
    fn settings_reach_their_keys() {
        let settings = [
            "optimizer.learning_rate=3e-4",
            "task=mrpc",
            "adaptation.share=none",
            "backbone.train_pooler=true",
        ];
        let config = read(None, &settings.map(str::to_owned)).unwrap();
        assert_eq!(config.optimizer.learning_rate, 3e-4);
        assert_eq!(config.task, "mrpc");
        assert_eq!(
            config.adaptation.share,
            adamix_core::adaptation::Share::None
        );
        assert!(config.backbone.train_pooler);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        assert_eq!(
            error(&["optimizer.lerning_rate=1"]),
            "--set: unknown key `optimizer.lerning_rate`; the nearest known key is `optimizer.learning_rate`"
        );
        assert!(error(&["bottleneck=3"]).contains("`adaptation.bottleneck`"));
    }

    #[test]
    fn values_of_a_wrong_kind_are_named() {
        assert!(error(&["adaptation.share=sideways"]).contains("sideways"));
        assert!(error(&["schedule.epochs=0"]).contains("schedule.epochs"));
        assert!(error(&["routing.policy=psychic"]).contains("stochastic"));
        assert!(error(&["optimizer.epsilon=0"]).contains("`optimizer.epsilon` is 0"));
        let pooler = error(&["backbone.train_pooler=true", "backbone.pooling=mean"]);
        assert!(
            pooler.contains("`backbone.pooling = \"pooler\"`"),
            "{pooler}"
        );
    }

    #[test]
    fn a_printed_config_reads_back() {
        let config = RunConfig::default();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(resolve(text.parse().unwrap()).unwrap(), config);
    }
}

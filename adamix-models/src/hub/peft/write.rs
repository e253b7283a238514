//! A [`PortableAdapter`] as a PEFT folder that Python loads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use adamix_core::account::MARK;
use adamix_core::parameter::HostTensor;
use serde_json::{Map, Value, json};

use super::{CONFIG, OWN_KIND, PROMPTED, TENSORS, WRAPPED, shortest_names};
use crate::hub::adapter::AdapterConfig;
use crate::hub::write::{self, Precision};
use crate::hub::{FactorSide, HubError, Layout, LowRankUpdate, PortableAdapter};

/// What a folder says of the model that the adapter belongs on.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `SEQ_CLS` or `CAUSAL_LM`.
    pub task_type: &'static str,
    /// Where Python finds the base, if that is known.
    pub base: Option<String>,
    /// How the base's files lay out the adapted maps.
    pub layout: Layout,
    /// All modules of the model that an adapter could be on, by path.
    pub modules: Vec<String>,
    /// Attention heads, for prefixes.
    pub heads: usize,
    /// Layers, for prefixes.
    pub layers: usize,
}

/// Why a PEFT folder cannot hold an adapter, or `None` if it can.
pub fn refusal(adapter: &PortableAdapter) -> Option<String> {
    let kinds = [
        !adapter.low_rank.is_empty(),
        !adapter.factors.is_empty(),
        adapter.prefix.is_some(),
    ];
    match kinds.into_iter().filter(|has| *has).count() {
        0 => return Some("it holds no LoRA, (IA)³ or prefix".to_owned()),
        1 => {}
        _ => return Some("it mixes several kinds of adaptation".to_owned()),
    }
    if let Some(table) = adapter
        .parameters
        .keys()
        .find(|name| name.ends_with("wte.weight"))
    {
        return Some(format!(
            "it trains `{table}`, of which Python's `peft` makes a copy that the head does not follow"
        ));
    }
    let alone = |name: &&String| {
        let module = module_of(name);
        !is_head(module) && adapter.modules().any(|adapted| adapted == module)
    };
    let name = adapter.parameters.keys().find(alone)?;
    Some(format!(
        "it trains `{name}` beside what it adds to that module"
    ))
}

/// Writes the folder; the configuration goes last, so a folder with one is whole.
///
/// # Errors
/// If one folder cannot hold the adapter ([`refusal`]), or cannot be written.
pub fn save(folder: &Path, adapter: &PortableAdapter, setting: &Setting) -> Result<(), HubError> {
    if let Some(reason) = refusal(adapter) {
        return Err(HubError::Format {
            path: folder.to_owned(),
            message: format!("not writable as a PEFT folder: {reason}"),
        });
    }
    let (mut config, mut tensors) = if adapter.prefix.is_some() {
        prefix(adapter, setting)
    } else if adapter.factors.is_empty() {
        low_rank(adapter, setting)
    } else {
        factors(adapter, setting)
    };
    let start = if adapter.prefix.is_some() {
        PROMPTED
    } else {
        WRAPPED
    };
    for (name, tensor) in &adapter.parameters {
        tensors.insert(format!("{start}{name}"), tensor.clone());
    }
    config.insert(
        "modules_to_save".to_owned(),
        saved_modules(adapter.parameters.keys()),
    );
    write_folder(folder, config, &tensors, setting)
}

/// Writes an adapter that `peft` has no type for: the same two files, tensors under this program's names.
pub fn save_own_kind(
    folder: &Path,
    about: &AdapterConfig,
    tensors: &BTreeMap<String, HostTensor>,
    setting: &Setting,
) -> Result<(), HubError> {
    let sites = about
        .attachments
        .iter()
        .flat_map(|attachment| &attachment.sites);
    let parameters = tensors.keys().filter(|name| !name.contains(MARK));
    let config = json!({
        "peft_type": OWN_KIND,
        "target_modules": sites.collect::<Vec<_>>(),
        "modules_to_save": saved_modules(parameters),
    });
    write_folder(folder, table(config), tensors, setting)
}

fn write_folder(
    folder: &Path,
    mut config: Map<String, Value>,
    tensors: &BTreeMap<String, HostTensor>,
    setting: &Setting,
) -> Result<(), HubError> {
    config.insert("task_type".to_owned(), json!(setting.task_type));
    config.insert("base_model_name_or_path".to_owned(), json!(setting.base));
    config.insert("inference_mode".to_owned(), json!(true));
    write::safetensors(&folder.join(TENSORS), tensors, Precision::F32)?;
    let json = serde_json::to_string_pretty(&Value::Object(config)).expect("a table serialises");
    write::atomic(&folder.join(CONFIG), (json + "\n").as_bytes())
}

/// The modules whose parameters are stored whole; a head is one module, whatever it is made of.
fn saved_modules<'a>(parameters: impl Iterator<Item = &'a String>) -> Value {
    let module = |name: &'a String| {
        let module = module_of(name);
        if is_head(module) {
            "classifier"
        } else {
            module
        }
    };
    let modules: BTreeSet<&str> = parameters.map(module).collect();
    if modules.is_empty() {
        Value::Null
    } else {
        json!(modules)
    }
}

fn module_of(parameter: &str) -> &str {
    parameter
        .rsplit_once('.')
        .map_or(parameter, |(module, _)| module)
}

fn is_head(module: &str) -> bool {
    module == "classifier" || module.starts_with("classifier.")
}

type Parts = (Map<String, Value>, BTreeMap<String, HostTensor>);

fn low_rank(adapter: &PortableAdapter, setting: &Setting) -> Parts {
    let mut tensors = BTreeMap::new();
    for (module, update) in &adapter.low_rank {
        tensors.insert(format!("{WRAPPED}{module}.lora_A.weight"), update.a.clone());
        tensors.insert(format!("{WRAPPED}{module}.lora_B.weight"), update.b.clone());
    }
    let alpha = |update: &LowRankUpdate| whole(update.scale * update.rank() as f64);
    let first = adapter.low_rank.values().next().expect("an update");
    let (mut ranks, mut alphas) = (Map::new(), Map::new());
    for (module, update) in &adapter.low_rank {
        // A path as a pattern: its dots are meant as dots.
        let pattern = module.replace('.', r"\.");
        if update.rank() != first.rank() {
            ranks.insert(pattern.clone(), json!(update.rank()));
        }
        if alpha(update) != alpha(first) {
            alphas.insert(pattern, alpha(update));
        }
    }
    let config = json!({
        "peft_type": "LORA",
        "r": first.rank(),
        "lora_alpha": alpha(first),
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "use_rslora": false,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": setting.layout == Layout::InOut,
        "target_modules": names(adapter.low_rank.keys(), setting),
    });
    (table(config), tensors)
}

fn factors(adapter: &PortableAdapter, setting: &Setting) -> Parts {
    let mut tensors = BTreeMap::new();
    for (module, factors) in &adapter.factors {
        let count = factors.values.len();
        let tensor = HostTensor {
            shape: match factors.side {
                FactorSide::Input => vec![1, count],
                FactorSide::Output => vec![count, 1],
            },
            values: factors.values.clone(),
        };
        tensors.insert(format!("{WRAPPED}{module}.ia3_l"), tensor);
    }
    let inputs = adapter.factors.iter();
    let inputs = inputs
        .filter(|(_, f)| f.side == FactorSide::Input)
        .map(|(m, _)| m);
    let feedforward: Vec<&String> = inputs.collect();
    // PEFT wants the feed-forward names to be among the target names, as text: whole paths always are.
    let config = json!({
        "peft_type": "IA3",
        "target_modules": adapter.factors.keys().collect::<Vec<_>>(),
        "feedforward_modules": feedforward,
        "fan_in_fan_out": setting.layout == Layout::InOut,
    });
    (table(config), tensors)
}

fn prefix(adapter: &PortableAdapter, setting: &Setting) -> Parts {
    let prefix = adapter.prefix.as_ref().expect("a prefix");
    let width = prefix.shape[1] / (2 * setting.layers);
    let config = json!({
        "peft_type": "PREFIX_TUNING",
        "num_virtual_tokens": prefix.shape[0],
        "token_dim": width,
        "encoder_hidden_size": width,
        "num_layers": setting.layers,
        "num_attention_heads": setting.heads,
        "num_transformer_submodules": 1,
        "prefix_projection": false,
    });
    let tensors = BTreeMap::from([("prompt_embeddings".to_owned(), prefix.clone())]);
    (table(config), tensors)
}

fn names<'a>(modules: impl Iterator<Item = &'a String>, setting: &Setting) -> Vec<String> {
    shortest_names(&modules.cloned().collect::<Vec<_>>(), &setting.modules)
}

/// A whole number without a fraction, as PEFT writes its alphas.
fn whole(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

fn table(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(table) => table,
        other => unreachable!("a table was written, not {other}"),
    }
}

//! Between a [`PortableAdapter`] and the adaptations that sit at a model's places.

use std::collections::{BTreeMap, BTreeSet};

use adamix_core::account::MARK;
use adamix_core::adaptation::{
    Adaptation, LowRank, LowRankConfig, Prefix, PrefixConfig, Scale, ScaleConfig, ScaledSide,
};
use adamix_core::linear::Linear;
use adamix_core::parameter::{self, HostTensor};
use adamix_keys::Key;
use burn::module::Module;
use burn::tensor::Device;
use thiserror::Error;

use super::{FactorSide, Factors, FoldError, Layout, LowRankUpdate, PortableAdapter, fold_into};
use crate::site::{Adaptable, Role, Slot};

/// Why an adaptation has no portable form.
#[derive(Debug, Error, PartialEq)]
pub enum UnportableError {
    /// Another kind of module.
    #[error("`{site}` holds a {kind} adaptation: {reason}")]
    Kind {
        /// The place.
        site: String,
        /// What sits there.
        kind: &'static str,
        /// Why that cannot be said in terms of the base's maps.
        reason: &'static str,
    },
    /// A trained parameter that no portable form has, such as a gate's.
    #[error("parameter `{0}` would be dropped")]
    Parameter(String),
    /// A map that is adapted as a whole and in its parts.
    #[error("`{0}` is adapted as a whole and in its parts, which no portable adapter holds")]
    Overlap(String),
    /// A mixture of several experts.
    #[error("`{site}` has {experts} experts: merge them or choose one")]
    Mixture {
        /// The place.
        site: String,
        /// How many.
        experts: usize,
    },
}

/// The parts of a map that makes queries, keys and values, in the order of its output.
const PARTS: [&str; 3] = ["q", "k", "v"];

/// What a model's adaptations do; `parameters` are the trained ones of the base and the head.
///
/// # Errors
/// Names the first place whose adaptation is no low-rank update, scaling or prefix with a single expert.
pub fn portable<M: Adaptable>(
    model: &M,
    parameters: BTreeMap<String, HostTensor>,
) -> Result<PortableAdapter, UnportableError> {
    // A clone copies no tensor.
    let mut model = model.clone();
    let mut adapter = PortableAdapter {
        parameters: whole_modules(&model, parameters),
        ..PortableAdapter::default()
    };
    let mut parts: BTreeMap<String, [Option<Adaptation>; 3]> = BTreeMap::new();
    let mut prefixes = Vec::new();
    let mut layers = 0;
    for info in parameter::parameters(&model) {
        let known = |part: &str| ["down", "up", "scale", "key", "value"].contains(&part);
        if let Some((_, own)) = info.name.split_once(MARK)
            && !own.split('.').any(known)
            && !own.contains("gate")
        {
            return Err(UnportableError::Parameter(info.name));
        }
    }
    for slot in model.slots() {
        layers += usize::from(slot.role == Role::Attention);
        let Some(held) = slot.holds.clone() else {
            continue;
        };
        check(&slot.path(), &held)?;
        match (&held, slot.part) {
            (Adaptation::Prefix(prefix), _) => prefixes.push((slot.site, prefix.clone())),
            (_, Some(part)) => {
                let place = PARTS.iter().position(|p| *p == part).expect("a known part");
                parts.entry(slot.site).or_default()[place] = Some(held);
            }
            (Adaptation::LowRank(module), None) => {
                adapter.low_rank.insert(slot.site, update(module));
            }
            (Adaptation::Scale(module), None) => {
                adapter.factors.insert(slot.site, factors(module));
            }
            _ => unreachable!("checked"),
        }
    }
    for (site, parts) in parts {
        if adapter.low_rank.contains_key(&site) || adapter.factors.contains_key(&site) {
            return Err(UnportableError::Overlap(site));
        }
        fuse(&mut adapter, site, parts);
    }
    if let Some((site, _)) = prefixes.first()
        && prefixes.len() != layers
    {
        return Err(UnportableError::Kind {
            site: site.clone(),
            kind: "prefix",
            reason: "a portable prefix is in every layer",
        });
    }
    let prefixes: Vec<Prefix> = prefixes.into_iter().map(|(_, prefix)| prefix).collect();
    adapter.prefix = (!prefixes.is_empty()).then(|| whole_prefix(&prefixes));
    Ok(adapter)
}

/// The parameters with all others of their modules: Python's `peft` saves and loads a module whole.
fn whole_modules<M: Adaptable>(
    model: &M,
    parameters: BTreeMap<String, HostTensor>,
) -> BTreeMap<String, HostTensor> {
    let module = |name: &str| name.rsplit_once('.').map(|(module, _)| module.to_owned());
    let modules: BTreeSet<_> = parameters.keys().map(|name| module(name)).collect();
    let mut whole = parameter::export(model, |info| {
        !info.name.contains(MARK) && modules.contains(&module(&info.name))
    });
    whole.extend(parameters);
    whole
}

fn check(site: &str, held: &Adaptation) -> Result<(), UnportableError> {
    let refuse = |reason| UnportableError::Kind {
        site: site.to_owned(),
        kind: held.config().kind(),
        reason,
    };
    match held {
        Adaptation::Bottleneck(_) => {
            return Err(refuse(
                "an activation stands between its projections, so no weight of the base can hold it",
            ));
        }
        Adaptation::VirtualTokens(_) => {
            return Err(refuse("tokens of its own stand before the text"));
        }
        Adaptation::LowRank(module) if module.gate.is_some() => {
            return Err(refuse("a gate scales it by what it reads"));
        }
        Adaptation::Prefix(module) if module.gate.is_some() => {
            return Err(refuse("a gate scales it by what it reads"));
        }
        Adaptation::Prefix(module) if module.position_shift() == 0 => {
            return Err(refuse(
                "it leaves the tokens' positions as they are, a portable one is their past",
            ));
        }
        _ => {}
    }
    let (down, up) = held.counts();
    if down.max(up) > 1 {
        return Err(UnportableError::Mixture {
            site: site.to_owned(),
            experts: down.max(up),
        });
    }
    Ok(())
}

fn update(module: &LowRank) -> LowRankUpdate {
    LowRankUpdate {
        a: file_layout(&module.down.experts[0]),
        b: file_layout(&module.up.experts[0]),
        scale: module.scale(),
    }
}

fn factors(module: &Scale) -> Factors {
    Factors {
        values: file_layout(&module.scale.experts[0]).values,
        side: match module.config().side {
            ScaledSide::Input => FactorSide::Input,
            ScaledSide::Output => FactorSide::Output,
        },
    }
}

/// The parts of one map as one update or one vector of factors.
fn fuse(adapter: &mut PortableAdapter, site: String, parts: [Option<Adaptation>; 3]) {
    let low_rank = parts.each_ref().map(|part| match part {
        Some(Adaptation::LowRank(module)) => Some(update(module)),
        _ => None,
    });
    if low_rank.iter().any(Option::is_some) {
        let low_rank = low_rank.each_ref().map(Option::as_ref);
        let whole = LowRankUpdate::stacked(&low_rank);
        adapter.low_rank.insert(site.clone(), whole);
    }
    let scaled = parts.each_ref().map(|part| match part {
        Some(Adaptation::Scale(module)) => Some(factors(module).values),
        _ => None,
    });
    if let Some(width) = scaled.iter().flatten().map(Vec::len).next() {
        let part = |values: Option<Vec<f32>>| values.unwrap_or_else(|| vec![1.0; width]);
        let factors = Factors {
            values: scaled.into_iter().flat_map(part).collect(),
            side: FactorSide::Output,
        };
        adapter.factors.insert(site, factors);
    }
}

/// One row a token: each layer's key, then its value.
fn whole_prefix(layers: &[Prefix]) -> HostTensor {
    let table = |linear: &Linear| linear.weight.val().into_data().convert::<f32>();
    let tables: Vec<Vec<f32>> = layers
        .iter()
        .flat_map(|layer| [&layer.key, &layer.value])
        .map(|bank| table(&bank.experts[0]).try_into_vec().expect("f32 values"))
        .collect();
    let [tokens, width] = layers[0].key.experts[0].shape();
    let mut values = Vec::with_capacity(tokens * tables.len() * width);
    for token in 0..tokens {
        for table in &tables {
            values.extend_from_slice(&table[token * width..(token + 1) * width]);
        }
    }
    HostTensor {
        shape: vec![tokens, tables.len() * width],
        values,
    }
}

/// A model with an adapter on it. What the model has a place for stays a module of its own, and the base is
/// shared with `model`; an update of another map (a pooler's) is folded into a copy of that map.
///
/// # Errors
/// If the adapter does not fit the model.
pub fn attach<M: Adaptable>(
    mut model: M,
    adapter: &PortableAdapter,
    layout: Layout,
    device: &Device,
) -> Result<M, FoldError> {
    let mut rest = adapter.clone();
    let mut layers = 0;
    for slot in model.slots() {
        if slot.role == Role::Attention {
            if let Some(prefix) = &adapter.prefix {
                *slot.holds = layer_prefix(prefix, layers, slot.widths[1], device);
            }
            layers += 1;
            continue;
        }
        if slot.part.is_some() {
            continue;
        }
        if let Some(update) = rest.low_rank.remove(&slot.site) {
            fits(&slot, &update.features(), &slot.widths)?;
            *slot.holds = Some(low_rank(&update, device));
        } else if let Some(factors) = rest.factors.remove(&slot.site) {
            let width = match factors.side {
                FactorSide::Input => slot.widths[0],
                FactorSide::Output => slot.widths[1],
            };
            fits(&slot, &[factors.values.len()], &[width])?;
            *slot.holds = Some(scale(&factors, device));
        }
    }
    if let Some(prefix) = rest.prefix.take() {
        let attention = model
            .slots()
            .into_iter()
            .find(|slot| slot.role == Role::Attention);
        let slot = attention.expect("a model has attention");
        let found = prefix.shape[1];
        fits(&slot, &[found], &[2 * layers * slot.widths[1]])?;
        model.shift_positions(prefix.shape[0]);
    }
    fold_into(model, &rest, layout)
}

fn fits(slot: &Slot<'_>, found: &[usize], expected: &[usize]) -> Result<(), FoldError> {
    if found == expected {
        return Ok(());
    }
    Err(FoldError::Features {
        tensor: slot.site.clone(),
        found: found.to_vec(),
        expected: expected.to_vec(),
    })
}

fn low_rank(update: &LowRankUpdate, device: &Device) -> Adaptation {
    let rank = update.rank();
    let config = LowRankConfig::new(rank)
        .with_alpha(update.scale * rank as f64)
        .with_experts(1);
    let mut module = config.init(update.features(), Key::new(0), device);
    module.down.experts = vec![memory_layout(&update.a, device)];
    module.up.experts = vec![memory_layout(&update.b, device)];
    Adaptation::LowRank(module.no_grad())
}

fn scale(factors: &Factors, device: &Device) -> Adaptation {
    let side = match factors.side {
        FactorSide::Input => ScaledSide::Input,
        FactorSide::Output => ScaledSide::Output,
    };
    let width = factors.values.len();
    let mut module = ScaleConfig::new()
        .with_side(side)
        .init([width, width], device);
    let shape = [1, width];
    module.scale.experts = vec![Linear::from_values(
        shape,
        factors.values.clone(),
        None,
        device,
    )];
    Adaptation::Scale(module.no_grad())
}

/// A layer's part of a prefix, or `None` if the prefix has no such layer.
fn layer_prefix(
    prefix: &HostTensor,
    layer: usize,
    width: usize,
    device: &Device,
) -> Option<Adaptation> {
    let (tokens, row) = (prefix.shape[0], prefix.shape[1]);
    let table = |half: usize| {
        let start = (2 * layer + half) * width;
        let rows = prefix.values.chunks(row);
        let values: Option<Vec<&[f32]>> = rows.map(|r| r.get(start..start + width)).collect();
        Some(Linear::from_values(
            [tokens, width],
            values?.concat(),
            None,
            device,
        ))
    };
    let config = PrefixConfig::new(tokens).with_shift_positions(true);
    let mut module = config.init(width, Key::new(0), device);
    module.key.experts = vec![table(0)?];
    module.value.experts = vec![table(1)?];
    Some(Adaptation::Prefix(module.no_grad()))
}

/// A projection's weight as files have it, `[output, input]`.
fn file_layout(linear: &Linear) -> HostTensor {
    let [input, output] = linear.shape();
    let data = linear
        .weight
        .val()
        .without_autodiff()
        .transpose()
        .into_data();
    HostTensor {
        shape: vec![output, input],
        values: data.convert::<f32>().try_into_vec().expect("f32 values"),
    }
}

/// The projection of a weight that files have `[output, input]`.
fn memory_layout(tensor: &HostTensor, device: &Device) -> Linear {
    let (output, input) = (tensor.shape[0], tensor.shape[1]);
    let mut values = Vec::with_capacity(tensor.values.len());
    for i in 0..input {
        values.extend((0..output).map(|o| tensor.values[o * input + i]));
    }
    Linear::from_values([input, output], values, None, device)
}

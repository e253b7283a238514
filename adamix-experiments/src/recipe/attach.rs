//! What is put on a base model of any kind, and how it is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use adamix_core::account::MARK;
use adamix_core::parameter::{self, HostTensor};
use adamix_keys::Key;
use adamix_models::hub::adapter::{self, AdapterConfig};
use adamix_models::hub::{HubError, StoredAdapter, affine_modules};
use adamix_models::site::{Adaptable, layer_of};
use anyhow::{Context, Result, ensure};
use burn::tensor::Device;

use super::adapted::is_head;
use crate::config::RunConfig;

/// Refuses a run whose texts have no room.
pub(super) fn check_room(longest: usize, config: &RunConfig) -> Result<()> {
    ensure!(
        longest > 2,
        "`input.max_length` is {} and `adaptation.length` {}: {longest} of the model's positions are left for a text",
        config.input.max_length,
        config.adaptation.length
    );
    Ok(())
}

/// A model with the adapter of a folder on it.
///
/// # Errors
/// If the adapter does not fit, or lacks a tensor. What must be there is told by name: where nothing can be
/// trained, no parameter says that it is.
pub(super) fn wearing<M: Adaptable>(
    model: M,
    folder: &Path,
    config: &AdapterConfig,
    tensors: BTreeMap<String, HostTensor>,
    device: &Device,
) -> Result<M> {
    let values = tensors.values().map(|tensor| tensor.values.len()).sum();
    config.check_on(&model, values, &folder.join(adapter::CONFIG))?;
    let model = (model.attach(&config.attachments, 0, Key::new(0), device))
        .with_context(|| folder.display().to_string())?;
    // Parameters of the base that were trained are in the file too.
    let model = parameter::set_trainable(model, |info| {
        info.trainable || tensors.contains_key(&info.name)
    });
    let path = folder.join(adapter::TENSORS);
    let missing = parameter::parameters(&model)
        .into_iter()
        .find(|p| (p.name.contains(MARK) || is_head(&p.name)) && !tensors.contains_key(&p.name));
    if let Some(info) = missing {
        let tensor = info.name;
        return Err(HubError::Missing { path, tensor }.into());
    }
    let model =
        parameter::assign(model, tensors).map_err(|source| HubError::Parameter { path, source })?;
    Ok(model)
}

/// A model with an adaptation on it: what is attached is fresh, and what the method trains is trainable.
pub fn adapt<M: Adaptable>(model: M, config: &RunConfig, key: Key, device: &Device) -> Result<M> {
    let adaptation = &config.adaptation;
    let layers = adaptation.layers;
    let infos = parameter::parameters(&model);
    let there = infos.iter().filter_map(|info| layer_of(&info.name)).max();
    let there = there.map_or(0, |last| last + 1);
    ensure!(
        layers <= there,
        "`adaptation.layers` is {layers}; the model has {there} layers"
    );
    let model = model.attach(&adaptation.attachments(), layers, key, device)?;
    let model = model.route(config.routing.policy()?.as_ref(), key, device)?;
    Ok(model.train_base(&adaptation.unfrozen(), layers)?)
}

/// The model with its frozen maps in `bf16` if it is to be `halved`. Norms, tables and all that is trained stay in 32
/// bits.
pub fn stored<M: Adaptable>(model: M, halved: bool) -> M {
    match halved {
        true => halve(model, |_| false),
        false => model,
    }
}

/// A model that serves, with an adapter on it, stored as it was when the adapter was trained. Nothing can be trained
/// here, so what was is told by the adapter.
pub(super) fn served<M: Adaptable>(model: M, adapter: &StoredAdapter) -> M {
    let halved = (adapter.config.as_ref()).is_some_and(|config| config.halved);
    let was_trained = |name: &str| {
        is_head(name) || name.contains(MARK) || adapter.parameters().contains_key(name)
    };
    match halved {
        true => halve(model, was_trained),
        false => model,
    }
}

fn halve<M: Adaptable>(model: M, stays: impl Fn(&str) -> bool) -> M {
    let maps: BTreeSet<String> = affine_modules(&model).into_iter().collect();
    parameter::halve_frozen(model, |info| {
        let module = info.name.strip_suffix(".weight");
        module.is_some_and(|module| maps.contains(module)) && !stays(&info.name)
    })
}

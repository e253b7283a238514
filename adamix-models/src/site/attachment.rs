//! An adaptation with the places it goes to, and how it gets there.

use std::collections::{BTreeMap, BTreeSet};

use adamix_core::adaptation::AdaptationConfig;
use adamix_core::routing::{Declared, Router};
use adamix_keys::Key;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::names::{ending, layer_of};
use super::{Role, SiteError, Slot};

/// An adaptation with the places it goes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// Paths, patterns of paths or names of roles; empty for the adaptation's own places.
    pub sites: Vec<String>,
    /// What goes there.
    #[serde(flatten)]
    pub adaptation: AdaptationConfig,
    /// Whether it starts alike in all layers, as LoRA does in the released code.
    #[serde(default)]
    pub same_in_layers: bool,
    /// Whether a policy decides for each part of a fused map (GPT-2's `c_attn`) alone. The released code has one draw
    /// for queries and values.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub parts_apart: bool,
    /// What a routing policy learns for each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub router: Vec<Declared>,
}

impl Attachment {
    /// At the adaptation's own places, each drawn on its own.
    pub fn new(adaptation: AdaptationConfig) -> Self {
        Self {
            sites: Vec::new(),
            adaptation,
            same_in_layers: false,
            parts_apart: false,
            router: Vec::new(),
        }
    }

    /// At given places: paths, patterns of paths or names of roles.
    pub fn at<S: Into<String>>(mut self, sites: impl IntoIterator<Item = S>) -> Self {
        self.sites = sites.into_iter().map(Into::into).collect();
        self
    }

    /// The patterns that are meant.
    pub(super) fn patterns(&self) -> Vec<String> {
        if !self.sites.is_empty() {
            return self.sites.clone();
        }
        let roles = Role::defaults(&self.adaptation).iter();
        roles.map(|role| role.name().to_owned()).collect()
    }

    /// How many weights it has at those of a model's places that are meant and can hold it.
    pub(super) fn weights(&self, slots: &[Slot<'_>]) -> usize {
        let patterns = self.patterns();
        let is_meant = |slot: &&Slot<'_>| patterns.iter().any(|pattern| slot.is_meant(pattern));
        let held = slots.iter().filter(is_meant);
        let held = held.filter(|slot| slot.accepts(&self.adaptation));
        let router = (self.router.iter())
            .map(|map| map.input.saturating_mul(map.output))
            .fold(0, usize::saturating_add);
        held.map(|slot| self.adaptation.weights(slot.widths).saturating_add(router))
            .fold(0, usize::saturating_add)
    }
}

/// Fills the slots that a pattern matches.
pub(super) fn fill(
    slots: Vec<Slot<'_>>,
    pattern: &str,
    attachment: &Attachment,
    layers: usize,
    key: Key,
    device: &Device,
) -> Result<(), SiteError> {
    let config = &attachment.adaptation;
    let first = match slots.iter().filter_map(|slot| layer_of(&slot.site)).max() {
        Some(last) if layers > 0 => (last + 1).saturating_sub(layers),
        _ => 0,
    };
    let is_adapted = |site: &str| layer_of(site).is_none_or(|layer| layer >= first);
    let patterns = attachment.patterns();
    let meant = slots.iter().filter(|slot| {
        is_adapted(&slot.site) && patterns.iter().any(|pattern| slot.is_meant(pattern))
    });
    let places: BTreeSet<String> = meant.map(|slot| ending(&slot.site)).collect();
    let mut endings: Vec<String> = Vec::new();
    let mut matched = false;
    for slot in slots {
        let path = slot.path();
        if !slot.is_meant(pattern) {
            let ending = ending(&path);
            if slot.accepts(config) && !endings.contains(&ending) {
                endings.push(ending);
            }
            continue;
        }
        matched = true;
        if !is_adapted(&slot.site) {
            continue;
        }
        if !slot.accepts(config) {
            return Err(SiteError::Kind {
                site: path,
                kind: config.kind(),
                reason: "",
            });
        }
        if slot.holds.is_some() {
            return Err(SiteError::Occupied { site: path });
        }
        let mut key = match attachment.same_in_layers {
            true => key.purpose(&name_in_layer(&slot.site, &places)),
            false => key.purpose(&slot.site),
        };
        if let Some(part) = slot.part {
            key = key.purpose(part);
        }
        let mut adaptation = config.init(slot.widths, key, device);
        adaptation.set_apart(attachment.parts_apart);
        adaptation.set_router(Router::init(&attachment.router, key, device));
        *slot.holds = Some(adaptation);
    }
    if matched {
        return Ok(());
    }
    Err(SiteError::NoMatch {
        pattern: pattern.to_owned(),
        known: endings.join(", "),
    })
}

/// What a site is called in every layer alike: the last segment of its path, or all behind the layer's number where another
/// of the attachment's `places` ends in the same segment.
fn name_in_layer(site: &str, places: &BTreeSet<String>) -> String {
    let own = last(site);
    match places.iter().filter(|place| last(place) == own).count() > 1 {
        true => ending(site),
        false => own.to_owned(),
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

/// Finds that one decision serves all that is attached at a site: the parts of a fused map and its whole, or a prefix and
/// the adapter of its half block.
pub(super) fn check_sites(slots: Vec<Slot<'_>>) -> Result<(), SiteError> {
    let mut sites: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for slot in slots {
        let site = slot.decided_at();
        let Some(adaptation) = slot.holds else {
            continue;
        };
        let counts = adaptation.counts();
        let first = *sites.entry(site.clone()).or_insert(counts);
        if first != counts {
            return Err(SiteError::Counts {
                site,
                first,
                second: counts,
            });
        }
    }
    Ok(())
}

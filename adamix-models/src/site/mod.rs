//! The places of a model where an adaptation can sit, by name and by pattern.
//!
//! A model lists its places ([`Adaptable::slots`]); all else here follows: attaching, the sites that a
//! policy decides for, merging, and what an adapter's file says.

mod attachment;
mod error;
mod names;
mod role;
mod slot;

pub use adamix_core::pattern::matches;
pub use attachment::Attachment;
pub use error::SiteError;
pub use names::{layer_of, names};
pub use role::Role;
pub use slot::{Held, Slot};

use std::collections::BTreeSet;

use adamix_core::account::MARK;
use adamix_core::adaptation::AdaptationConfig;
use adamix_core::merging::{MergeError, MergeRule};
use adamix_core::parameter::{self, Named, ParameterInfo};
use adamix_core::routing::{Grain, Router, RouterShape, RoutingPolicy, Site};
use adamix_keys::Key;
use burn::tensor::Device;

use attachment::{check_sites, fill};

/// Why a policy that reads tokens cannot route in some models with virtual ones: a decoder reads these before the text, and
/// keys and values of a layer read them where its queries do not, so that one decision cannot be for both.
const BESIDE: &str = "stands beside virtual tokens that are read apart from the text's";

/// A model with places for adaptations.
pub trait Adaptable: Named {
    /// Whether the model writes its text token by token, so that no part of it may read later tokens.
    const IS_CAUSAL: bool = false;

    /// Every place, from the embeddings up.
    fn slots(&mut self) -> Vec<Slot<'_>>;

    /// Counts that many positions before the first token.
    fn shift_positions(&mut self, by: usize);

    /// Why this model cannot run an adaptation that others can.
    fn refuses(_config: &AdaptationConfig) -> Option<&'static str> {
        None
    }

    /// Puts fresh adaptations at their places, in the last `layers` layers only if that is not 0.
    ///
    /// # Errors
    /// If a pattern matches nothing, a place cannot hold what is to go there, or one decision cannot serve all at a site.
    fn attach(
        mut self,
        attachments: &[Attachment],
        layers: usize,
        key: Key,
        device: &Device,
    ) -> Result<Self, SiteError> {
        for attachment in attachments {
            if let Some(reason) = Self::refuses(&attachment.adaptation) {
                let kind = attachment.adaptation.kind();
                let site = attachment.patterns().join(", ");
                return Err(SiteError::Kind { site, kind, reason });
            }
            for pattern in attachment.patterns() {
                fill(self.slots(), &pattern, attachment, layers, key, device)?;
            }
        }
        check_sites(self.slots())?;
        let shifts = self.slots().into_iter().filter_map(|slot| {
            let held = slot.holds.as_ref()?;
            Some(held.position_shift())
        });
        let shift = shifts.max().unwrap_or(0);
        self.shift_positions(shift);
        Ok(self)
    }

    /// Trains parameters of the base model too, by patterns of their names ([`names`]), in the last `layers`
    /// layers only if that is not 0.
    ///
    /// # Errors
    /// If a pattern names no parameter.
    fn train_base(self, patterns: &[String], layers: usize) -> Result<Self, SiteError> {
        if patterns.is_empty() {
            return Ok(self);
        }
        let of_base = |info: &ParameterInfo| !info.name.contains(MARK);
        // The numbers of a prompt's experts are no layers.
        let base = parameter::parameters(&self).into_iter().filter(of_base);
        let base: Vec<ParameterInfo> = base.collect();
        for pattern in patterns {
            if !base.iter().any(|p| names(pattern, &p.name)) {
                return Err(SiteError::NoParameter(pattern.clone()));
            }
        }
        let layer = |info: &ParameterInfo| layer_of(&info.name);
        let end = base
            .iter()
            .filter_map(layer)
            .max()
            .map_or(0, |last| last + 1);
        let is_deep =
            |info: &ParameterInfo| layers == 0 || layer(info).is_some_and(|i| i + layers >= end);
        Ok(parameter::set_trainable(self, |info| {
            let named = patterns.iter().any(|pattern| names(pattern, &info.name));
            info.trainable || (named && of_base(info) && is_deep(info))
        }))
    }

    /// How many weights attachments have at the places of this model, which [`attach`](Self::attach) asks memory for.
    fn weights_of(&self, attachments: &[Attachment]) -> usize {
        let mut model = self.clone();
        let slots = model.slots();
        let weights = attachments.iter().map(|one| one.weights(&slots));
        weights.fold(0, usize::saturating_add)
    }

    /// The sites that a policy decides for, from the first layer up.
    fn sites(&self) -> Vec<Site> {
        // A clone copies no tensor.
        let mut model = self.clone();
        let mut sites: Vec<Site> = Vec::new();
        for slot in model.slots() {
            let name = slot.decided_at();
            if let Some(adaptation) = slot.holds
                && sites.iter().all(|site| site.name != name)
            {
                let (down, up) = adaptation.counts();
                sites.push(Site { name, down, up });
            }
        }
        sites
    }

    /// What is attached, from the first layer up; no tensor is copied.
    fn held(&self) -> Vec<Held> {
        let mut model = self.clone();
        let slots = model.slots().into_iter();
        let held = slots.filter_map(|slot| {
            Some(Held {
                site: slot.decided_at(),
                module: slot.module(),
                adaptation: slot.holds.clone()?,
            })
        });
        held.collect()
    }

    /// The banks of what is attached: each module's path and a name such as `down`, from the first layer up.
    fn banks(&self) -> Vec<(String, String)> {
        let mut banks: Vec<(String, String)> = Vec::new();
        for info in parameter::parameters(self) {
            // `<module>.<bank>.<expert>.weight`
            let mut segments = info.name.rsplitn(4, '.').skip(1);
            let expert = segments.next().and_then(|e| e.parse::<usize>().ok());
            let (bank, module) = (segments.next(), segments.next());
            if let (Some(0), Some(bank), Some(module)) = (expert, bank, module)
                && format!("{module}.").contains(MARK)
            {
                let found = (module.to_owned(), bank.to_owned());
                if !banks.contains(&found) {
                    banks.push(found);
                }
            }
        }
        banks
    }

    /// Gives every site what a policy learns for it; mixtures that share a site share the first one's.
    ///
    /// # Errors
    /// If the policy cannot decide for an adaptation that is attached.
    fn route(
        mut self,
        policy: &dyn RoutingPolicy,
        key: Key,
        device: &Device,
    ) -> Result<Self, SiteError> {
        let reads_apart = self.slots().iter().any(|slot| {
            let held = slot.holds.as_ref();
            let has_tokens = held.is_some_and(|held| held.virtual_tokens().is_some());
            has_tokens && (Self::IS_CAUSAL || slot.role == Role::Layer)
        });
        let mut asked: BTreeSet<String> = BTreeSet::new();
        for slot in self.slots() {
            let site = slot.decided_at();
            let is_part = slot.part.is_some();
            let Some(adaptation) = slot.holds else {
                continue;
            };
            let (down, up) = adaptation.counts();
            let experts = down.max(up);
            if experts == 1 {
                // There is nothing to route.
                continue;
            }
            let width = adaptation.input_width(slot.widths);
            let declared = policy.parameters(&RouterShape { width, experts });
            let reason = match policy.grain() {
                _ if Self::IS_CAUSAL && policy.looks_ahead() => {
                    Some("sits in a decoder, where later tokens are not there to be read")
                }
                _ if !declared.is_empty() && !adaptation.reads_input() => Some("reads no input"),
                Grain::Token if !adaptation.tells_tokens_apart() => {
                    Some("cannot tell tokens apart")
                }
                Grain::Token if reads_apart => Some(BESIDE),
                Grain::Example if reads_apart && !declared.is_empty() => Some(BESIDE),
                _ if !declared.is_empty() && !is_part && asked.contains(&site) => {
                    Some("shares its site with a prefix, which is not read again as a text goes on")
                }
                _ => None,
            };
            if let Some(reason) = reason {
                return Err(SiteError::Policy {
                    site,
                    policy: policy.name().to_owned(),
                    reason,
                });
            }
            if asked.insert(site.clone()) {
                let key = key.purpose(&site).purpose("router");
                adaptation.set_router(Router::init(&declared, key, device));
            }
        }
        Ok(self)
    }

    /// The model that serves: every mixture made one module by `rule`, outside autodiff.
    ///
    /// # Errors
    /// If the rule cannot merge one of them.
    fn merged(&self, rule: &dyn MergeRule) -> Result<Self, MergeError> {
        self.valid().joined(rule)
    }

    /// This model with every mixture made one module by `rule`, trained further if the mixture is.
    ///
    /// # Errors
    /// If the rule cannot merge one of them.
    fn joined(self, rule: &dyn MergeRule) -> Result<Self, MergeError> {
        let mut model = self;
        for slot in model.slots() {
            let path = slot.module();
            if let Some(mixture) = slot.holds
                && mixture.counts() != (1, 1)
            {
                *mixture = mixture.merged(rule, &path)?;
            }
        }
        Ok(model)
    }

    /// What is attached, with the paths of its places: what [`Adaptable::attach`] rebuilds.
    fn attachments(&self) -> Vec<Attachment> {
        let mut model = self.clone();
        let mut attachments: Vec<Attachment> = Vec::new();
        for slot in model.slots() {
            let path = slot.path();
            let Some(adaptation) = slot.holds else {
                continue;
            };
            let config = adaptation.config();
            let router = adaptation.router().map_or_else(Vec::new, Router::declared);
            let parts_apart = adaptation.is_apart();
            let is_like = |a: &&mut Attachment| {
                a.adaptation == config && a.router == router && a.parts_apart == parts_apart
            };
            match attachments.iter_mut().find(is_like) {
                Some(attachment) => attachment.sites.push(path),
                None => attachments.push(Attachment {
                    router,
                    parts_apart,
                    ..Attachment::new(config).at([path])
                }),
            }
        }
        attachments
    }
}

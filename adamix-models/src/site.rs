//! The places of a model where an adaptation can sit, by name and by pattern.
//!
//! A model lists its places ([`Adaptable::slots`]); all else here follows: attaching, the sites that a
//! policy decides for, merging, and what an adapter's file says.

use adamix_core::account::MARK;
use adamix_core::adaptation::{Adaptation, AdaptationConfig, Placement, ScaledSide};
use adamix_core::merging::{MergeError, MergeRule};
use adamix_core::parameter::{self, Named, ParameterInfo};
pub use adamix_core::pattern::matches;
use adamix_core::routing::{Declared, Grain, Router, RouterShape, RoutingPolicy, Site};
use adamix_keys::Key;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a place is in its layer, whatever the model calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The map that makes queries.
    Query,
    /// The map that makes keys.
    Key,
    /// The map that makes values.
    Value,
    /// The one map that makes queries, keys and values, where a model has that.
    QueryKeyValue,
    /// The map after attention.
    AttentionProjection,
    /// The map into the wide part of the feed-forward block.
    FirstFeedForward,
    /// The map back.
    SecondFeedForward,
    /// The keys and values of a layer.
    Attention,
    /// What the attention block gives.
    AttentionBlock,
    /// What the feed-forward block gives: AdaMix's place.
    FeedForwardBlock,
    /// A whole layer.
    Layer,
    /// The word embeddings.
    Words,
}

impl Role {
    /// The name that patterns may use in place of a path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::QueryKeyValue => "query-key-value",
            Self::AttentionProjection => "attention-projection",
            Self::FirstFeedForward => "ffn-1",
            Self::SecondFeedForward => "ffn-2",
            Self::Attention => "attention",
            Self::AttentionBlock => "attention-block",
            Self::FeedForwardBlock => "ffn-block",
            Self::Layer => "layer",
            Self::Words => "words",
        }
    }

    /// Where an adaptation sits unless told otherwise.
    pub fn defaults(config: &AdaptationConfig) -> &'static [Self] {
        match config {
            AdaptationConfig::Bottleneck(config) => match config.placement {
                Placement::Output => &[Self::AttentionBlock, Self::FeedForwardBlock],
                _ => &[Self::FeedForwardBlock],
            },
            AdaptationConfig::LowRank(_) => &[Self::Query, Self::Value],
            AdaptationConfig::Scale(config) => match config.side {
                ScaledSide::Output => &[Self::Key, Self::Value],
                ScaledSide::Input => &[Self::SecondFeedForward],
            },
            AdaptationConfig::Prefix(_) => &[Self::Attention],
            AdaptationConfig::VirtualTokens(_) => &[Self::Words],
        }
    }

    /// Whether an adaptation has an effect here.
    fn accepts(self, config: &AdaptationConfig) -> bool {
        let is_block = matches!(self, Self::AttentionBlock | Self::FeedForwardBlock);
        match config {
            AdaptationConfig::Bottleneck(config) => {
                is_block || (self == Self::Layer && config.placement == Placement::Output)
            }
            AdaptationConfig::LowRank(_) | AdaptationConfig::Scale(_) => {
                !is_block && !matches!(self, Self::Attention | Self::Layer | Self::Words)
            }
            AdaptationConfig::Prefix(_) => self == Self::Attention,
            AdaptationConfig::VirtualTokens(_) => matches!(self, Self::Layer | Self::Words),
        }
    }
}

/// One place of a model.
#[derive(Debug)]
pub struct Slot<'a> {
    /// The module's Hugging Face path, under which policies, files and traces know it.
    pub site: String,
    /// The part's name where several share a site: `q`, `k` and `v` of a fused map.
    pub part: Option<&'static str>,
    /// What it is in its layer.
    pub role: Role,
    /// The widths that it takes and gives.
    pub widths: [usize; 2],
    /// What sits there.
    pub holds: &'a mut Option<Adaptation>,
}

impl Slot<'_> {
    /// Whether an adaptation has an effect here. The input of a part is that of the whole map, so it cannot
    /// be scaled alone.
    fn accepts(&self, config: &AdaptationConfig) -> bool {
        let scales_input =
            matches!(config, AdaptationConfig::Scale(c) if c.side == ScaledSide::Input);
        self.role.accepts(config) && !(self.part.is_some() && scales_input)
    }

    /// The path under which its parameters are filed.
    fn module(&self) -> String {
        match self.part {
            None => format!("{}{}", self.site, MARK.trim_end_matches('.')),
            Some(part) => format!("{}{MARK}{part}", self.site),
        }
    }

    /// The site with its part.
    pub fn path(&self) -> String {
        match self.part {
            None => self.site.clone(),
            Some(part) => format!("{}.{part}", self.site),
        }
    }
}

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
            router: Vec::new(),
        }
    }

    /// At given places: paths, patterns of paths or names of roles.
    pub fn at<S: Into<String>>(mut self, sites: impl IntoIterator<Item = S>) -> Self {
        self.sites = sites.into_iter().map(Into::into).collect();
        self
    }

    /// The patterns that are meant.
    fn patterns(&self) -> Vec<String> {
        if !self.sites.is_empty() {
            return self.sites.clone();
        }
        let roles = Role::defaults(&self.adaptation).iter();
        roles.map(|role| role.name().to_owned()).collect()
    }
}

/// Why an adaptation cannot be attached.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SiteError {
    /// A pattern that matches nothing.
    #[error("no site matches `{pattern}`; sites end in {known}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// What would match.
        known: String,
    },
    /// An adaptation that has no effect at a place.
    #[error("`{site}` cannot hold the adaptation `{kind}`{reason}")]
    Kind {
        /// The place.
        site: String,
        /// What was to go there.
        kind: &'static str,
        /// Why not, if more is to be said.
        reason: &'static str,
    },
    /// A pattern that names no parameter of the base model.
    #[error("no parameter of the base model is named by `{0}`")]
    NoParameter(String),
    /// A policy that cannot decide for an adaptation.
    #[error("`{site}`: the policy `{policy}` cannot route this adaptation, which {reason}")]
    Policy {
        /// The place.
        site: String,
        /// The policy.
        policy: String,
        /// What the adaptation is or lacks.
        reason: &'static str,
    },
    /// A place that already holds something.
    #[error("`{site}` would hold two adaptations")]
    Occupied {
        /// The place.
        site: String,
    },
}

/// A model with places for adaptations.
pub trait Adaptable: Named {
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
    /// If a pattern matches nothing, or a place cannot hold what is to go there.
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
                attach_pattern(self.slots(), &pattern, attachment, layers, key, device)?;
            }
        }
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
        let all = parameter::parameters(&self);
        let of_base = |info: &ParameterInfo| !info.name.contains(MARK);
        for pattern in patterns {
            if !all.iter().any(|p| of_base(p) && names(pattern, &p.name)) {
                return Err(SiteError::NoParameter(pattern.clone()));
            }
        }
        let layer = |info: &ParameterInfo| layer_of(&info.name);
        let end = all
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

    /// The sites that a policy decides for, from the first layer up.
    fn sites(&self) -> Vec<Site> {
        // A clone copies no tensor.
        let mut model = self.clone();
        let mut sites: Vec<Site> = Vec::new();
        for slot in model.slots() {
            if let Some(adaptation) = slot.holds
                && sites.last().is_none_or(|last| last.name != slot.site)
            {
                let (down, up) = adaptation.counts();
                let name = slot.site;
                sites.push(Site { name, down, up });
            }
        }
        sites
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
        let mut last = String::new();
        for slot in self.slots() {
            let Some(adaptation) = slot.holds else {
                continue;
            };
            let (down, up) = adaptation.counts();
            let experts = down.max(up);
            let width = adaptation.input_width(slot.widths);
            let declared = policy.parameters(&RouterShape { width, experts });
            let reason = match policy.grain() {
                _ if !declared.is_empty() && !adaptation.reads_input() => Some("reads no input"),
                Grain::Token if !adaptation.tells_tokens_apart() => {
                    Some("cannot tell tokens apart")
                }
                _ => None,
            };
            if let Some(reason) = reason {
                return Err(SiteError::Policy {
                    site: slot.site,
                    policy: policy.name().to_owned(),
                    reason,
                });
            }
            if slot.site != last && experts > 1 {
                let key = key.purpose(&slot.site).purpose("router");
                adaptation.set_router(Router::init(&declared, key, device));
                last = slot.site;
            }
        }
        Ok(self)
    }

    /// The model that serves: every mixture made one module by `rule`, outside autodiff.
    ///
    /// # Errors
    /// If the rule cannot merge one of them.
    fn merged(&self, rule: &dyn MergeRule) -> Result<Self, MergeError> {
        let mut model = self.valid();
        for slot in model.slots() {
            let path = slot.module();
            if let Some(mixture) = slot.holds {
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
            let is_like = |a: &&mut Attachment| a.adaptation == config && a.router == router;
            match attachments.iter_mut().find(is_like) {
                Some(attachment) => attachment.sites.push(path),
                None => attachments.push(Attachment {
                    router,
                    ..Attachment::new(config).at([path])
                }),
            }
        }
        attachments
    }
}

/// Fills the slots that a pattern matches.
fn attach_pattern(
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
    let mut endings: Vec<String> = Vec::new();
    let mut matched = false;
    for slot in slots {
        let path = slot.path();
        let chosen = slot.role.name() == pattern || matches(pattern, &path);
        if !chosen {
            let ending = ending(&path);
            if slot.accepts(config) && !endings.contains(&ending) {
                endings.push(ending);
            }
            continue;
        }
        matched = true;
        if layer_of(&slot.site).is_some_and(|layer| layer < first) {
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
            true => key.purpose(slot.site.rsplit('.').next().unwrap_or_default()),
            false => key.purpose(&slot.site),
        };
        if let Some(part) = slot.part {
            key = key.purpose(part);
        }
        let mut adaptation = config.init(slot.widths, key, device);
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

/// Whether a pattern's segments stand together anywhere in a parameter's name; `*` alone names all.
pub fn names(pattern: &str, name: &str) -> bool {
    let segments: Vec<&str> = name.split('.').collect();
    (1..=segments.len()).any(|end| matches(pattern, &segments[..end].join(".")))
}

/// The number of the layer that a path is in.
pub fn layer_of(path: &str) -> Option<usize> {
    path.split('.').find_map(|segment| segment.parse().ok())
}

/// What a path has after its layer's number.
fn ending(path: &str) -> String {
    let mut segments = path.split('.').skip_while(|s| s.parse::<usize>().is_err());
    match segments.next() {
        None => path.to_owned(),
        Some(_) => segments.collect::<Vec<_>>().join("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_endings_are_read_from_paths() {
        assert_eq!(layer_of("transformer.h.3.mlp"), Some(3));
        assert_eq!(layer_of("transformer.wte"), None);
        assert_eq!(ending("transformer.h.3.attn.c_attn.q"), "attn.c_attn.q");
        assert_eq!(ending("transformer.wte"), "transformer.wte");
    }

    #[test]
    fn parameters_are_named_by_any_run_of_segments() {
        let name = "bert.encoder.layer.11.attention.output.LayerNorm.bias";
        for pattern in [
            "bias",
            "LayerNorm",
            "layer.11",
            "output.LayerNorm",
            "*",
            name,
        ] {
            assert!(names(pattern, name), "{pattern}");
        }
        assert!(!names("layer.1", name) && !names("layer.bias", name));
    }
}

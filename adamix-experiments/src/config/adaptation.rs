//! What is trained beside the head.

use adamix_core::adaptation::{
    Activation, AdaptationConfig, BottleneckConfig, LowRankConfig, Placement, PrefixConfig,
    ScaleConfig, ScaledSide, Share, VirtualTokensConfig,
};
use adamix_models::site::Attachment;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{Kind, Method};

/// The adaptation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adaptation {
    /// What is trained beside the head.
    pub method: Method,
    /// Width of the bottleneck.
    pub bottleneck: usize,
    /// r of a low-rank update.
    pub rank: usize,
    /// A low-rank update is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Whether a low-rank update is scaled by `alpha / sqrt(rank)` instead (rsLoRA).
    pub rank_stabilized: bool,
    /// Dropout on the input of a low-rank update.
    pub lora_dropout: f64,
    /// Whether low-rank experts start as copies of one draw, as in the released code.
    pub equal_start: bool,
    /// Whether low-rank updates start alike in all layers, as in the released code of GPT-2.
    pub equal_layers: bool,
    /// Whether low-rank updates of queries and values in one fused map (GPT-2's `c_attn`) are routed apart; the released
    /// code has one draw for both.
    pub parts_apart: bool,
    /// Tokens of a prefix or prompt.
    pub length: usize,
    /// M, the experts of a side that is not shared.
    pub experts: usize,
    /// Which sides are shared.
    pub share: Share,
    /// Between the projections.
    pub activation: Activation,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// The places: paths, patterns of paths (`attention.output`, `layer.*.output`) or names of roles (`query`,
    /// `ffn-block`); empty for the method's own.
    pub sites: Vec<String>,
    /// The last layers that are adapted; 0 for all.
    pub layers: usize,
    /// Parameters of the base model that are trained too, by runs of their names' segments: `bias`,
    /// `LayerNorm`, `layer.11`.
    pub train: Vec<String>,
}

impl Default for Adaptation {
    fn default() -> Self {
        Self {
            method: Method::ADAMIX,
            bottleneck: 16,
            rank: 4,
            alpha: 32.0,
            rank_stabilized: false,
            lora_dropout: 0.0,
            equal_start: true,
            equal_layers: false,
            parts_apart: false,
            length: 10,
            experts: 4,
            share: Share::Up,
            activation: Activation::Gelu,
            initializer_range: 0.02,
            sites: Vec::new(),
            layers: 0,
            train: Vec::new(),
        }
    }
}

impl Adaptation {
    /// What the method attaches.
    pub fn attachments(&self) -> Vec<Attachment> {
        let adapter = |placement| {
            let config = BottleneckConfig::new(self.bottleneck)
                .with_experts(self.experts())
                .with_share(self.share)
                .with_activation(self.activation)
                .with_initializer_range(self.initializer_range)
                .with_placement(placement);
            AdaptationConfig::Bottleneck(config)
        };
        let changed = |placement, change: fn(BottleneckConfig) -> BottleneckConfig| match adapter(
            placement,
        ) {
            AdaptationConfig::Bottleneck(config) => AdaptationConfig::Bottleneck(change(config)),
            other => other,
        };
        let at = |roles: &[&str], config| Attachment::new(config).at(roles.iter().copied());
        let mut attachments = match self.method.kind {
            Kind::Adapter => vec![at(&["ffn-block"], adapter(Placement::Projection))],
            Kind::Houlsby => {
                let places = ["attention-block", "ffn-block"];
                vec![at(&places, adapter(Placement::Output))]
            }
            Kind::Pfeiffer => vec![at(&["ffn-block"], adapter(Placement::Norm))],
            Kind::Parallel => vec![at(&["ffn-block"], adapter(Placement::Parallel))],
            Kind::List => {
                let config = changed(Placement::Projection, |config| config.with_bias(false));
                vec![at(&["attention-block", "ffn-block"], config)]
            }
            Kind::Lin => {
                let config = changed(Placement::Output, |config| config.with_norm(true));
                vec![at(&["layer"], config)]
            }
            Kind::Lora => vec![Attachment {
                same_in_layers: self.equal_layers,
                parts_apart: self.parts_apart,
                ..at(&["query", "value"], self.low_rank(false))
            }],
            Kind::Ia3 => {
                let scale = |side| {
                    let config = ScaleConfig::new().with_side(side);
                    AdaptationConfig::Scale(config.with_experts(self.experts()))
                };
                vec![
                    at(&["key", "value"], scale(ScaledSide::Output)),
                    at(&["ffn-2"], scale(ScaledSide::Input)),
                ]
            }
            Kind::Prefix => vec![at(&["attention"], self.prefix(false))],
            Kind::Prompt => vec![at(&["words"], self.virtual_tokens())],
            Kind::PreLayer => vec![at(&["layer"], self.virtual_tokens())],
            Kind::UnipeltAp | Kind::UnipeltApl => {
                let config = changed(Placement::Norm, |config| config.with_gate(true));
                let mut parts = vec![
                    at(&["ffn-block"], config),
                    at(&["attention"], self.prefix(true)),
                ];
                if self.method.kind == Kind::UnipeltApl {
                    parts.push(at(&["query", "value"], self.low_rank(true)));
                }
                parts
            }
            Kind::BitFit | Kind::Top | Kind::Head | Kind::Full => Vec::new(),
        };
        if let ([attachment], false) = (attachments.as_mut_slice(), self.sites.is_empty()) {
            attachment.sites = self.sites.clone();
        }
        attachments
    }

    /// Parameters of the base model that the method trains, as patterns of their names.
    pub fn unfrozen(&self) -> Vec<String> {
        let own = match self.method.kind {
            Kind::BitFit => Some("bias"),
            Kind::Top | Kind::Full => Some("*"),
            _ => None,
        };
        let own = own.map(str::to_owned);
        own.into_iter().chain(self.train.iter().cloned()).collect()
    }

    /// Tokens that the method puts before the text and that take positions of it.
    pub fn tokens_before(&self) -> usize {
        match self.method.kind {
            Kind::Prefix | Kind::Prompt | Kind::PreLayer => self.length,
            _ => 0,
        }
    }

    /// What the types alone do not say.
    pub fn check(&self) -> Result<()> {
        // A size that no machine has must fail here, not in an allocation.
        for (key, value, most) in [
            ("bottleneck", self.bottleneck, 1 << 16),
            ("rank", self.rank, 1 << 16),
            ("length", self.length, 1 << 16),
            ("experts", self.experts, 1 << 12),
        ] {
            ensure!(
                (1..=most).contains(&value),
                "`adaptation.{key}` is {value}; it must be at least 1 and at most {most}"
            );
        }
        let widest = self.bottleneck.max(self.rank).max(self.length);
        ensure!(
            self.experts * widest <= 1 << 20,
            "`adaptation.experts` is {} and the largest of `bottleneck`, `rank` and `length` {widest}; their product must be \
             at most {}",
            self.experts,
            1 << 20
        );
        ensure!(
            (0.0..1.0).contains(&self.lora_dropout),
            "`adaptation.lora_dropout` is {}; it must be at least 0 and below 1",
            self.lora_dropout
        );
        for (key, value) in [
            ("alpha", self.alpha),
            ("initializer_range", self.initializer_range),
        ] {
            ensure!(
                value.is_finite() && value >= 0.0,
                "`adaptation.{key}` is {value}; it must be a number of at least 0"
            );
        }
        ensure!(
            self.sites.is_empty() || self.attachments().len() == 1,
            "`adaptation.sites` is for methods that attach one adaptation; `{}` has its own places",
            self.method
        );
        Ok(())
    }

    fn experts(&self) -> usize {
        if self.method.mixture { self.experts } else { 1 }
    }

    fn low_rank(&self, gate: bool) -> AdaptationConfig {
        let config = LowRankConfig::new(self.rank)
            .with_alpha(self.alpha)
            .with_rank_stabilized(self.rank_stabilized)
            .with_experts(self.experts())
            .with_share(self.share)
            .with_dropout(self.lora_dropout)
            .with_equal_start(self.equal_start)
            .with_gate(gate);
        AdaptationConfig::LowRank(config)
    }

    fn prefix(&self, gate: bool) -> AdaptationConfig {
        // UniPELT's prefix leaves positions alone, prefix-tuning's is the past of the text.
        let config = PrefixConfig::new(self.length)
            .with_experts(self.experts())
            .with_initializer_range(self.initializer_range)
            .with_shift_positions(!gate)
            .with_gate(gate);
        AdaptationConfig::Prefix(config)
    }

    fn virtual_tokens(&self) -> AdaptationConfig {
        let config = VirtualTokensConfig::new(self.length)
            .with_experts(self.experts())
            .with_initializer_range(self.initializer_range);
        AdaptationConfig::VirtualTokens(config)
    }
}

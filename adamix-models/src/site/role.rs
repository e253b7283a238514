//! What the places of a layer are, whatever a model calls them.

use adamix_core::adaptation::{AdaptationConfig, Placement, ScaledSide};

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
    pub(super) fn accepts(self, config: &AdaptationConfig) -> bool {
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

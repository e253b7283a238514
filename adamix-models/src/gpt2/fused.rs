//! The one map that makes queries, keys and values, and the low-rank mixture on it.

use adamix_core::adaptation::{LowRank, LowRankConfig};
use adamix_core::merging::{MergeError, MergeRule};
use adamix_core::random::Initializer;
use adamix_core::routing::Decision;
use adamix_keys::Key;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::hub::{HubError, Source};
use crate::pass::Pass;

/// Low-rank mixtures of the queries and the values; the keys stay as they are. One decision serves both
/// parts, as in the released code.
#[derive(Module, Debug)]
pub struct FusedLowRank {
    /// Of the queries.
    pub q: LowRank,
    /// Of the values.
    pub v: LowRank,
    dropout: f64,
}

impl FusedLowRank {
    /// A fresh trainable mixture for a residual stream of this width.
    pub fn init(width: usize, config: &LowRankConfig, key: Key, device: &Device) -> Self {
        let part = |name: &str| config.init([width, width], key.purpose(name), device);
        Self {
            q: part("q"),
            v: part("v"),
            dropout: config.dropout,
        }
    }

    /// The updates of queries and values; the input is dropped once for both.
    ///
    /// # Shapes
    /// - input and outputs: `[batch, tokens, width]`
    fn forward(&self, x: Tensor<3>, pass: &Pass<'_>, site: &str) -> [Tensor<3>; 2] {
        let x = match pass.dropout_at(&format!("{site}.lora_dropout"), self.dropout) {
            Some(dropout) => adamix_kernels::dropout(x, &dropout),
            None => x,
        };
        let decision: &Decision = pass.decision(site);
        [
            self.q.forward(x.clone(), decision),
            self.v.forward(x, decision),
        ]
    }

    /// Both parts merged by `rule`; `module` is the path of both.
    ///
    /// # Errors
    /// If the rule cannot merge one of them.
    pub fn merged(&self, rule: &dyn MergeRule, module: &str) -> Result<Self, MergeError> {
        Ok(Self {
            q: self.q.merged(rule, &format!("{module}.q"))?,
            v: self.v.merged(rule, &format!("{module}.v"))?,
            dropout: 0.0,
        })
    }
}

/// `c_attn`: a [`Conv1D`](super::Conv1D) to three times the width, with a place for a mixture.
#[derive(Module, Debug)]
pub struct FusedAttentionMap {
    /// `[width, 3 width]`.
    pub weight: Param<Tensor<2>>,
    /// `[3 width]`.
    pub bias: Param<Tensor<1>>,
    /// The low-rank mixture, if one is attached.
    pub adamix: Option<FusedLowRank>,
    heads: usize,
}

impl FusedAttentionMap {
    /// Builds the map at a place of `source`.
    pub fn load(
        width: usize,
        heads: usize,
        range: f64,
        source: &Source<'_>,
    ) -> Result<Self, HubError> {
        let normal = Initializer::Normal(range);
        Ok(Self {
            weight: source.parameter("weight", [width, 3 * width], normal)?,
            bias: source.parameter("bias", [3 * width], Initializer::Zeros)?,
            adamix: None,
            heads,
        })
    }

    /// Queries, keys and values.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, width]`
    /// - outputs: `[batch, heads, tokens, head width]`
    pub fn forward(&self, x: Tensor<3>, pass: &Pass<'_>, site: &str) -> [Tensor<4>; 3] {
        let [batch, tokens, width] = x.dims();
        let (heads, head) = (self.heads, width / self.heads);
        let y = adamix_kernels::linear(x.clone(), self.weight.val(), Some(self.bias.val()));
        let y = y.reshape([batch, tokens, 3 * heads, head]).swap_dims(1, 2);
        let part = |i: usize| y.clone().narrow(1, i * heads, heads);
        let [mut q, k, mut v] = [part(0), part(1), part(2)];
        if let Some(mixture) = &self.adamix {
            let split = |y: Tensor<3>| y.reshape([batch, tokens, heads, head]).swap_dims(1, 2);
            let [dq, dv] = mixture.forward(x, pass, site);
            q = q + split(dq);
            v = v + split(dv);
        }
        [q, k, v]
    }
}

//! The one map that makes queries, keys and values.

use adamix_core::adaptation::Adaptation;
use adamix_core::random::Initializer;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::hub::{HubError, Source};
use crate::pass::Pass;
use crate::site::{Role, Slot};

/// The parts' names in paths.
const PARTS: [&str; 3] = ["q", "k", "v"];

/// `c_attn`: a map to three times the width. An adaptation sits on the whole of it, or on its parts; the
/// parts share a site, so one decision serves them all, as in the released code, unless they are decided for apart.
#[derive(Module, Debug)]
pub struct FusedAttentionMap {
    /// `[width, 3 width]`.
    pub weight: Param<Tensor<2>>,
    /// `[3 width]`.
    pub bias: Param<Tensor<1>>,
    /// On the whole map.
    pub adamix: Option<Adaptation>,
    /// On the queries; `adamix.q` in files.
    pub q_part: Option<Adaptation>,
    /// On the keys; `adamix.k` in files.
    pub k_part: Option<Adaptation>,
    /// On the values; `adamix.v` in files.
    pub v_part: Option<Adaptation>,
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
            q_part: None,
            k_part: None,
            v_part: None,
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
        let frozen = |x| adamix_kernels::linear(x, self.weight.val(), Some(self.bias.val()));
        let y = match &self.adamix {
            None => frozen(x.clone()),
            Some(adaptation) => {
                let context = pass.context(site, adaptation);
                adaptation.around(x.clone(), frozen, &context)
            }
        };
        let by_heads = y.clone().reshape([batch, tokens, 3 * heads, head]);
        let by_heads = by_heads.swap_dims(1, 2);
        let parts = [&self.q_part, &self.k_part, &self.v_part];
        [0, 1, 2].map(|i| match parts[i] {
            None => by_heads.clone().narrow(1, i * heads, heads),
            Some(adaptation) => {
                let own = adaptation
                    .is_apart()
                    .then(|| format!("{site}.{}", PARTS[i]));
                let context = pass.context(own.as_deref().unwrap_or(site), adaptation);
                let frozen = |_| y.clone().narrow(2, i * width, width);
                let part = adaptation.around(x.clone(), frozen, &context);
                part.reshape([batch, tokens, heads, head]).swap_dims(1, 2)
            }
        })
    }

    /// Whether nothing is attached.
    pub(super) fn is_plain(&self) -> bool {
        let held = [&self.adamix, &self.q_part, &self.k_part, &self.v_part];
        held.iter().all(|held| held.is_none())
    }

    pub(super) fn slots(&mut self, site: String) -> [Slot<'_>; 4] {
        let [width, wide] = self.weight.lazy_shape().dims();
        let whole = (None, Role::QueryKeyValue, wide, &mut self.adamix);
        let parts = [
            whole,
            (Some(PARTS[0]), Role::Query, width, &mut self.q_part),
            (Some(PARTS[1]), Role::Key, width, &mut self.k_part),
            (Some(PARTS[2]), Role::Value, width, &mut self.v_part),
        ];
        parts.map(|(part, role, output, holds)| Slot {
            site: site.clone(),
            part,
            role,
            widths: [width, output],
            holds,
        })
    }
}

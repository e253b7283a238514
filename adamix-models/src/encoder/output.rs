//! The end of a block: projection, dropout, and the norm of the sum with the residual stream.

use adamix_core::adaptation::Adaptation;
use adamix_core::layer_norm::LayerNorm;
use burn::module::Module;
use burn::tensor::Tensor;

use super::EncoderConfig;
use crate::Projection;
use crate::block::BlockAdapter;
use crate::hub::{HubError, Source};
use crate::pass::Pass;
use crate::site::{Role, Slot};

/// The end of the attention block, or of the feed-forward block, whose output AdaMix adapts.
#[derive(Module, Debug)]
pub struct BlockOutput {
    /// `[block's width, hidden]`.
    pub dense: Projection,
    /// The adapter, alone or as a mixture.
    pub adamix: Option<Adaptation>,
    /// Over the sum with the residual stream.
    pub LayerNorm: LayerNorm,
    dropout: f64,
}

impl BlockOutput {
    /// Builds the end of a block of that width at a place of `source`.
    pub fn load(
        width: usize,
        config: &EncoderConfig,
        source: &Source<'_>,
    ) -> Result<Self, HubError> {
        let hidden = config.hidden_size;
        let dense = source.at("dense");
        let dense = dense.linear(width, hidden, config.initializer_range)?;
        let norm = source.at("LayerNorm");
        Ok(Self {
            dense: Projection::new(dense),
            adamix: None,
            LayerNorm: norm.layer_norm(hidden, config.layer_norm_eps)?,
            dropout: config.hidden_dropout_prob,
        })
    }

    /// Runs the end of the block; `site` is its name, `dropped` that of its dropout, `residual` what the
    /// block reads.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, width]`
    /// - `residual` and output: `[batch, tokens, hidden]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        residual: Tensor<3>,
        pass: &Pass<'_>,
        site: &str,
        dropped: &str,
    ) -> Tensor<3> {
        let y = self.dense.forward(x, pass, &format!("{site}.dense"));
        self.finish(y, residual, pass, site, dropped)
    }

    /// The projection alone, of GELU of `x`.
    pub(super) fn project_gelu(&self, x: Tensor<3>, pass: &Pass<'_>, site: &str) -> Tensor<3> {
        self.dense.after_gelu(x, pass, &format!("{site}.dense"))
    }

    /// What follows the projection.
    pub(super) fn finish(
        &self,
        y: Tensor<3>,
        residual: Tensor<3>,
        pass: &Pass<'_>,
        site: &str,
        dropped: &str,
    ) -> Tensor<3> {
        let adapter = BlockAdapter::new(&self.adamix, pass, site);
        let mut y = adapter.on_projection(y);
        if let Some(dropout) = pass.dropout_at(dropped, self.dropout) {
            y = adamix_kernels::dropout(y, &dropout);
        }
        let normed = |y| self.LayerNorm.forward_sum(y, residual.clone());
        let y = adapter.on_output(y, &residual, normed);
        self.LayerNorm.forward_sum(y, residual)
    }

    /// Whether anything is dropped in training.
    pub(super) fn drops(&self) -> bool {
        self.dropout > 0.0
    }

    pub(super) fn slots(&mut self, site: &str, map: Role, block: Role) -> [Slot<'_>; 2] {
        let [width, hidden] = self.dense.map.shape();
        [
            Slot {
                site: format!("{site}.dense"),
                part: None,
                role: map,
                widths: [width, hidden],
                holds: &mut self.dense.adamix,
            },
            Slot {
                site: site.to_owned(),
                part: None,
                role: block,
                widths: [hidden, hidden],
                holds: &mut self.adamix,
            },
        ]
    }
}

//! How a block runs the adapter on its output.

use adamix_core::adaptation::{Adaptation, Bottleneck, Context, Placement};
use burn::tensor::Tensor;

use crate::pass::Pass;

/// The adapter of a block in one pass, or none.
pub(crate) struct BlockAdapter<'a>(Option<(&'a Bottleneck, Context<'a>)>);

impl<'a> BlockAdapter<'a> {
    pub(crate) fn new(held: &'a Option<Adaptation>, pass: &'a Pass<'_>, site: &'a str) -> Self {
        let adapter = held.as_ref().and_then(|adaptation| {
            let context = pass.context(site, adaptation);
            Some((adaptation.bottleneck()?, context))
        });
        Self(adapter)
    }

    /// What becomes of the block's last projection, before dropout.
    pub(crate) fn on_projection(&self, y: Tensor<3>) -> Tensor<3> {
        match &self.0 {
            Some((adapter, context)) if adapter.placement() == Placement::Projection => {
                adapter.forward(y, context)
            }
            _ => y,
        }
    }

    /// What becomes of the block's output, after dropout. `read` is what the block reads; `normed` is the
    /// norm of a sum with the residual, where the block has one.
    pub(crate) fn on_output(
        &self,
        y: Tensor<3>,
        read: &Tensor<3>,
        normed: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let Some((adapter, context)) = &self.0 else {
            return y;
        };
        match adapter.placement() {
            Placement::Projection => y,
            Placement::Output => adapter.forward(y, context),
            Placement::Norm => y.clone() + adapter.branch(normed(y), context),
            Placement::Parallel => y + adapter.branch(read.clone(), context),
        }
    }
}

//! What a pass tells an adaptation.

use adamix_kernels::Dropout;
use burn::tensor::Tensor;

use crate::routing::Decision;

/// What an adaptation is told in one pass beside its input.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The experts that run.
    pub decision: &'a Decision,
    /// The dropout of its input, or `None` if nothing is dropped.
    pub dropout: Option<Dropout>,
    /// `[batch, tokens]`: 1 for a token, 0 for padding; `None` if there is no padding.
    pub mask: Option<Tensor<2>>,
}

impl<'a> Context<'a> {
    /// No dropout, no padding.
    pub fn new(decision: &'a Decision) -> Self {
        Self {
            decision,
            dropout: None,
            mask: None,
        }
    }

    /// The input with what is dropped of it.
    pub(super) fn drop(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.dropout {
            Some(dropout) => adamix_kernels::dropout(x, dropout),
            None => x,
        }
    }
}

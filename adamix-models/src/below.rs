//! What several passes over one batch have in common.

use std::cell::RefCell;

use burn::tensor::Tensor;

/// Hidden states below the first adaptation: the first pass over a batch leaves them here, the others take them. For one
/// model and one batch, and of no effect where dropout stands below the first adaptation.
#[derive(Debug, Default)]
pub struct Below(RefCell<Vec<Tensor<3>>>);

impl Below {
    /// What the first pass left, or what `compute` gives to the first.
    pub(crate) fn or_else(&self, compute: impl FnOnce() -> Vec<Tensor<3>>) -> Vec<Tensor<3>> {
        let mut held = self.0.borrow_mut();
        if held.is_empty() {
            *held = compute();
        }
        held.clone()
    }
}

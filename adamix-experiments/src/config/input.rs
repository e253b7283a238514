//! What becomes of the texts.

use adamix_data::Order;
use serde::{Deserialize, Serialize};

/// What becomes of the texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// Longest input in tokens; longer ones are cut, the longer text of a pair first.
    pub max_length: usize,
    /// Up to where a batch is padded.
    pub pad: Pad,
    /// How an epoch's batches are formed.
    pub order: EpochOrder,
    /// What becomes of an epoch's last batch.
    pub last_batch: LastBatch,
    /// With `order = "bucketed"`: how many batches are sorted by length together.
    pub window: usize,
    /// Rows of the training file that are used, from the top; 0 for all.
    pub train_rows: usize,
    /// Share of these that is not trained on and measured in place of the development rows, for choosing settings; 0 for
    /// none. The same rows for every seed.
    pub held_out: f64,
    /// Share of the training rows that is kept from training for merging rules that look at rows, drawn by their
    /// ids alone; 0 for none.
    pub kept_for_merging: f64,
}

/// Up to where a batch is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pad {
    /// Its longest row.
    Batch,
    /// `max_length`, as the released code.
    Max,
}

/// How an epoch's batches are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EpochOrder {
    /// A permutation, cut.
    Shuffled,
    /// Rows of like length together, the batches shuffled.
    Bucketed,
}

/// What becomes of an epoch's last batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LastBatch {
    /// It is as small as it comes out.
    Short,
    /// It is filled with random rows, as in the released code of GPT-2.
    Repeat,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            max_length: 128,
            pad: Pad::Batch,
            order: EpochOrder::Bucketed,
            last_batch: LastBatch::Short,
            window: 50,
            train_rows: 0,
            held_out: 0.0,
            kept_for_merging: 0.0,
        }
    }
}

impl Input {
    /// The order in the data crate's terms.
    pub fn epoch_order(&self) -> Order {
        match self.order {
            EpochOrder::Shuffled => Order::Shuffled,
            EpochOrder::Bucketed => Order::Bucketed {
                window: self.window,
            },
        }
    }
}

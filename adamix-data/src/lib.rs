//! Rows in, plain arrays out, scores. No tensors, so that it builds in seconds and the scorers stand alone.
//!
//! A [`Task`] says what is predicted from which columns. [`load`] reads a split of a GLUE task from the
//! official files or the Hugging Face ones, [`TableSpec`] a user's own table; both give [`Rows`]. A
//! [`Tokenizer`] turns texts into token ids, [`plan_epoch`] orders them and [`collate`] pads them to a
//! [`Batch`]. [`evaluate`] scores predictions. [`synthetic`] makes a small labelled task where no data is at hand.

#![forbid(unsafe_code)]

pub mod batch;
mod delimited;
mod error;
mod example;
pub mod fewshot;
pub mod glue;
pub mod metrics;
pub mod nlg;
mod rows;
pub mod source;
mod split;
pub mod synthetic;
pub mod table;
mod task;
pub mod tokenize;

pub use batch::{Batch, Order, collate, fill_batches, plan_epoch, plan_evaluation};
pub use error::DataError;
pub use example::{Example, Rows, Target};
pub use glue::load;
pub use metrics::{Metric, evaluate};
pub use source::{fingerprint, read_text};
pub use split::Split;
pub use table::TableSpec;
pub use task::{Columns, Task};
pub use tokenize::{Encoding, Tokenizer};

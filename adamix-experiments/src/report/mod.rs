//! From records to tables: Markdown, CSV, LaTeX and one HTML page.
//!
//! A [`Record`] is what remains of a run: its config, its scores, its outputs. A [`Document`] is a table of the paper
//! with our cells beside the published ones. Rendering is a pure function of the two, so that tables can be deleted
//! and written again byte for byte.

pub mod csv;
pub mod document;
pub mod html;
pub mod latex;
pub mod markdown;
mod printed;
pub mod published;
pub mod record;
pub mod store;

pub use document::{Cell, Document, Figure, Line, Measured, Origin};
pub use published::Published;
pub use record::{Gold, Outputs, Record, StateRecord};
pub use store::Records;

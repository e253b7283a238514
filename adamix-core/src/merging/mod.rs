//! How many become one: one file a rule.

mod uniform;

pub use uniform::Uniform;

use crate::linear::Linear;

/// Makes one projection of the experts of a bank.
pub trait MergeRule: Send + Sync + core::fmt::Debug {
    /// The name by which configs refer to the rule.
    fn name(&self) -> &'static str;

    /// The merged projection. `experts` is not empty and all of one shape.
    fn merge(&self, experts: &[Linear]) -> Linear;
}

/// The rules known by name.
pub const RULES: [&str; 1] = ["uniform"];

/// The rule of that name, or `None`.
pub fn rule(name: &str) -> Option<Box<dyn MergeRule>> {
    match name {
        "uniform" => Some(Box::new(Uniform)),
        _ => None,
    }
}
